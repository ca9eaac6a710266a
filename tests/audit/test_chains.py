"""Entries of work that was handed on: who finds them, and what each reader sees."""

from datetime import UTC, datetime
from typing import Any

import pytest

from audit.archiving.archive_format import decode_entry
from audit.archiving.archive_format import encode_entry as encode_entry_for_archive
from audit.entries.drafts import Draft, prepare
from audit.entries.journal import encode_entry, read
from audit.events import Event
from audit.models import Entry
from audit.readers.disclosure import visible_to_organization
from audit.sequencing.sequencer import sequence
from audit.verification.entries import checked_entries
from core.actor import Actor
from core.chains import Link
from tests.audit.journals import decision, unchecked, write_drafts, write_unchecked
from tests.shared import cases

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 1, tzinfo=UTC)
CHAIN = (Link("agt_0", None, "org_0"), Link("agt_9", "del_1", "org_9"), Link("agt_1", "del_2", "org_1"))
SHOWN = [{"agentId": link.agent_id, "delegationId": link.delegation_id} for link in CHAIN]


def test_each_organization_of_the_chain_has_the_entry_once() -> None:
    write_drafts([decision(chain=CHAIN, service_organization_ids=["org_9", "org_2"]), decision()])
    sequence()
    plain, chained = Entry.objects.all()
    assert chained.organization_ids == ["org_1", "org_0", "org_9", "org_2"]
    assert (chained.content["v"], plain.content["v"]) == (2, 1)
    assert "chain" not in plain.content
    assert len(list(checked_entries(2))) == 2
    assert decode_entry(encode_entry_for_archive(chained)).organization_ids == chained.organization_ids


@cases(("organization_id", "sees_services"), [("org_0", True), ("org_9", True), ("org_1", True), ("org_2", False)])
def test_an_organization_above_sees_the_decision_and_nothing_personal_of_the_acting_agent(
    organization_id: str, sees_services: bool
) -> None:
    services = ["org_2", "org_3"]
    (entry,) = write_drafts([decision(chain=CHAIN, service_organization_ids=services, policy_organization_id="org_1")])
    content = {**entry.content, "policyOrganizationId": "org_1"}
    visible = visible_to_organization(content, organization_id)
    is_acting = organization_id == "org_1"
    assert visible.personal == {"resource", "reason", "requestId", *(["ip"] if is_acting else [])}
    assert visible.withheld >= ({"services"} if sees_services else set())
    assert ("services" in visible.withheld) is sees_services
    assert ("policy" in visible.withheld) is is_acting


@cases(
    ("kind", "actor_id", "organization_id"),
    [
        ("agent", "agt_9", "org_9"),
        ("agent", "agt_0", "org_0"),
        ("agent", "agt_1", "org_1"),
        ("developer", "dev_1", None),
        ("api_key", "key_1", None),
        ("user", "usr_1", None),
    ],
)
def test_where_an_act_on_a_delegation_came_from_is_for_the_organization_that_acted(
    kind: Any, actor_id: str, organization_id: str | None
) -> None:
    actor = Actor(kind, actor_id, ip="203.0.113.7", user_agent="tests/1.0")
    draft = Draft(Event.DELEGATION_ENDED, actor, organization_id="org_1", agent_id="agt_1", chain=CHAIN)
    (entry,) = prepare([draft], NOW)
    content = {**entry.content, "policyOrganizationId": None}
    seen = [one for one in ("org_0", "org_9", "org_1") if "ip" in visible_to_organization(content, one).personal]
    assert seen == ([organization_id] if organization_id else [])


@cases(
    "chain",
    [
        [],
        SHOWN[:1],
        SHOWN,
        [{**one, "organizationId": 7} for one in SHOWN],
        [{**one, "organizationId": "org 1"} for one in SHOWN],
        [{**one, "organizationId": None, "delegationId": "del_1"} for one in SHOWN],
        [{**one, "organizationId": None} for one in SHOWN[:2]],
        {},
        "chain",
    ],
    ids=repr,
)
def test_a_chain_that_does_not_lead_to_the_agent_is_refused(chain: Any) -> None:
    (entry,) = prepare([decision(chain=CHAIN)], NOW)
    with pytest.raises(ValueError, match="Not an entry"):
        encode_entry(entry._replace(content={**entry.content, "chain": chain}))
    with pytest.raises(ValueError, match="Not an entry"):
        read(unchecked(entry, chain=chain))


@cases("version", [1, 3])
def test_a_chain_needs_version_2(version: int) -> None:
    (entry,) = prepare([decision(chain=CHAIN)], NOW)
    with pytest.raises(ValueError, match="Not an entry"):
        read(unchecked(entry, v=version))


@cases(("changes", "organizations"), [({}, ["org_1", "org_0", "org_9"]), ({"agentId": "agt_7"}, ["org_1"])])
def test_a_stand_in_has_the_chain_if_it_can_be_read(changes: Any, organizations: list[str]) -> None:
    (entry,) = prepare([decision(chain=CHAIN)], NOW)
    write_unchecked(unchecked(entry, scopes=[1], **changes))
    sequence()
    found = Entry.objects.get()
    assert (found.event, found.organization_ids) == (Event.ENTRY_DAMAGED, organizations)
    assert found.content["v"] == (2 if len(organizations) > 1 else 1)
