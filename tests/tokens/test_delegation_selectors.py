"""What was handed on as lists and pages show it: whether it still holds, and what was used of its limits."""

from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents.models import Agent
from consent.services import revoke_consent
from core import clock
from core.errors import NotFound
from decisions.requests import VerifyRequest
from tests.decisions.drivers import decide_on_django
from tests.world import ANONYMOUS, Grant, as_user, hand_over, let_delegate, make_agent, make_grant, make_user
from tokens.delegation_selectors import (
    State,
    Use,
    delegation_for_user,
    delegations_of,
    delegations_of_organization,
    read_states,
)
from tokens.delegations import end_delegation
from tokens.models import Delegation, TokenFamily

pytestmark = pytest.mark.django_db

SPEND = {
    "type": "spend_limit",
    "config": {"maxAmount": "100.00", "currency": "EUR", "windowSeconds": 3600, "scope": "per_user"},
}
RATE = {"type": "rate_limit", "config": {"maxRequests": 5, "windowSeconds": 3600, "scope": "per_user"}}
ONLY = {
    "type": "context_match",
    "config": {"conditions": [{"field": "recipient", "operator": "matches_any", "values": ["*@example.com"]}]},
}


@pytest.fixture
def grant() -> Grant:
    return make_grant(scopes=["email:read", "email:send"])


def below(agent: Agent, name: str) -> Agent:
    assert agent.organization is not None
    member = agent.organization.developers.earliest("pk")
    return make_agent(member, name=name, allowed_scopes=["email:read", "email:send"])


@pytest.fixture
def tree(grant: Grant) -> tuple[Delegation, Delegation, str]:
    """Return a delegation, one below it, and an access token of that one."""
    let_delegate(grant.access_token)
    scopes, limits = ["email:read", "email:send"], {"email:send": [SPEND, ONLY], "email:read": [RATE]}
    upper, issued = hand_over(grant.access_token, below(grant.agent, "Summarizer"), scopes, limits=limits)
    lower, last = hand_over(issued.access_token, below(grant.agent, "Translator"), scopes)
    return upper, lower, last.access_token


def states(grant: Grant) -> dict[str, State]:
    grant.consent.refresh_from_db()
    return {state.delegation.to_agent.name: state for state in read_states(delegations_of(grant.consent), clock.now())}


def active(grant: Grant) -> set[str]:
    return {name for name, state in states(grant).items() if state.is_active}


def test_the_limits_of_a_delegation_show_what_all_below_it_has_used(grant: Grant, tree: Any) -> None:
    _upper, _lower, token = tree
    context = {"amount": {"value": "12.50", "currency": "EUR"}, "recipient": "bob@example.com"}
    calls = [
        VerifyRequest(token=token, required_scopes=("email:send",), actor=ANONYMOUS, context=context),
        VerifyRequest(token=token, required_scopes=("email:read",), actor=ANONYMOUS),
    ]
    assert all(decision.allowed for decision in decide_on_django(*calls))
    found = states(grant)
    assert [*found["Summarizer"].uses] == [
        Use("email:read", RATE, 1),
        Use("email:send", SPEND, Decimal("12.5")),
        Use("email:send", ONLY, None),
    ]
    assert not found["Translator"].uses


def test_ending_one_ends_all_below_it(grant: Grant, tree: Any) -> None:
    upper, lower, _token = tree
    assert active(grant) == {"Summarizer", "Translator"}
    end_delegation(actor=as_user(grant.user), delegation=lower)
    assert active(grant) == {"Summarizer"}
    Delegation.objects.filter(pk=lower.pk).update(ended_at=None)
    end_delegation(actor=as_user(grant.user), delegation=upper)
    assert active(grant) == set()


def test_it_has_ended_with_its_tokens_and_its_connection(grant: Grant, tree: Any) -> None:
    _upper, lower, _token = tree
    family = TokenFamily.objects.get(delegation=lower)
    TokenFamily.objects.filter(pk=family.pk).update(revoked_at=clock.now())
    assert active(grant) == {"Summarizer"}
    Delegation.objects.filter(pk=lower.pk).update(redeemed_at=None)
    assert active(grant) == {"Summarizer", "Translator"}
    Delegation.objects.filter(pk=lower.pk).update(token_expires_at=clock.now())
    assert active(grant) == {"Summarizer"}
    revoke_consent(actor=as_user(grant.user), consent=grant.consent)
    assert active(grant) == set()


def test_another_user_finds_none(grant: Grant, tree: Any) -> None:
    upper, _lower, _token = tree
    assert delegation_for_user(grant.user, upper.pk) == upper
    with pytest.raises(NotFound):
        delegation_for_user(make_user("eve@example.com"), upper.pk)


def test_any_number_of_them_is_read_by_two_statements(grant: Grant, tree: Any, django_assert_num_queries: Any) -> None:
    """Themselves and the counters. What is above them is read if it is not among them."""
    with django_assert_num_queries(2):
        read_states(delegations_of(grant.consent), clock.now())


def test_an_organization_is_asked_only_about_agents_that_took_part(
    grant: Grant, tree: tuple[Delegation, Delegation, str]
) -> None:
    """It can have had any number of agents, with those that it has deleted."""
    upper, lower, _ = tree
    idle = below(grant.agent, "Idle")
    with CaptureQueriesContext(connection) as queries:
        lists = [list(delegations_of_organization(idle.organization_id, is_given=side)) for side in (None, True, False)]
    assert lists == [[lower, upper]] * 3
    assert not [one for one in queries if idle.id in one["sql"]]
