"""Decisions about work that was handed on: bounded by each agent of the chain, and counted for each."""

from typing import Any

import pytest

from agents.models import Agent
from agents.services import update_agent
from approvals.models import Approval
from consent.models import Consent
from consent.targets import Pick
from core import clock
from core.actor import SYSTEM
from decisions.approvals import MAX_PROMPTS
from decisions.requests import Decision, Reason, VerifyRequest
from decisions.stores.reading import ask_facts
from decisions.stores.statements import Statement
from policies.models import Policy
from policies.rules.budget import PER_CALL
from policies.rules.context_match import ContextMatch
from policies.services import create_policy
from resources.custom_scopes import ScopeDefinition
from resources.models import CustomScope
from tests.decisions.drivers import Decide, bound, questions, written_rows
from tests.decisions.test_asking import approve
from tests.world import (
    ANONYMOUS,
    Grant,
    as_owner,
    as_user,
    grant_to,
    hand_over,
    let_delegate,
    make_agent,
    make_caller,
    make_developer,
    make_resource_server,
    make_user,
)
from tokens.chains import is_chain_live, read_chain
from tokens.delegations import end_delegation
from tokens.models import Delegation

RATE = {"type": "rate_limit", "config": {"maxRequests": 2, "windowSeconds": 3600, "scope": "per_user"}}
READ, SEND = "email:read", "email:send"


def member(agent: Agent) -> Any:
    assert agent.organization is not None
    return agent.organization.developers.earliest("pk")


@pytest.fixture
def second(grant: Grant) -> Agent:
    return make_agent(member(grant.agent), name="Summarizer", allowed_scopes=[READ, SEND])


@pytest.fixture
def third(grant: Grant) -> Agent:
    return make_agent(member(grant.agent), name="Translator", allowed_scopes=[READ, SEND])


def request(token: str, *scopes: str, **fields: Any) -> VerifyRequest:
    return VerifyRequest(token=token, required_scopes=scopes or (READ,), actor=ANONYMOUS, **fields)


def ask(decide: Decide, token: str, *scopes: str, **fields: Any) -> Decision:
    (decision,) = decide(request(token, *scopes, **fields))
    return decision


def handed(token: str, to: Agent, *scopes: str, **wanted: Any) -> tuple[Delegation, str]:
    """Hand work over, with the user's leave. Return the delegation and the receiver's access token."""
    let_delegate(token, "verified")
    delegation, issued = hand_over(token, to, scopes or (READ, SEND), **wanted)
    return delegation, issued.access_token


def limited(scope: str, most: int = 2, **fields: Any) -> dict[str, Any]:
    config = {"maxRequests": most, "windowSeconds": 3600, "scope": scope, **fields}
    return {"type": "rate_limit", "config": config}


def policy_of(owner: Agent, *rules: Any, **fields: Any) -> Policy:
    """Create a policy of the agent's organization."""
    return create_policy(actor=SYSTEM, organization=owner.organization, name="Bound", rules=list(rules), **fields)


def other_agent(*, is_verified: bool = True) -> Agent:
    """Return an agent of another organization."""
    developer = make_developer("other@example.com", "Other")
    type(developer.organization).objects.filter(pk=developer.organization_id).update(is_verified=is_verified)
    return make_agent(developer, name="Stranger", allowed_scopes=[READ, SEND])


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


@pytest.mark.django_db
def test_the_chain_is_one_further_statement_of_the_first_trip(grant: Grant, second: Agent, third: Agent) -> None:
    upper = handed(grant.access_token, second)[1]
    lower = hand_over(upper, third, [READ])[1].access_token
    own, delegated = (
        [step.statement for step in ask_facts(questions(request(token)), ())] for token in (grant.access_token, lower)
    )
    assert own == [Statement.HOLD, Statement.TOKENS]
    assert delegated == [*own, Statement.DELEGATIONS]


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


def test_a_limit_of_the_user_counts_what_each_agent_does(
    decide: Decide, grant: Grant, second: Agent, third: Agent
) -> None:
    bound(grant, limits={READ: [RATE]})
    _, token = handed(grant.access_token, second)
    _, below = handed(token, third)
    assert [ask(decide, each).allowed for each in (grant.access_token, below, token)] == [True, True, False]
    denied = ask(decide, grant.access_token)
    assert denied.policy
    assert denied.policy.policy_id == grant.consent.id
    assert written_rows()[-1][0].content["metadata"]["limitedBy"] == "user"


def test_a_limit_of_a_delegation_counts_all_that_is_below_it_and_is_named(
    decide: Decide, grant: Grant, second: Agent, third: Agent
) -> None:
    first, token = handed(grant.access_token, second, limits={READ: [RATE]})
    _, below = handed(token, third, limits={READ: [limited("per_user", 1)]})
    _, beside = handed(token, third)
    assert [ask(decide, each).allowed for each in (below, beside, token)] == [True, True, False]
    denied = ask(decide, beside)
    assert denied.policy
    assert (denied.policy.policy_id, denied.policy.rule_type) == (first.id, "rate_limit")
    metadata = written_rows()[-1][0].content["metadata"]
    assert (metadata["limitedBy"], metadata["delegationId"]) == ("delegation", first.id)
    assert ask(decide, grant.access_token).allowed


def test_a_second_delegation_to_the_same_agent_has_its_own_limits(decide: Decide, grant: Grant, second: Agent) -> None:
    _, token = handed(grant.access_token, second, limits={READ: [limited("per_user", 1)]})
    _, again = handed(grant.access_token, second, limits={READ: [limited("per_user", 1)]})
    assert [ask(decide, each).allowed for each in (token, token, again)] == [True, False, True]


def test_prompts_count_for_the_first_agent(decide: Decide, grant: Grant, second: Agent) -> None:
    bound(grant, modes={READ: "ask"})
    _, token = handed(grant.access_token, second)
    for number in range(MAX_PROMPTS):
        assert ask(decide, grant.access_token, resource=f"mailbox {number}").reason is Reason.APPROVAL_REQUIRED
    asked = ask(decide, token)
    assert asked.reason is Reason.APPROVAL_REQUIRED
    assert Approval.objects.get(pk=asked.approval_id).is_held


def test_a_guard_of_the_user_knows_what_each_agent_has_read(decide: Decide, grant: Grant, second: Agent) -> None:
    bound(grant, guards={"data_flow": "deny"})
    _, token = handed(grant.access_token, second)
    assert ask(decide, grant.access_token, SEND).allowed
    assert ask(decide, token).allowed
    assert ask(decide, grant.access_token, SEND).reason is Reason.POLICY_DENIED
    assert ask(decide, token, SEND).reason is Reason.POLICY_DENIED


@pytest.mark.parametrize("scope", ["per_agent", "per_user", "global"])
def test_a_policy_sees_the_call_as_one_of_its_own_agent(decide: Decide, grant: Grant, scope: str) -> None:
    stranger = other_agent()
    policy = policy_of(stranger, limited(scope))
    _, token = handed(grant.access_token, stranger)
    decisions = [ask(decide, each) for each in (token, token, token, grant.access_token)]
    assert [each.allowed for each in decisions] == [True, True, False, True]
    assert decisions[2].policy
    assert decisions[2].policy.policy_id == policy.id
    assert written_rows()[2][0].withheld["policy"]["policyOrganizationId"] == stranger.organization_id


def test_a_quota_per_agent_counts_for_each_agent_of_the_chain(decide: Decide, grant: Grant, second: Agent) -> None:
    policy_of(grant.agent, limited("per_agent"))
    _, token = handed(grant.access_token, second)
    assert [ask(decide, each).allowed for each in (token, token, token, grant.access_token)] == [
        True,
        True,
        False,
        False,
    ]


def test_what_several_agents_of_an_organization_do_together_counts_once(
    decide: Decide, grant: Grant, second: Agent, third: Agent
) -> None:
    policy_of(grant.agent, limited("global"))
    _, token = handed(grant.access_token, second)
    _, below = handed(token, third)
    assert [ask(decide, each).allowed for each in (below, below, below)] == [True, True, False]


def test_a_policy_for_one_agent_applies_to_what_it_handed_on(decide: Decide, grant: Grant, second: Agent) -> None:
    rule = {"type": "action_blocklist", "config": {"actions": [SEND]}}
    policy_of(grant.agent, rule, agent=grant.agent)
    _, token = handed(grant.access_token, second)
    assert ask(decide, token, SEND).reason is Reason.POLICY_DENIED
    own = grant_to(second, make_user("eve@example.com"), [SEND])
    assert ask(decide, own, SEND).allowed


def test_the_policies_of_a_service_see_each_agent_of_the_chain(decide: Decide, grant: Grant, second: Agent) -> None:
    shop = make_developer("shop@example.com", "Shop")
    server = make_resource_server(shop, "https://shop.example").server
    token = grant_to(grant.agent, grant.user, [READ, SEND], resource=[server.identifier])
    _, below = handed(token, second)
    caller = make_caller(server)
    rules = [limited("per_agent")]
    policy = create_policy(actor=SYSTEM, organization=shop.organization, name="Shop", rules=rules)
    decisions = [ask(decide, each, credential=caller) for each in (below, token, below, token)]
    assert [each.allowed for each in decisions] == [True, True, False, False]
    assert decisions[2].policy
    assert decisions[2].policy.policy_id == policy.id


def test_an_approval_covers_one_chain(decide: Decide, grant: Grant, second: Agent) -> None:
    bound(grant, modes={SEND: "ask"})
    first, token = handed(grant.access_token, second)
    _, again = handed(grant.access_token, second)
    asked = ask(decide, token, SEND)
    row = approve(asked.approval_id)
    assert (row.agent_id, row.chain) == (second.id, [[grant.agent.id, None], [second.id, first.id]])
    assert [ask(decide, each, SEND).allowed for each in (grant.access_token, again, token, token)] == [
        False,
        False,
        True,
        False,
    ]


def test_a_standing_approval_never_covers_what_was_handed_on(decide: Decide, grant: Grant, second: Agent) -> None:
    bound(grant, modes={SEND: "ask"})
    _, token = handed(grant.access_token, second)
    for each, is_covered in ((grant.access_token, True), (token, False)):
        asked = ask(decide, each, SEND, resource="mailbox")
        approve(asked.approval_id, is_standing=True)
        assert ask(decide, each, SEND, resource="mailbox").allowed is is_covered


def test_a_scope_that_has_become_critical_asks_each_time_once_it_is_handed_on(
    decide: Decide, grant: Grant, second: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, token = handed(grant.access_token, second)
    assert ask(decide, token, SEND).allowed
    Consent.objects.filter(pk=grant.consent.pk).update(terms={"critical": [SEND]})
    approve(ask(decide, token, SEND).approval_id)
    assert [ask(decide, token, SEND).allowed for _ in range(2)] == [True, False]
    assert ask(decide, grant.access_token, SEND).allowed


def test_work_that_was_handed_on_for_a_task_belongs_to_that_one_too(
    decide: Decide, grant: Grant, second: Agent, third: Agent
) -> None:
    bound(grant, guards={"data_flow": "deny"})
    _, token = handed(grant.access_token, second, task="report")
    _, below = handed(token, third)
    assert ask(decide, token, context={"task": "other"}).allowed
    denied = ask(decide, below, SEND, context={"task": "third"})
    assert denied.reason is Reason.POLICY_DENIED
    sent = [
        ask(decide, grant.access_token, SEND, context={"task": task}).allowed for task in ("report", "other", "third")
    ]
    assert sent == [False, False, True]


@pytest.mark.parametrize("context", [{}, {"task": "inbox"}])
def test_agents_cannot_get_around_a_guard_by_tasks_of_their_own(
    decide: Decide, grant: Grant, second: Agent, context: dict[str, Any]
) -> None:
    bound(grant, guards={"data_flow": "deny"})
    _, reader = handed(grant.access_token, second, task="reading")
    _, sender = handed(grant.access_token, second, task="sending")
    assert ask(decide, reader, context=context).allowed
    assert ask(decide, sender, SEND, context=context).reason is Reason.POLICY_DENIED


def test_conditions_on_the_task_read_what_the_service_says(decide: Decide, grant: Grant, second: Agent) -> None:
    condition = {"field": "task", "operator": "in", "values": ["reviewed"]}
    policy_of(grant.agent, {"type": "context_match", "config": {"conditions": [condition]}})
    _, token = handed(grant.access_token, second, task="reviewed")
    assert not ask(decide, token, context={"task": "other"}).allowed
    assert ask(decide, token, context={"task": "reviewed"}).allowed


def test_the_default_audience_is_the_services_of_the_first_agents_developer(decide: Decide, grant: Grant) -> None:
    stranger = other_agent()
    _, token = handed(grant.access_token, stranger)
    callers = [
        make_caller(make_resource_server(member(agent), f"https://{name}.example").server)
        for agent, name in ((grant.agent, "first"), (stranger, "last"))
    ]
    assert [ask(decide, token, credential=caller).reason for caller in callers] == [None, Reason.WRONG_AUDIENCE]


def test_scopes_of_organizations_are_asked_for_if_they_have_become_critical(decide: Decide, grant: Grant) -> None:
    developer = member(grant.agent)
    texts = {"title": "Read", "description": "Reads it", "cannot": "write"}
    scope = ScopeDefinition("notes:read", "standard", **texts, labels=["private", "untrusted"])
    make_resource_server(developer, "https://notes.example", scope)
    agents = [make_agent(developer, name=name, allowed_scopes=["notes:read", SEND]) for name in ("One", "Two")]
    token = grant_to(agents[0], grant.user, ["notes:read", SEND])
    _, below = handed(token, agents[1], "notes:read", SEND)
    policy_of(grant.agent, {"type": "data_flow", "config": {"windowSeconds": 3600, "then": "deny"}})
    assert ask(decide, below, "notes:read").allowed
    assert ask(decide, token, SEND).reason is Reason.POLICY_DENIED
    CustomScope.objects.update(risk_level="critical")
    assert ask(decide, below, "notes:read").reason is Reason.APPROVAL_REQUIRED
    assert ask(decide, token, "notes:read").allowed


def test_rules_have_their_budget_for_each_agent(
    decide: Decide, grant: Grant, second: Agent, third: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    condition = {"field": "recipient", "operator": "in", "values": ["ann@acme.com"]}
    policy_of(grant.agent, {"type": "context_match", "config": {"conditions": [condition]}})
    cost = PER_CALL * 2 // 3

    def check(rule: ContextMatch, ctx: Any) -> None:
        rule.charge(ctx, cost)

    monkeypatch.setattr(ContextMatch, "check", check)
    _, token = handed(grant.access_token, second)
    _, below = handed(token, third)
    assert ask(decide, below).allowed
    cost = PER_CALL + 1
    assert ask(decide, below).reason is Reason.POLICY_DENIED


def test_a_removed_scope_ends_only_what_was_handed_on_of_it(decide: Decide, grant: Grant, second: Agent) -> None:
    _, token = handed(grant.access_token, second)
    update_agent(actor=as_owner(grant.agent.organization), agent=grant.agent, changes={"allowed_scopes": [READ]})
    assert ask(decide, token, SEND).reason is Reason.INSUFFICIENT_SCOPE
    assert ask(decide, token).allowed


def test_a_token_whose_delegation_is_gone_or_has_another_parent_is_denied(
    decide: Decide, grant: Grant, second: Agent, third: Agent
) -> None:
    first, token = handed(grant.access_token, second)
    below, last = handed(token, third)
    Delegation.objects.filter(pk=below.pk).update(parent=None)
    assert ask(decide, last).reason is Reason.DELEGATION_ENDED
    chain = read_chain(first)
    assert is_chain_live([first.id], chain, clock.now())
    assert not is_chain_live([first.id], [], clock.now())
    first.delete()
    assert {ask(decide, each).reason for each in (token, last)} == {Reason.TOKEN_REVOKED}


def test_what_is_handed_over_for_some_targets_is_denied_for_others(decide: Decide, grant: Grant, second: Agent) -> None:
    let_delegate(grant.access_token)
    _, issued = hand_over(grant.access_token, second, ["email:read"], targets=[Pick("account", ["work"])])
    assert ask(decide, issued.access_token, context={"target": "work"}).allowed
    denied = ask(decide, issued.access_token, context={"target": "home"})
    assert denied.reason is Reason.POLICY_DENIED
