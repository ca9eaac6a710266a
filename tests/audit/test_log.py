"""The log is insert-only, and its listings show each reader the right entries."""

import hashlib
import json

import pytest
import rfc8785
from django.db import DatabaseError, connection, transaction

from audit.drafts import Draft
from audit.events import Event, Outcome
from audit.models import Entry, ImmutableError
from audit.selectors import Filters, describe, entries_for_organization, entries_for_user
from audit.services import append, record
from audit.tables import FEW
from core.actor import Actor

ACTOR = Actor("user", "usr_1", ip="203.0.113.7", user_agent="tests/1.0", request_id="req-12345678")

pytestmark = pytest.mark.django_db


def draft(event: Event = Event.CONSENT_APPROVED, **fields: object) -> Draft:
    return Draft(event=event, actor=ACTOR, **{"organization_id": "org_1", "user_id": "usr_1", **fields})


def test_an_entry_is_canonical_json() -> None:
    entry_id = record(draft(scopes=("email:read",), metadata={"b": 1, "a": 2}))

    entry = Entry.objects.get(pk=entry_id)
    assert entry.body.encode() == rfc8785.dumps(json.loads(entry.body))
    assert entry.content["actor"] == {"kind": "user", "id": "usr_1"}
    assert entry.content["scopes"] == ["email:read"]


def test_an_entry_stores_only_a_commitment_to_its_personal_data() -> None:
    entry_id = record(draft(resource="mailbox of Ada"))

    entry = Entry.objects.get(pk=entry_id)
    commitment = hashlib.sha256(bytes(entry.salt) + entry.personal_data.encode()).hexdigest()
    assert entry.content["personal"] == commitment
    for text in ("203.0.113.7", "tests/1.0", "Ada"):
        assert text not in entry.body
        assert text in entry.personal_data


def test_erasing_personal_data_leaves_the_entry_readable() -> None:
    entry_id = record(draft())
    other_id = record(draft())
    assert Entry.objects.filter(pk=entry_id).erase_personal_data() == (1, 0)

    content, other = describe([Entry.objects.get(pk=entry_id), Entry.objects.get(pk=other_id)])
    assert content["personal"] == {}
    assert content["event"] == "consent.approved"
    assert other["personal"]["ip"] == "203.0.113.7"
    assert Entry.objects.get(pk=entry_id).salt is None


@pytest.mark.parametrize("number", [1, FEW, FEW + 1, 30])
def test_few_and_many_entries_are_written_alike(number: int, django_assert_num_queries: object) -> None:
    odd = {"quote": "'\"%s \\ {1}", "emoji": "\U0001f600", "empty": ""}
    drafts = [draft(organization_id=None, user_id=None)]
    drafts += [draft(service_organization_ids=["org_2"], metadata={**odd, "number": one}) for one in range(number - 1)]
    one_statement = connection.vendor == "postgresql" and number <= FEW
    with django_assert_num_queries(1 if one_statement else 2):
        ids = append(drafts)

    entries = list(Entry.objects.order_by("id"))
    assert [entry.id for entry in entries] == ids
    assert [entry.content["metadata"].get("number") for entry in entries] == [None, *range(number - 1)]
    assert all(entry.content["metadata"] == {**odd, "number": n} for n, entry in enumerate(entries[1:]))
    assert [entry.user_id for entry in entries] == [None, *["usr_1"] * (number - 1)]
    for organization_id in ("org_1", "org_2"):
        assert [entry.id for entry in entries_for_organization(organization_id)] == ids[:0:-1]
    for entry in entries:
        commitment = hashlib.sha256(bytes(entry.salt) + entry.personal_data.encode()).hexdigest()
        assert (entry.personal["ip"], entry.content["personal"]) == ("203.0.113.7", commitment)


@pytest.mark.django_db(transaction=True)
def test_an_entry_requires_a_transaction() -> None:
    with pytest.raises(transaction.TransactionManagementError):
        append([draft()])
    assert not Entry.objects.exists()


def test_models_and_querysets_reject_changes() -> None:
    entry = Entry.objects.get(pk=record(draft()))
    for attempt in (entry.save, entry.delete, Entry.objects.all().delete, lambda: Entry.objects.update(event="x")):
        with pytest.raises(ImmutableError):
            attempt()


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("audit_entry", "event"),
        ("audit_concern", "organization_id"),
    ],
)
@pytest.mark.parametrize("act", ["update", "delete", "truncate"])
def test_the_database_rejects_changes(table: str, column: str, act: str, store: str) -> None:
    entry_id = record(draft())
    statements = {
        "update": f"UPDATE {table} SET {column} = 'x'",
        "delete": f"DELETE FROM {table}",
        "truncate": f"TRUNCATE {table}" if store == "postgresql" else f"DELETE FROM {table} WHERE 1",
    }
    with pytest.raises(DatabaseError, match="insert-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statements[act])
    assert [entry.id for entry in entries_for_organization("org_1")] == [entry_id]


def test_tenants_and_users_see_their_own_entries_newest_first() -> None:
    first, second = append([draft(), draft(Event.CONSENT_REVOKED)])
    record(draft(organization_id="org_2", user_id="usr_2"))

    assert [entry.id for entry in entries_for_organization("org_1")] == [second, first]
    assert [entry.id for entry in entries_for_user("usr_1")] == [second, first]


def test_an_entry_is_once_in_the_log_of_each_organization_concerned() -> None:
    both = record(draft(service_organization_ids=["org_2", "org_2", "org_1"]))
    service = record(draft(organization_id=None, service_organization_ids=["org_2"]))
    neither = record(draft(organization_id=None))

    assert [entry.id for entry in entries_for_organization("org_1")] == [both]
    assert [entry.id for entry in entries_for_organization("org_2")] == [service, both]
    assert Entry.objects.get(pk=both).organization_ids == ["org_1", "org_2"]
    assert Entry.objects.get(pk=neither).organization_ids == []
    assert Entry.objects.get(pk=both).content["serviceOrganizationIds"] == ["org_1", "org_2"]


def test_a_listing_can_start_before_any_entry() -> None:
    ids = append([draft(service_organization_ids=["org_2"]) for _ in range(5)])
    for organization_id in ("org_1", "org_2"):
        found = entries_for_organization(organization_id, Filters(before=ids[3]))
        assert [entry.id for entry in found] == [ids[2], ids[1], ids[0]]
    assert [entry.id for entry in entries_for_user("usr_1", Filters(before=ids[1]))] == [ids[0]]


def test_filters_narrow_a_listing() -> None:
    record(draft(outcome=Outcome.DENIED, agent_id="agt_1"))
    wanted = record(draft(outcome=Outcome.ALLOWED, agent_id="agt_1"))
    record(draft(outcome=Outcome.ALLOWED, agent_id="agt_2"))

    filters = Filters(agent_id="agt_1", outcome="allowed", event="consent.approved", user_id="usr_1")
    assert [entry.id for entry in entries_for_organization("org_1", filters)] == [wanted]
