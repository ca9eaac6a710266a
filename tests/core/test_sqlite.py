"""What SQLite's files have of deleted data: nothing."""

import sqlite3
from datetime import timedelta

import pytest
from django.db import connection

from accounts.models import BrowserSession, User
from core import clock
from core.sqlite import empty_wal
from tests.dumps import raw_dump

pytestmark = pytest.mark.django_db(transaction=True)

USERS = 600


@pytest.mark.postgresql
def test_deleted_and_changed_rows_leave_no_bytes_in_the_files() -> None:
    """Rows of different lengths in many pages move when their neighbors change, and leave copies if unlucky."""
    expires = clock.now() + timedelta(days=1)
    for number in range(USERS):
        User.objects.create(email=f"gone-{number:04}@{'x' * (number % 60)}.example", name="Gone " * (number % 30))
        data = f"gone-{number:04}" * (1 + number * 7 % 400)
        BrowserSession.objects.create(session_key=f"key{number}", session_data=data, expire_date=expires)
        if number % 3 == 0:
            BrowserSession.objects.filter(pk=f"key{number // 2}").update(session_data="short", expire_date=expires)
    for user in User.objects.order_by("name"):
        User.objects.filter(pk=user.pk).update(email=f"{user.pk}@erased.invalid", name="")
    BrowserSession.objects.all().delete()
    if connection.vendor == "sqlite":
        assert empty_wal()

    dump = raw_dump()
    assert b"@erased.invalid" in dump
    assert b"gone-" not in dump


@pytest.mark.on_sqlite
def test_the_log_is_not_emptied_in_a_transaction_or_before_a_slow_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("of SQLite only")
    monkeypatch.setattr("core.sqlite.WAIT_MILLISECONDS", 10)
    reader = sqlite3.connect(connection.settings_dict["NAME"])
    try:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM accounts_user").fetchone()
        User.objects.create(email="someone@example.com")
        assert not empty_wal()
    finally:
        reader.close()
    assert empty_wal()
    with connection.cursor() as cursor:
        assert cursor.execute("PRAGMA busy_timeout").fetchone() == (20_000,)
