"""The log is insert-only, and its listings show each reader the right entries."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from audit.entries.drafts import Draft, prepare
from audit.events import Event, Outcome
from audit.models import Checkpoint, Entry, ImmutableError, Journal, Tile
from audit.selectors import (
    Filters,
    entries_for_organization,
    entries_for_user,
    entry_for_organization,
    entry_for_user,
)
from audit.sequencing.sequencer import sequence
from audit.services import append, record
from core import clock
from core.actor import Actor
from core.errors import NotFound
from tests.audit.journals import unchecked, write_unchecked
from tests.log import log_entries, log_entry
from tests.shared import cases

ACTOR = Actor("user", "usr_1", ip="203.0.113.7", user_agent="tests/1.0", request_id="req-12345678")

pytestmark = [pytest.mark.django_db, pytest.mark.postgresql]


@pytest.fixture(params=["in the journal", "in the log"])
def settle(request: pytest.FixtureRequest) -> Callable[[], Any]:
    """Return what to call after writing entries: their readers must not care where they are."""
    return sequence if request.param == "in the log" else lambda: None


def draft(event: Event = Event.CONSENT_APPROVED, **fields: object) -> Draft:
    return Draft(event=event, actor=ACTOR, **{"organization_id": "org_1", "user_id": "usr_1", **fields})


def ids(entries: Any) -> list[str]:
    return [entry.id for entry in entries]


@cases("number", [1, 30])
def test_few_and_many_entries_are_written_alike(number: int) -> None:
    odd = {"quote": "'\"%s \\ {1}", "emoji": "\U0001f600", "empty": ""}
    drafts = [draft(organization_id=None, user_id=None)]
    drafts += [
        draft(Event.TOKEN_ISSUED, service_organization_ids=["org_2"], metadata={**odd, "number": one})
        for one in range(number - 1)
    ]
    written = append(drafts)

    entries = list(log_entries().order_by("leaf_index"))
    assert ids(entries) == written
    assert [entry.content["metadata"].get("number") for entry in entries] == [None, *range(number - 1)]
    assert all(entry.content["metadata"] == {**odd, "number": n} for n, entry in enumerate(entries[1:]))
    assert [entry.user_id for entry in entries] == [None, *["usr_1"] * (number - 1)]
    for organization_id in ("org_1", "org_2"):
        assert ids(entries_for_organization(organization_id)) == written[:0:-1]


@pytest.mark.django_db(transaction=True)
def test_an_entry_requires_a_transaction() -> None:
    with pytest.raises(transaction.TransactionManagementError):
        append([draft()])
    assert not Journal.objects.exists()


def test_models_and_querysets_reject_changes() -> None:
    record(draft())
    sequence()
    record(draft())
    for model in (Entry, Journal, Checkpoint):
        row = model.objects.get()
        for attempt in (
            row.save,
            row.delete,
            model.objects.all().delete,
            lambda model=model: model.objects.update(pk=1),
        ):
            with pytest.raises(ImmutableError):
                attempt()


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("audit_entry", "event"),
        ("audit_entry", "sealed"),
        ("audit_entry", "opening"),
        ("audit_tile", "root"),
        ("audit_checkpoint", "note"),
        ("audit_journal", "body"),
    ],
)
@pytest.mark.parametrize("act", ["update", "delete", "truncate"])
def test_the_database_rejects_changes(table: str, column: str, act: str, store: str) -> None:
    Tile.objects.create(level=5, number=0, hashes=b"1", root=b"1")
    record(draft())
    sequence()
    record(draft())
    statements = {
        "update": f"UPDATE {table} SET {column} = {column}",
        "delete": f"DELETE FROM {table}",
        "truncate": f"TRUNCATE {table}" if store == "postgresql" else f"DELETE FROM {table} WHERE 1",
    }
    with pytest.raises(DatabaseError, match="insert-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statements[act])


@pytest.mark.parametrize("table", ["audit_entry", "audit_tile", "audit_checkpoint", "audit_journal"])
def test_a_row_cannot_be_replaced(table: str, store: str) -> None:
    if store != "sqlite":
        pytest.skip("PostgreSQL has no REPLACE")
    Tile.objects.create(level=5, number=0, hashes=b"1", root=b"1")
    record(draft())
    sequence()
    record(draft())
    with pytest.raises(DatabaseError, match="insert-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}")


def test_tenants_and_users_see_their_own_entries_newest_first(settle: Any) -> None:
    first, second = append([draft(), draft(Event.CONSENT_REVOKED)])
    record(draft(organization_id="org_2", user_id="usr_2"))
    settle()

    assert ids(entries_for_organization("org_1")) == [second, first]
    assert ids(entries_for_user("usr_1")) == [second, first]


@cases("change", [{"actor": {}}, {"timestamp": "2026-03-01T00:00:00"}, {"agentId": "a" * 65}], ids=repr)
def test_readers_pass_over_entries_that_cannot_be_logged(change: dict[str, Any], settle: Any) -> None:
    (prepared,) = prepare([draft()], clock.now())
    write_unchecked(unchecked(prepared, **change))
    good = record(draft())
    settle()

    stands_in = [prepared.id] if Entry.objects.exists() else []
    assert ids(entries_for_user("usr_1")) == ids(entries_for_organization("org_1")) == [*stands_in, good]


def test_an_entry_is_once_in_the_log_of_each_organization_concerned(settle: Any) -> None:
    both = record(draft(service_organization_ids=["org_2", "org_2", "org_1"]))
    service = record(draft(organization_id=None, service_organization_ids=["org_2"]))
    neither = record(draft(organization_id=None))
    settle()

    assert ids(entries_for_organization("org_1")) == [both]
    assert ids(entries_for_organization("org_2")) == [service, both]
    assert ids(entries_for_user("usr_1")) == [neither, service, both]
    assert log_entry(both).organization_ids == ["org_1", "org_2"]
    assert log_entry(neither).organization_ids == []
    assert log_entry(both).content["serviceOrganizationIds"] == ["org_1", "org_2"]


def test_a_page_can_start_after_any_entry(settle: Any) -> None:
    written = append([draft(service_organization_ids=["org_2"]) for _ in range(5)])
    settle()
    for organization_id in ("org_1", "org_2"):
        found, cursor = entries_for_organization(organization_id).page(written[3], 2)
        assert (ids(found), cursor) == ([written[2], written[1]], written[1])
    assert ids(entries_for_user("usr_1").page(written[1], 50)[0]) == [written[0]]


def test_filters_narrow_a_listing(settle: Any) -> None:
    record(draft(outcome=Outcome.DENIED, agent_id="agt_1"))
    wanted = record(draft(outcome=Outcome.ALLOWED, agent_id="agt_1"))
    record(draft(outcome=Outcome.ALLOWED, agent_id="agt_2"))
    settle()

    filters = Filters(agent_id="agt_1", outcome="allowed", event="consent.approved", user_id="usr_1")
    assert ids(entries_for_organization("org_1", filters)) == [wanted]


def test_a_filter_by_user_does_not_leave_the_users_own_log(settle: Any) -> None:
    own, _ = append([draft(), draft(user_id="usr_2")])
    settle()
    assert ids(entries_for_user("usr_1", Filters(user_id="usr_2"))) == [own]


def test_one_entry_is_found_only_by_those_whom_it_concerns(settle: Any) -> None:
    entry_id = record(draft(service_organization_ids=["org_2"]))
    settle()
    found = [entry_for_organization("org_1", entry_id), entry_for_organization("org_2", entry_id)]
    assert ids([*found, entry_for_user("usr_1", entry_id)]) == [entry_id] * 3
    for find, reader in ((entry_for_organization, "org_3"), (entry_for_user, "usr_2"), (entry_for_user, "usr_1 ")):
        with pytest.raises(NotFound):
            find(reader, entry_id)
