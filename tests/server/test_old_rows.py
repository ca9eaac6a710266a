"""`purge_old_rows`: what was deleted or changed is in no file of the database."""

import io
import itertools
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import psycopg
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import InternalError, OperationalError, connection, transaction
from psycopg.errors import DataCorrupted, DeadlockDetected

from accounts.erasure import erase_user
from approvals.models import Approval
from audit.models import PersonalKey
from audit.sequencing import sequencer
from core.actor import SYSTEM
from server import old_rows
from tests.approvals import make_approval
from tests.dumps import files
from tests.world import make_grant, make_user

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.alone]

EMAIL, TARGET = "perpetua.kodaly@home.example", "perpetuas-landlord-at-bank-77"


def purge() -> str:
    output = io.StringIO()
    call_command("purge_old_rows", stdout=output)
    return output.getvalue()


@pytest.fixture
def erased() -> bytes:
    """Erase a user. Return the key of their data, as it was stored."""
    grant = make_grant(email=EMAIL)
    make_approval(grant.consent, context={"verb": "Pay", "recipient": TARGET, "text": EMAIL})
    make_approval(grant.consent, context={"recipient": TARGET}, status="used")
    for number in range(50 if connection.vendor == "postgresql" else 2):  # so that the statistics have values
        make_user(f"{number}.{EMAIL}")
    sequencer.sequence()
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
    key = bytes(PersonalKey.objects.get(subject=grant.user.id).sealed or b"")
    found = files()
    assert all(trace in found for trace in (EMAIL.encode(), TARGET.encode(), key))
    for user in type(grant.user).objects.filter(email__endswith=EMAIL):
        erase_user(actor=SYSTEM, user=user)
    sequencer.sequence()
    assert not Approval.objects.exists()
    return key


def test_the_files_have_nothing_of_an_erased_user_afterwards(erased: bytes) -> None:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM")
        assert EMAIL.encode() in files()
    assert "no longer have" in purge()
    found = files()
    assert [trace for trace in (EMAIL.encode(), TARGET.encode(), erased) if trace in found] == []


@contextmanager
def open_transaction(*statements: str) -> Iterator[None]:
    """Execute the statements in a transaction of another connection, which stays open during the block."""
    is_open, is_done = threading.Event(), threading.Event()

    def hold() -> None:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
                is_open.set()
                is_done.wait(30)
        finally:
            connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        assert is_open.wait(10)
        yield
    finally:
        is_done.set()
        holder.join()


def test_a_transaction_that_still_sees_old_rows_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("about PostgreSQL")
    make_user("late@example.com")
    with open_transaction("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SELECT 1 FROM pg_class LIMIT 1"):
        type(make_user("later@example.com")).objects.filter(email="late@example.com").update(name="Changed")
        with monkeypatch.context() as impatient:
            impatient.setattr(old_rows, "PATIENCE_SECONDS", 0)
            impatient.setitem(connection.settings_dict, "NAME", "")  # as with a connection service, which names it
            with pytest.raises(CommandError, match="accounts_user: a transaction") as raised:
                purge()
        assert re.search(r"Process \d+ may need old rows \(client backend, .*idle in transaction", str(raised.value))
    assert "no longer have" in purge()


def test_a_transaction_in_another_database_of_the_server_is_named_and_awaited(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The snapshot of VACUUM FULL goes back to every transaction of the server that writes."""
    if connection.vendor != "postgresql":
        pytest.skip("about PostgreSQL")
    settings = connection.get_connection_params() | {"dbname": "postgres"}
    with psycopg.connect(**settings) as other:
        other.execute("SELECT pg_current_xact_id()")
        make_user("late@example.com").delete()
        pauses = itertools.count(1)

        def pause(seconds: float) -> None:
            if next(pauses) == 10:
                other.rollback()
            time.sleep(0.05)

        monkeypatch.setattr(old_rows, "time", SimpleNamespace(sleep=pause, monotonic=time.monotonic))
        with monkeypatch.context() as impatient:
            impatient.setattr(old_rows, "PATIENCE_SECONDS", 0)
            with pytest.raises(CommandError) as raised:
                purge()
        pid = other.info.backend_pid
        what = r"client backend, database postgres, role \w+, idle in transaction, since 2"
        assert re.search(rf"Process {pid} may need old rows \({what}", str(raised.value))
        assert f"run SELECT pg_terminate_backend({pid})." in str(raised.value)

        assert "no longer have" in purge()
        assert next(pauses) > 10


def test_a_table_in_use_is_reported(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("about PostgreSQL")
    monkeypatch.setattr(old_rows, "PATIENCE_SECONDS", 0)
    monkeypatch.setattr(old_rows, "REWRITE_LOCK_SECONDS", 0.05)
    with (
        open_transaction("LOCK TABLE approvals_approval IN ACCESS SHARE MODE"),
        pytest.raises(CommandError, match="approvals_approval: it was in use"),
    ):
        purge()


def test_a_table_whose_alteration_ended_in_a_deadlock_counts_as_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """Altering a column locks the tables that refer to it, too, which requests may hold and wait for this one."""

    def alter(table: str) -> list[str]:
        raise OperationalError from DeadlockDetected()

    monkeypatch.setattr(old_rows, "_vacuum", alter)
    assert old_rows._rewrite("public.accounts_user") == old_rows.IN_USE


def test_statistics_of_which_only_long_values_are_gone_are_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rewrite keeps a row that a transaction may see, and then misses what a plain VACUUM has removed of it."""

    def rewrite(table: str) -> list[str]:
        raise InternalError from DataCorrupted()

    monkeypatch.setattr(old_rows, "_vacuum", rewrite)
    assert old_rows._rewrite(old_rows.STATISTICS) == old_rows.STILL_SEEN
    with pytest.raises(InternalError):
        old_rows._rewrite("public.accounts_user")


def test_tables_of_another_owner_are_reported(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("about PostgreSQL")
    monkeypatch.setattr(old_rows, "PATIENCE_SECONDS", 0)
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE of_another_owner")
        try:
            cursor.execute("SET ROLE of_another_owner")
            with pytest.raises(CommandError, match="accounts_user: permission denied"):
                purge()
        finally:
            cursor.execute("RESET ROLE")
            cursor.execute("DROP ROLE of_another_owner")
