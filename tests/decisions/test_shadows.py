"""Shadow policies: they record what they would have decided, and decide nothing."""

from typing import Any

import pytest

from audit.entries import journal, packing
from audit.models import Entry, Journal
from audit.sequencing.sequencer import sequence
from core.actor import SYSTEM
from policies.models import Policy
from policies.services import create_policy
from tests.decisions.drivers import Decide, allowed, asking, bound, caller_of
from tests.world import Grant, make_caller, make_developer, make_resource_server, mean_for
from tokens.models import AccessToken, TokenFamily

pytestmark = pytest.mark.django_db

GUARD = {"type": "data_flow", "config": {"windowSeconds": 3600, "then": "deny"}}
BLOCK = {"type": "action_blocklist", "config": {"actions": ["email:send"]}}


def shadow(grant: Grant, *rules: Any, **fields: Any) -> Policy:
    fields = {"organization": grant.agent.organization, "name": "Draft", **fields}
    return create_policy(actor=SYSTEM, rules=list(rules), mode=Policy.Mode.SHADOW, **fields)


def records() -> list[Any]:
    """Return what shadow policies have recorded, oldest first."""
    rows = [
        [journal.read(entry) for entry in journal.decode(body)]
        for body in Journal.objects.order_by("id").values_list("body", flat=True)
    ]
    return [entry for row in rows for entry in row if entry.content["event"] == "policy.shadowed"]


def test_it_decides_nothing_and_records_what_it_would_deny(decide: Decide, grant: Grant) -> None:
    policy = shadow(grant, BLOCK)

    decisions = decide(asking(grant.access_token), asking(grant.access_token, "email:send", context={"to": "bob"}))

    assert allowed(decisions) == [True, True]
    (record,) = records()
    assert record.content["agentId"] == grant.agent.id
    assert record.content["metadata"] == {"wouldBe": "denied", "ruleType": "action_blocklist"}
    assert record.withheld["policy"]["policyId"] == policy.id
    assert (record.content["userId"], record.personal.get("call")) == (None, None)


@pytest.mark.postgresql
def test_however_much_they_record_the_log_takes_all(
    decide: Decide, grant: Grant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row of the journal that is longer than `MAX_BYTES` would not open again."""
    monkeypatch.setattr(journal, "ROW_BYTES", 64 * 1024)
    monkeypatch.setattr(packing, "MAX_BYTES", 128 * 1024)
    for _ in range(3):
        shadow(grant, BLOCK)
    decisions = decide(*[asking(grant.access_token, *["email:send"] * 100)] * 100)
    assert len(records()) == 300
    sequence()
    assert not Journal.objects.exists()
    assert {decision.audit_id for decision in decisions} <= {*Entry.objects.values_list("id", flat=True)}
    assert Entry.objects.filter(event="policy.shadowed").count() == 300


@pytest.mark.postgresql
def test_its_limit_counts_what_it_would_allow(decide: Decide, grant: Grant) -> None:
    config = {"maxRequests": 2, "windowSeconds": 3600, "scope": "global"}
    shadow(grant, {"type": "rate_limit", "config": config})
    assert allowed(decide(*[asking(grant.access_token)] * 2)) == [True, True]
    assert records() == []
    assert allowed(decide(*[asking(grant.access_token)] * 2)) == [True, True]
    assert len(records()) == 2


def test_it_records_what_it_would_ask(decide: Decide, grant: Grant) -> None:
    shadow(grant, {"type": "data_flow", "config": {"windowSeconds": 3600, "then": "ask"}})
    decisions = decide(asking(grant.access_token), asking(grant.access_token, "email:send"))
    assert allowed(decisions) == [True, True]
    assert [record.content["metadata"]["wouldBe"] for record in records()] == ["asked"]


def test_requests_that_are_denied_anyway_are_not_recorded(decide: Decide, grant: Grant) -> None:
    shadow(grant, BLOCK)
    create_policy(actor=SYSTEM, organization=grant.agent.organization, name="Deny", rules=[BLOCK])
    bound(grant, modes={"email:read": "ask"})
    decide(asking(grant.access_token, "email:send"), asking(grant.access_token, "email:read", "email:send"))
    assert records() == []


def test_it_concerns_one_agent_if_it_says_so(decide: Decide, grant: Grant) -> None:
    shadow(grant, BLOCK, agent=grant.agent)
    decide(asking(grant.access_token, "email:send"))
    assert len(records()) == 1


def test_the_services_policies_record_in_its_own_log(decide: Decide, grant: Grant) -> None:
    eve = make_developer("eve@example.com", "Eve")
    shop = make_resource_server(eve, "https://eve.example").server
    mean_for(AccessToken.objects.all(), shop)
    shadow(grant, BLOCK, organization=eve.organization)
    assert allowed(decide(asking(grant.access_token, "email:send", credential=make_caller(shop)))) == [True]
    (record,) = records()
    assert record.organization_ids == [eve.organization.id]
    assert allowed(decide(asking(grant.access_token, "email:send", credential=caller_of(grant)))) == [False]


def test_a_guard_changes_nothing_for_another_organizations_guard(decide: Decide, grant: Grant) -> None:
    eve = make_developer("eve@example.com", "Eve")
    shop = make_resource_server(eve, "https://eve.example").server
    mean_for(AccessToken.objects.all(), shop, is_default=True)
    create_policy(actor=SYSTEM, organization=eve.organization, name="Guard", rules=[GUARD])
    shadow(grant, GUARD)
    reading, sending = (
        asking(grant.access_token),
        asking(grant.access_token, "email:send", credential=make_caller(shop)),
    )
    assert allowed(decide(reading)) == [True]
    assert allowed(decide(sending)) == [True]
    (record,) = records()
    assert record.organization_ids == [grant.agent.organization.id]
    assert allowed(decide(reading._replace(credential=make_caller(shop)))) == [True]
    assert allowed(decide(sending)) == [False]


def test_without_a_user_to_ask_it_would_be_denied(decide: Decide, grant: Grant) -> None:
    shadow(grant, {"type": "data_flow", "config": {"windowSeconds": 3600, "then": "ask"}})
    TokenFamily.objects.update(user=None, consent=None)
    assert allowed(decide(asking(grant.access_token), asking(grant.access_token, "email:send"))) == [True, True]
    assert [record.content["metadata"]["wouldBe"] for record in records()] == ["denied"]
