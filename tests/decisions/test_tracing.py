"""Traces: what each rule said of a request, for the resource server that asks."""

from typing import Any

import pytest

from consent.models import Consent
from core.actor import SYSTEM
from decisions.requests import RuleTrace
from policies.services import create_policy
from tests.decisions.drivers import Decide, allowed, asking, bound, caller_of, limit
from tests.world import (
    Grant,
    hand_over,
    let_delegate,
    make_agent,
    make_caller,
    make_developer,
    make_resource_server,
    mean_for,
)
from tokens.issuing import IssuedTokens
from tokens.models import AccessToken

pytestmark = pytest.mark.django_db

BLOCK = {"type": "action_blocklist", "config": {"actions": ["email:send"]}}
ELSEWHERE = {"type": "ip_allowlist", "config": {"cidrs": ["192.0.2.0/24"], "actions": ["files:read"]}}


def outcomes(trace: tuple[RuleTrace, ...] | None) -> list[tuple[str, str]]:
    assert trace is not None
    return [(rule.rule_type, rule.outcome.value) for rule in trace]


def explain(grant: Grant | IssuedTokens, *scopes: str, **fields: Any) -> Any:
    return asking(grant.access_token, *scopes, explains=True, **fields)


def test_every_rule_is_traced_also_after_a_denial(decide: Decide, grant: Grant) -> None:
    create_policy(actor=SYSTEM, organization=grant.agent.organization, name="Rules", rules=[BLOCK, ELSEWHERE])
    limit(grant, 1)
    caller = caller_of(grant)

    (denied,) = decide(explain(grant, "email:send", credential=caller))

    assert not denied.allowed
    assert outcomes(denied.trace) == [
        ("action_blocklist", "denied"),
        ("ip_allowlist", "not_concerned"),
        ("rate_limit", "passed"),
    ]
    first, _, last = denied.trace or ()
    assert (first.policy_name, first.rule_index, first.detail) == (
        "Rules",
        0,
        "The request asks for a blocked action.",
    )
    assert last.policy_name == "1 per_agent"


def test_a_full_limit_is_denied_and_nothing_is_counted_twice(decide: Decide, grant: Grant) -> None:
    limit(grant, 2)
    caller = caller_of(grant)
    decisions = decide(*[explain(grant, credential=caller)] * 3)
    assert allowed(decisions) == [True, True, False]
    assert [outcomes(decision.trace) for decision in decisions] == [
        [("rate_limit", "passed")],
        [("rate_limit", "passed")],
        [("rate_limit", "denied")],
    ]


def test_a_guard_asks(decide: Decide, grant: Grant) -> None:
    bound(grant, guards={"data_flow": "ask"})
    caller = caller_of(grant)
    _, asked = decide(asking(grant.access_token), explain(grant, "email:send", credential=caller))
    assert outcomes(asked.trace) == [("data_flow", "asked")]
    assert asked.trace
    assert asked.trace[0].policy_id is None, "the user's own bounds are not the service's"


def test_of_others_policies_only_the_type_is_shown(decide: Decide, grant: Grant) -> None:
    eve = make_developer("eve@example.com", "Eve")
    shop = make_resource_server(eve, "https://eve.example").server
    mean_for(AccessToken.objects.all(), shop)
    create_policy(actor=SYSTEM, organization=grant.agent.organization, name="Secret", rules=[ELSEWHERE])
    create_policy(actor=SYSTEM, organization=eve.organization, name="Own", rules=[ELSEWHERE])

    (decision,) = decide(explain(grant, credential=make_caller(shop)))

    assert [(rule.policy_name, rule.rule_index) for rule in decision.trace or ()] == [(None, None), ("Own", 0)]


def test_without_explain_there_is_none(decide: Decide, grant: Grant) -> None:
    limit(grant, 2)
    assert decide(asking(grant.access_token))[0].trace is None


def test_a_scope_of_which_the_user_is_asked_is_traced(decide: Decide, grant: Grant) -> None:
    limit(grant, 2)
    bound(grant, modes={"email:send": "ask"})
    (asked,) = decide(explain(grant, "email:send", "email:read", action="email:send", credential=caller_of(grant)))
    assert asked.reason == "approval_required"
    assert outcomes(asked.trace) == [("rate_limit", "passed"), ("mode", "asked")]


def test_a_critical_scope_that_was_handed_on_is_traced(decide: Decide, grant: Grant) -> None:
    let_delegate(grant.access_token)
    Consent.objects.update(terms={"critical": ["email:send"]})
    developer = grant.agent.organization.developers.get()  # type: ignore[union-attr]
    second = make_agent(developer, name="Second", allowed_scopes=["email:send"])
    _delegation, issued = hand_over(grant.access_token, second, ["email:send"])
    caller = caller_of(grant)
    asked, own = (explain(each, "email:send", credential=caller) for each in (issued, grant))
    assert [outcomes(each.trace) for each in decide(asked, own)] == [[("mode", "asked")], []]


def test_a_refused_request_has_an_empty_trace(decide: Decide, grant: Grant) -> None:
    (missing,) = decide(explain(grant, "files:read", credential=caller_of(grant)))
    assert (missing.allowed, missing.trace) == (False, ())


def test_a_token_that_was_deleted_has_an_empty_trace(decide: Decide, grant: Grant) -> None:
    caller = caller_of(grant)
    AccessToken.objects.all().delete()
    assert decide(explain(grant, credential=caller))[0].trace == ()
