"""Roll-ups equal counts of the raw log: after a crash anywhere, after a rebuild, and with several workers at once."""

import logging
import os
import signal
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from audit.archiving import archived
from audit.archiving.archive import archive_month
from audit.database.triggers import pruning
from audit.entries import personal_keys
from audit.models import Entry
from audit.proof.members import MissingEntry
from audit.sequencing import sequencer
from core import clock
from core.sweeps import BATCH
from insights import bounds, services, tasks
from insights.models import Edition, RollUp
from insights.services import count_log, delete_former_editions, rebuild
from insights.windows import DAY
from tests import preloaded
from tests.audit.journals import write_row
from tests.audit.months import FEBRUARY, JANUARY, archive_in, fill, use_small_segments
from tests.insights.logs import NOW, counted, counts_of_raw_log, log_entries
from tests.shared import cases
from tests.threads import beside_lock, race

pytestmark = pytest.mark.django_db
LIMIT = 16


class Crash(BaseException):
    """The process ends here."""


def count_all(limit: int = LIMIT) -> None:
    while count_log(limit=limit):
        pass


@pytest.mark.postgresql
def test_everything_is_counted_by_hour_and_day() -> None:
    log_entries(200)
    count_all()
    raw = counts_of_raw_log()
    assert len(raw) > 300
    assert counted() == raw


def test_counting_goes_on_where_it_has_stopped() -> None:
    log_entries(60)
    count_all()
    log_entries(60, seed=2)
    assert count_log() == 60
    assert count_log() == 0
    assert counted() == counts_of_raw_log()


def test_an_entry_that_waits_in_the_journal_is_counted_once_it_is_in_the_log() -> None:
    write_row(3)
    assert count_log() == 0
    sequencer.sequence()
    assert count_log() == 3


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("act", [count_all, rebuild])
def test_a_crash_at_any_statement_counts_nothing_twice_and_leaves_nothing_out(
    act: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "BATCH", LIMIT)
    log_entries(40)
    if act is rebuild:
        count_all()
    points = 0
    while _crashes_at(points, act):
        points += 1
    assert points >= 9
    assert counted() == counts_of_raw_log()


def _crashes_at(point: int, act: Callable[[], Any]) -> bool:
    """Run the act, and end it before the statement with this number. Return whether it had as many."""
    passed = 0

    def execute(run: Any, *arguments: Any) -> Any:
        nonlocal passed
        if passed == point:
            raise Crash
        passed += 1
        return run(*arguments)

    try:
        with connection.execute_wrapper(execute):
            act()
    except Crash:
        return True
    return False


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("what", ["count", "rebuild"])
def test_a_killed_process_counts_nothing_twice_and_leaves_nothing_out(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "BATCH", LIMIT)
    log_entries(80)
    if what == "rebuild":
        count_all()

    killed = preloaded.run(["-m", "tests.insights.killed", what, str(LIMIT)], _environment())

    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert Edition.objects.order_by("pk").last().counted == LIMIT  # type: ignore[union-attr]
    if what == "rebuild":
        assert counted() == counts_of_raw_log()  # the former edition is still in use
        assert rebuild() == 80
        assert Edition.objects.get().pk == 2
    count_all()
    assert counted() == counts_of_raw_log()


def _environment() -> dict[str, str]:
    """Return the environment of a process that uses the database of this test."""
    used = connection.settings_dict
    if connection.vendor == "sqlite":
        return {**os.environ, "DATABASE_PATH": str(used["NAME"])}
    host, port = used["HOST"] or "", used["PORT"] or ""
    url = f"postgresql://{used['USER']}:{used['PASSWORD']}@{host.replace('/', '%2F')}:{port}/{used['NAME']}"
    return {**os.environ, "DATABASE_URL": url}


@pytest.mark.django_db(transaction=True)
def test_workers_at_once_count_each_entry_once() -> None:
    log_entries(100)
    count_log(limit=1)  # the edition exists
    race([count_all] * 4)
    assert counted() == counts_of_raw_log()


@pytest.mark.django_db(transaction=True)
def test_first_counts_at_once_begin_one_edition() -> None:
    log_entries(40)
    race([count_all] * 3)
    assert Edition.objects.get().counted == 40
    assert counted() == counts_of_raw_log()


@pytest.mark.django_db(transaction=True)
def test_a_worker_counts_while_two_rebuild(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "BATCH", LIMIT)
    log_entries(100)
    count_log(limit=LIMIT)
    race([count_all, rebuild, rebuild])
    count_all()
    assert counted() == counts_of_raw_log()
    assert set(RollUp.objects.values_list("edition", flat=True)) == {Edition.objects.get().pk}


@pytest.mark.django_db(transaction=True)
def test_the_deletion_of_former_editions_skips_rows_that_another_transaction_has_locked() -> None:
    """A process that waited for them would then find none of its rows left, and stop before the others are deleted."""
    log_entries(20)
    count_all()
    Edition.objects.update(id=2)
    rows, left = RollUp.objects.count(), 8 if connection.vendor == "postgresql" else 0
    held = RollUp.objects.select_for_update().order_by("edition")[:8]
    assert beside_lock(held, delete_former_editions) == rows - left
    assert RollUp.objects.count() == left


@pytest.mark.django_db(transaction=True)
def test_a_rebuild_deletes_more_than_one_batch() -> None:
    log_entries(200)
    count_all()
    assert RollUp.objects.count() > 2 * BATCH
    rebuild()
    assert set(RollUp.objects.values_list("edition", flat=True)) == {2}


def test_a_rebuild_replaces_wrong_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    log_entries(100)
    count_all()
    RollUp.objects.filter(kind="decision").update(number=7)
    RollUp.objects.filter(kind="scope").delete()

    call_command("rebuild_rollups")

    assert capsys.readouterr().out == "Counted 100 entries.\n"
    assert counted() == counts_of_raw_log()
    assert RollUp.objects.exclude(kind="rows").count() == len(counted())


def test_a_rebuild_reads_archived_months(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_small_segments(monkeypatch)
    sequencer.forget()
    archived.forget()
    with archive_in(tmp_path / "archive") as folder:
        fill({JANUARY: 300, FEBRUARY: 300})
        raw = counts_of_raw_log()
        archive_month(JANUARY)
        archived.forget()
        assert Entry.objects.count() == 300

        assert rebuild() == 600

        assert counted() == raw
        archived.forget()
        for file in folder.rglob("entries*"):
            file.unlink()
        with pytest.raises(CommandError, match="goes on where it has stopped"):
            call_command("rebuild_rollups")
        assert counted() == raw


def test_the_counts_of_an_erased_person_stay() -> None:
    log_entries(100)
    raw = counts_of_raw_log()
    assert personal_keys.destroy_keys(["usr_0", "usr_1", "usr_2"]) > 0
    rebuild()
    assert counted() == raw


def test_a_missing_entry_is_not_passed_over() -> None:
    write_row(5)
    sequencer.sequence()
    if connection.vendor == "postgresql":
        pytest.skip("the trigger refuses it")
    with pruning(), connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER IF EXISTS audit_entry_no_delete")
        cursor.execute("DELETE FROM audit_entry WHERE leaf_index = 2")
    with pytest.raises(MissingEntry):
        count_log()
    with pytest.raises(CommandError, match="index 2 is missing"):
        call_command("rebuild_rollups")


def test_a_damaged_entry_is_reported_and_the_others_count(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_row(3)
    sequencer.sequence()
    keys = services.keys_of

    def keys_or_damage(entry: Any) -> Iterator[Any]:
        return keys(entry._replace(packed=b"\x00{") if entry.leaf_index == 1 else entry)

    monkeypatch.setattr(services, "keys_of", keys_or_damage)
    with caplog.at_level(logging.CRITICAL):
        assert count_log() == 3
    assert "index 1 cannot be read" in caplog.text
    assert {row[2:4] for row in counted() if row[2] == "decision"} == {("decision", "hour"), ("decision", "day")}
    assert {number for row, number in counted().items() if row[2] == "decision"} == {2}


def test_what_a_caller_sends_cannot_fill_the_roll_ups() -> None:
    write_row(1, scopes=[f"made:up{place}" for place in range(100)], metadata={"indexedScopes": ["email:read"]})
    sequencer.sequence()
    count_log()
    assert {row[5] for row in counted() if row[2] == "scope"} == {"allowed email:read", "allowed (other)"}


def _log_many_scopes(at: datetime) -> None:
    for agent in ("agt_1", "agt_2", "agt_3"):
        for place in range(10):
            write_row(1, at, agent_id=agent, scopes=[f"own:scope{place}"])
    sequencer.sequence()


@pytest.mark.postgresql
@cases("limit", [7, BATCH])
def test_a_day_of_an_organization_has_a_bounded_number_of_rows(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_ROWS_PER_DAY", 20)
    _log_many_scopes(NOW)
    count_all(limit)

    rows = counted()
    of_all = {row: number for row, number in rows.items() if not row[1]}
    fixed = {"allowed", "allowed (rest)", "(rest) allowed"}
    assert len([row for row in rows if row[1] or row[5] not in fixed]) == 20
    for kind in ("decision", "scope", "agent"):
        for unit in ("hour", "day"):
            assert sum(number for row, number in of_all.items() if row[2:4] == (kind, unit)) == 30
    assert sum(number for row, number in of_all.items() if row[5] == "allowed (rest)" and row[3] == "day") == 18
    rebuild()
    assert counted() == rows


def test_each_day_and_organization_has_its_own_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_ROWS_PER_DAY", 20)
    _log_many_scopes(NOW)
    count_all()
    before = len(counted())
    write_row(1, NOW + DAY, agent_id="agt_1", scopes=["own:scope1"])
    write_row(1, NOW, organization_id="org_2", agent_id="agt_1", scopes=["own:scope1"])
    sequencer.sequence()
    count_all()
    # Decisions, the agent and the scope, by hour and by day; decisions and the scope also of the agent.
    assert len(counted()) == before + 2 * 10


def test_a_transaction_writes_a_bounded_number_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "KEYS_PER_TRANSACTION", {connection.vendor: 100})
    log_entries(200)
    sizes: list[int] = []
    add = services._add

    def noted(edition: int, counts: Any) -> None:
        sizes.append(len(counts))
        add(edition, counts)

    monkeypatch.setattr(services, "_add", noted)
    assert count_log() == 200
    assert counted() == counts_of_raw_log()
    assert len(sizes) > 5
    assert max(sizes) < 120  # with the numbers of rows of each day


@pytest.mark.postgresql
def test_a_value_that_a_database_cannot_store_is_counted() -> None:
    write_row(1, scopes=["zero\0byte", "long" * 100])
    sequencer.sequence()
    assert count_log() == 1
    assert {row[5][:16] for row in counted() if row[2] == "scope"} == {"allowed zerobyte", "allowed longlong"}


@pytest.mark.postgresql
def test_old_hours_are_deleted_before_old_days(monkeypatch: pytest.MonkeyPatch) -> None:
    log_entries(40)  # in March
    count_all()
    before = counted()
    monkeypatch.setattr(clock, "now", lambda: NOW + timedelta(days=190))
    tasks.sweep_rollups()
    assert counted() == {row: number for row, number in before.items() if row[3] == "day"}
    monkeypatch.setattr(clock, "now", lambda: NOW + timedelta(days=210))
    tasks.sweep_rollups()
    assert not RollUp.objects.exists()


def test_the_worker_counts_and_sweeps() -> None:
    log_entries(100)
    assert tasks.count_log() == 100
    rows = RollUp.objects.count()  # of March
    assert tasks.sweep_rollups() == rows
