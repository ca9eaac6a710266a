"""Replays of policies over decisions of the log: exact, so a policy in force agrees with what the engine said."""

import random
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents.models import Agent
from approvals.models import Approval
from audit.entries.personal_keys import destroy_keys
from audit.sequencing.sequencer import sequence
from consent.granting import approve_consent
from core.actor import SYSTEM
from core.money import Amount
from decisions.requests import VerifyRequest
from decisions.whatif import replaying, simulation
from decisions.whatif.replaying import Change, Gap, Totals
from decisions.whatif.simulation import OtherReplay, ReplayReport, Simulated, replay_decisions
from limits.models import Reservation
from limits.reservations import ReservationExpired, commit_reservation, void_reservation
from policies.models import Policy
from policies.services import create_policy
from tests.decisions.drivers import allowed, asking, bound, caller_of
from tests.decisions.drivers import decide_on_django as decide
from tests.world import (
    ANONYMOUS,
    Grant,
    as_user,
    ask,
    hand_over,
    let_delegate,
    make_agent,
    make_caller,
    make_developer,
    make_grant,
    make_resource_server,
    make_user,
    mean_for,
)
from tokens.exchange import exchange_code
from tokens.issuing import IssuedTokens
from tokens.models import AccessToken, Delegation, TokenFamily

pytestmark = pytest.mark.django_db

START = datetime(2026, 3, 23, 6, tzinfo=UTC)  # a Monday
SCOPES = ["payments:read", "browser:read", "email:send", "email:read", "calendar:freebusy"]
BLOCK = {"type": "action_blocklist", "config": {"actions": ["email:send"]}}
HOUR = {"windowSeconds": 3600, "scope": "per_user"}


def conditions(*listed: dict[str, Any], **config: Any) -> dict[str, Any]:
    return {"type": "context_match", "config": {"conditions": list(listed), **config}}


RECIPIENT = conditions({"field": "recipient", "operator": "ends_with", "value": "@acme.com"}, actions=["email:send"])
CEDAR = {
    "type": "cedar",
    "config": {
        "policy": "permit (principal, action, resource);\n"
        'forbid (principal, action == Action::"email:send", resource) when { context.request has n && '
        "context.request.n > 7 };"
    },
}
POLICIES: list[list[dict[str, Any]]] = [
    [{"type": "rate_limit", "config": {"maxRequests": 8, **HOUR}}],
    [
        {"type": "rate_limit", "config": {"maxRequests": 30, "windowSeconds": 14_400, "scope": "global"}},
        {"type": "rate_limit", "config": {"maxRequests": 2, "actions": ["email:send"], **HOUR}},
    ],
    [RECIPIENT],
    [CEDAR, {"type": "ip_allowlist", "config": {"cidrs": ["10.0.0.0/8"]}}],
    [{"type": "data_flow", "config": {"windowSeconds": 60, "then": "deny"}}],
    [
        {
            "type": "spend_limit",
            "config": {"maxAmount": "40.00", "currency": "EUR", "actions": ["payments:read"], **HOUR},
        }
    ],
    [{"type": "data_flow", "config": {"windowSeconds": 7200, "then": "ask", "actions": ["email:*", "browser:read"]}}],
    [
        {
            "type": "time_window",
            "config": {"allowedDays": [1, 2, 3], "startTimeUtc": "07:00", "endTimeUtc": "03:00", "timezone": "UTC"},
        }
    ],
]


@pytest.fixture
def travel() -> Iterator[Any]:
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


@pytest.fixture
def grant(travel: Any) -> Grant:
    return make_grant(scopes=SCOPES)


def enforce(grant: Grant, *rules: Any, **fields: Any) -> Policy:
    fields = {"organization": grant.agent.organization, "name": "Policy", **fields}
    return create_policy(actor=SYSTEM, rules=list(rules), **fields)


def draft(*rules: Any, stored: Policy | None = None, agent_id: str | None = None) -> Simulated:
    return Simulated("Draft", agent_id, list(rules), stored)


def replay(grant: Grant, simulated: Simulated, days: int = 7) -> Totals:
    return report(grant, simulated, days).totals


def report(grant: Grant, simulated: Simulated, days: int = 7) -> ReplayReport:
    sequence()
    organization_id = grant.agent.organization_id
    assert organization_id
    return replay_decisions(simulated, organization_id=organization_id, days=days)


def found(totals: Totals) -> dict[Change, int]:
    return {change: number for change, number in totals.changes.items() if number}


def another_token_of(grant: Grant) -> str:
    """Return an access token of the same agent for another user."""
    user = make_user("eve@example.com")
    approval = approve_consent(actor=as_user(user), consent=ask(grant.agent, scopes=SCOPES), user=user)
    issued = exchange_code(actor=ANONYMOUS, agent=grant.agent, code=approval.code)
    assert isinstance(issued, IssuedTokens)
    return issued.access_token


def some_request(chance: random.Random, token: str, credential: Any) -> VerifyRequest:
    context: dict[str, Any] = {"n": chance.randrange(10)} if chance.random() < 0.8 else {}
    if chance.random() < 0.95:
        context["recipient"] = chance.choice(["a@acme.com"] * 5 + ["x@evil.com", ["a@acme.com", "x@evil.com"]])
    if chance.random() < 0.9:
        context["ip"] = chance.choice(["10.0.0.1"] * 9 + ["203.0.113.9"])
    if chance.random() < 0.5:
        context["task"] = chance.choice(["t1", "t2", "t3"])
    if chance.random() < 0.1:
        context["labels"] = chance.choice([["private", "untrusted"], ["outbound"], ["secret"]])
    if chance.random() < 0.95:
        context["amount"] = {"value": f"{chance.randrange(20)}.{chance.randrange(100):02}", "currency": "EUR"}
    scopes = chance.sample(SCOPES, chance.choice([1, 1, 1, 2]))
    action = chance.choice([None, None, "email:send"])
    credential = chance.choice([None, credential])
    reserve = chance.choice([30, 600, 1800]) if "amount" in context and chance.random() < 0.4 else None
    return asking(token, *scopes, context=context, credential=credential, action=action, reserve_seconds=reserve)


def resolve_some(chance: random.Random, held: list[str], server_id: str) -> None:
    """Commit or void some reservations, each by a part of its amount, and leave others to lapse."""
    for reservation_id in chance.sample(held, min(len(held), chance.randrange(3))):
        held.remove(reservation_id)
        with suppress(ReservationExpired):
            if chance.random() < 0.5:
                void_reservation(actor=SYSTEM, reservation_id=reservation_id, server_id=server_id)
            else:
                final = chance.choice([None, Amount("0.01", "EUR")])
                commit_reservation(actor=SYSTEM, reservation_id=reservation_id, server_id=server_id, final_amount=final)


def handed_on(grant: Grant) -> list[tuple[Agent, str]]:
    """Hand work on twice, and return these agents with an access token each. The work of the second has a task."""
    assert grant.agent.organization is not None
    member = grant.agent.organization.developers.earliest("pk")
    let_delegate(grant.access_token)
    first, second = (make_agent(member, name=name, allowed_scopes=SCOPES) for name in ("First", "Second"))
    _delegation, above = hand_over(grant.access_token, first, SCOPES)
    _delegation, below = hand_over(above.access_token, second, SCOPES[:4], task="t1")
    return [(first, above.access_token), (second, below.access_token)]


@pytest.mark.parametrize(("seed", "batches"), [(1, 150), pytest.param(2, 500, marks=pytest.mark.soak)])
def test_a_policy_in_force_agrees_with_what_the_engine_said(grant: Grant, travel: Any, seed: int, batches: int) -> None:
    chance = random.Random(seed)
    delegates = handed_on(grant)
    agents = [None, grant.agent, *(agent for agent, _token in delegates)]
    policies = [enforce(grant, *rules, agent=chance.choice(agents)) for rules in POLICIES]
    tokens = [grant.access_token, another_token_of(grant), *(token for _agent, token in delegates)]
    for model, name in ((AccessToken, "expires"), (TokenFamily, "expires_at"), (Delegation, "expires_at")):
        model.objects.update(**{name: START + timedelta(days=9)})
    caller, decisions, held = caller_of(grant), [], []
    bound(grant, modes={"calendar:freebusy": "ask"})
    for _ in range(batches):
        travel.shift(timedelta(seconds=chance.choice([1, 20, 40, 300, 1500]) * chance.random()))
        requests = [some_request(chance, chance.choice(tokens), caller) for _ in range(chance.randrange(1, 8))]
        decisions += decide(*requests)
        held += [each.reservation_id for each in decisions[-len(requests) :] if each.reservation_id]
        resolve_some(chance, held, caller.server_id)
        if chance.random() < 0.05:
            Approval.objects.filter(status="pending").update(status="approved")

    named = {decision.policy.policy_id for decision in decisions if decision.policy}
    assert named >= {policy.id for policy in policies}
    assert sum(allowed(decisions)) > 50
    assert set(Reservation.objects.values_list("status", flat=True)) >= {"held", "committed", "voided"}
    for policy in policies:
        agent_id = policy.agent.id if policy.agent else None
        totals = replay(grant, draft(*policy.rules, stored=policy, agent_id=agent_id))
        assert totals.decisions == len(decisions)
        assert (found(totals), +totals.gaps) == ({}, {})


def test_each_organization_replays_what_its_policies_see_of_a_chain(grant: Grant) -> None:
    services, rival = make_developer("services@example.com", "Services"), make_developer("rival@example.com", "Rival")
    type(rival.organization).objects.update(is_verified=True)
    let_delegate(grant.access_token, "verified")
    other = make_agent(rival, name="Other", allowed_scopes=SCOPES)
    delegation, issued = hand_over(grant.access_token, other, SCOPES)
    server = make_resource_server(services, "https://mail.example").server
    mean_for(AccessToken.objects.all(), server)
    caller = make_caller(server)
    assert all(allowed(decide(asking(issued.access_token, "email:send", credential=caller))))
    sequence()
    no_chains = draft({"type": "delegation", "config": {"maxDepth": 0}})

    def denied_about(organization_id: str, simulated: Simulated, **about: Any) -> tuple[int, set[str]]:
        totals = replay_decisions(simulated, organization_id=organization_id, days=7, **about).totals
        return totals.changes[Change.NEWLY_DENIED], {place.agent_id for place in totals.places}

    own = str(grant.agent.organization_id)
    assert denied_about(own, no_chains) == (1, {grant.agent.id})
    assert denied_about(own, draft(BLOCK, agent_id=grant.agent.id)) == (1, {grant.agent.id})
    assert denied_about(own, draft(BLOCK, agent_id=other.id)) == (0, set())
    assert denied_about(own, no_chains, agent_ids=[grant.agent.id]) == (1, {grant.agent.id})
    assert denied_about(own, no_chains, agent_ids=[other.id]) == (0, set())
    assert denied_about(rival.organization_id, no_chains) == (1, {other.id})
    assert denied_about(rival.organization_id, draft(BLOCK, agent_id=grant.agent.id)) == (0, set())
    assert denied_about(services.organization_id, draft(BLOCK, agent_id=grant.agent.id)) == (1, {grant.agent.id})
    assert denied_about(services.organization_id, draft(BLOCK, agent_id=other.id)) == (1, {other.id})
    delegation.delete()
    guard = {"type": "data_flow", "config": {"windowSeconds": 3600, "then": "deny"}}
    totals = replay_decisions(draft(guard), organization_id=own, days=7).totals
    assert dict(totals.gaps) == {Gap.ERASED: 1}


def test_a_new_policy_denies_what_the_log_allowed(grant: Grant) -> None:
    decide(*[asking(grant.access_token, "email:send")] * 3, asking(grant.access_token))

    totals = replay(grant, draft(BLOCK))

    assert (totals.decisions, found(totals)) == (4, {Change.NEWLY_DENIED: 3})
    (place,) = totals.places
    assert place == (grant.agent.id, None, "action_blocklist", 0)


def test_a_draft_for_another_agent_changes_nothing(grant: Grant) -> None:
    decide(asking(grant.access_token, "email:send"))

    assert found(replay(grant, draft(BLOCK, agent_id="agt_other"))) == {}


def test_a_milder_draft_allows_what_the_replaced_policy_denied(grant: Grant) -> None:
    policy = enforce(grant, BLOCK)
    decide(*[asking(grant.access_token, "email:send")] * 3)

    totals = replay(grant, draft(stored=policy))

    assert found(totals) == {Change.NEWLY_ALLOWED: 3}
    assert list(totals.places) == [(grant.agent.id, policy.id, "action_blocklist", 0)]
    assert found(replay(grant, draft())) == {}  # in addition to the policy, which denies as before
    assert found(replay(grant, draft(BLOCK, stored=policy, agent_id="agt_other"))) == {Change.NEWLY_ALLOWED: 3}


def test_other_policies_still_deny_what_a_milder_draft_allows(grant: Grant) -> None:
    policy = enforce(grant, BLOCK)
    enforce(grant, {"type": "rate_limit", "config": {"maxRequests": 2, **HOUR}})
    decide(asking(grant.access_token), *[asking(grant.access_token, "email:send")] * 3)

    assert found(replay(grant, draft(stored=policy))) == {Change.NEWLY_ALLOWED: 1}


def test_what_other_policies_and_scopes_deny_stays_denied(grant: Grant) -> None:
    policy = enforce(grant, {"type": "rate_limit", "config": {"maxRequests": 2, **HOUR}})
    enforce(grant, BLOCK)
    decide(asking(grant.access_token, "email:send"), asking(grant.access_token, "payments:charge"))

    assert found(replay(grant, draft(stored=policy))) == {}


def test_a_draft_that_asks(grant: Grant) -> None:
    asks = {"type": "data_flow", "config": {"windowSeconds": 3600, "then": "ask"}}
    decide(*[asking(grant.access_token, scope) for scope in ("payments:read", "browser:read", "email:send")])

    assert found(replay(grant, draft(asks))) == {Change.NEWLY_ASKED: 1}
    policy = enforce(grant, BLOCK)
    decide(asking(grant.access_token, "email:send"))
    assert found(replay(grant, draft(asks, stored=policy))) == {Change.NEWLY_ASKED: 2}


def test_what_was_asked_is_allowed_without_the_policy_that_asked(grant: Grant) -> None:
    policy = enforce(grant, {"type": "data_flow", "config": {"windowSeconds": 3600, "then": "ask"}})
    decide(*[asking(grant.access_token, scope) for scope in ("payments:read", "browser:read", "email:send")])

    assert found(replay(grant, draft(stored=policy))) == {Change.NEWLY_ALLOWED: 1}
    assert found(replay(grant, draft(BLOCK, stored=policy))) == {Change.NEWLY_DENIED: 1}


def test_limits_count_what_came_before_the_replayed_days(grant: Grant, travel: Any) -> None:
    AccessToken.objects.update(expires=START + timedelta(days=9))
    limit = {"type": "rate_limit", "config": {"maxRequests": 3, "windowSeconds": 172_800, "scope": "global"}}
    decide(*[asking(grant.access_token)] * 3)
    travel.shift(timedelta(hours=25))
    decide(asking(grant.access_token))

    totals = replay(grant, draft(limit), days=1)

    assert (totals.decisions, found(totals)) == (1, {Change.NEWLY_DENIED: 1})


def test_decisions_before_the_replayed_days_are_left_out(grant: Grant, travel: Any) -> None:
    decide(asking(grant.access_token, "email:send"))
    travel.shift(timedelta(days=8))

    assert replay(grant, draft(BLOCK)).decisions == 0


def test_a_context_that_was_too_long_for_the_log_is_undecided(grant: Grant) -> None:
    long = {"recipient": "a@acme.com", "text": "x" * 5000}
    decide(asking(grant.access_token, "email:send", context=long), asking(grant.access_token, context=long))

    totals = replay(grant, draft(RECIPIENT))
    assert (found(totals), totals.gaps) == ({}, {Gap.TRUNCATED: 1})
    assert found(replay(grant, draft(BLOCK))) == {Change.NEWLY_DENIED: 1}


def test_a_context_that_looks_like_a_shortened_one_is_decided(grant: Grant) -> None:
    forged = {"truncated": True, "size": 9000, "sha256": "00", "beginning": "{"}
    decide(asking(grant.access_token, "email:send", context=forged))
    totals = replay(grant, draft(RECIPIENT))
    assert (found(totals), totals.gaps) == ({Change.NEWLY_DENIED: 1}, {})


def test_erased_data_is_undecided(grant: Grant) -> None:
    decide(*[asking(grant.access_token, "email:send", context={"recipient": "a@acme.com"})] * 2)
    sequence()
    destroy_keys([grant.user.id])

    totals = replay(grant, draft(RECIPIENT))
    assert (found(totals), totals.gaps) == ({}, {Gap.ERASED: 2})
    assert found(replay(grant, draft(BLOCK))) == {Change.NEWLY_DENIED: 2}


def test_a_service_learns_nothing_of_the_addresses_of_others_agents(grant: Grant) -> None:
    eve = make_developer("eve@example.com", "Eve")
    shop = make_resource_server(eve, "https://eve.example").server
    mean_for(AccessToken.objects.all(), shop)
    caller = make_caller(shop)
    assert allowed(decide(asking(grant.access_token, credential=caller, context={"ip": "10.0.0.1"}))) == [True]
    sequence()
    rules = [{"type": "ip_allowlist", "config": {"cidrs": ["203.0.113.0/24"]}}]

    theirs = replay_decisions(draft(*rules), organization_id=eve.organization_id, days=7).totals
    assert (theirs.decisions, found(theirs), theirs.gaps) == (1, {}, {Gap.HIDDEN: 1})
    assert found(replay(grant, draft(*rules))) == {Change.NEWLY_DENIED: 1}


def test_another_organizations_decisions_are_not_replayed(grant: Grant) -> None:
    decide(asking(grant.access_token, "email:send"))
    sequence()
    eve = make_developer("eve@example.com", "Eve")

    assert replay_decisions(draft(BLOCK), organization_id=eve.organization_id, days=7).totals.decisions == 0


@pytest.mark.parametrize("bound_of", ["decisions", "counters", "seconds"])
def test_a_replay_ends_at_its_bounds(grant: Grant, monkeypatch: pytest.MonkeyPatch, bound_of: str) -> None:
    limit = {"type": "rate_limit", "config": {"maxRequests": 3, "windowSeconds": 60, "scope": "per_user"}}
    decide(*[asking(grant.access_token)] * 3)
    assert not report(grant, draft(limit)).is_truncated
    monkeypatch.setattr(
        *{
            "decisions": (simulation, "MAX_DECISIONS", 2),
            "counters": (replaying, "MAX_COUNTERS", 0),
            "seconds": (simulation, "MAX_SECONDS", -1.0),
        }[bound_of]
    )

    found_now = report(grant, draft(limit))
    assert found_now.is_truncated
    assert found_now.totals.decisions < 3


def test_replays_take_turns(grant: Grant) -> None:
    with simulation._place(), pytest.raises(OtherReplay):
        report(grant, draft(BLOCK))
    assert report(grant, draft(BLOCK)).totals.decisions == 0


@pytest.mark.django_db(transaction=True)
def test_a_replay_writes_nothing(grant: Grant) -> None:
    decide(*[asking(grant.access_token)] * 20)
    sequence()
    with CaptureQueriesContext(connection) as captured:
        replay(grant, draft({"type": "rate_limit", "config": {"maxRequests": 3, **HOUR}}, BLOCK))
    written = [query["sql"] for query in captured.captured_queries if not query["sql"].startswith(("SELECT", "\n"))]
    assert written == []
