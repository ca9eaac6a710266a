"""Decisions about work that was handed on: bounded by each agent of the chain, and counted for each."""

from typing import Any

import pytest

from agents.models import Agent
from core.actor import SYSTEM
from decisions.requests import Decision, Reason, VerifyRequest
from policies.services import create_policy
from tests.decisions.drivers import Decide
from tests.world import ANONYMOUS, Grant, as_user, hand_over, let_delegate, make_agent
from tokens.delegations import end_delegation

RATE = {"type": "rate_limit", "config": {"maxRequests": 2, "windowSeconds": 3600, "scope": "per_user"}}


def member(agent: Agent) -> Any:
    assert agent.organization is not None
    return agent.organization.developers.earliest("pk")


@pytest.fixture
def second(grant: Grant) -> Agent:
    return make_agent(member(grant.agent), name="Summarizer", allowed_scopes=["email:read", "email:send"])


@pytest.fixture
def third(grant: Grant) -> Agent:
    return make_agent(member(grant.agent), name="Translator", allowed_scopes=["email:read", "email:send"])


def request(token: str, *scopes: str, **fields: Any) -> VerifyRequest:
    return VerifyRequest(token=token, required_scopes=scopes or ("email:read",), actor=ANONYMOUS, **fields)


def ask(decide: Decide, token: str, *scopes: str, **fields: Any) -> Decision:
    (decision,) = decide(request(token, *scopes, **fields))
    return decision


@pytest.mark.both_drivers
def test_a_chain_acts_within_what_each_of_its_agents_has(
    decide: Decide, grant: Grant, second: Agent, third: Agent
) -> None:
    let_delegate(grant.access_token)
    first, summarizer = hand_over(grant.access_token, second, ["email:read"])
    below, translator = hand_over(summarizer.access_token, third, ["email:read"])
    allowed = ask(decide, translator.access_token)
    assert allowed.allowed
    assert [(link.agent_id, link.delegation_id) for link in allowed.chain] == [
        (grant.agent.id, None),
        (second.id, first.id),
        (third.id, below.id),
    ]
    assert ask(decide, translator.access_token, "email:send").reason is Reason.INSUFFICIENT_SCOPE
    end_delegation(actor=as_user(grant.user), delegation=first)
    assert ask(decide, translator.access_token).reason is Reason.DELEGATION_ENDED
    assert ask(decide, summarizer.access_token).reason is Reason.DELEGATION_ENDED
    assert ask(decide, grant.access_token).allowed


@pytest.mark.both_drivers
def test_a_rule_refuses_what_was_handed_over(decide: Decide, grant: Grant, second: Agent) -> None:
    let_delegate(grant.access_token)
    _delegation, summarizer = hand_over(grant.access_token, second, ["email:read"])
    rules = [{"type": "delegation", "config": {"maxDepth": 0}}]
    create_policy(actor=SYSTEM, organization=grant.agent.organization, name="Only itself", rules=rules)
    assert ask(decide, grant.access_token).allowed
    denied = ask(decide, summarizer.access_token)
    assert denied.policy is not None
    assert (denied.reason, denied.policy.rule_type) == (Reason.POLICY_DENIED, "delegation")
