"""The guard against data flows: private data and strangers' content in one task, and then a way out."""

import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
import time_machine

from agents.models import Agent
from approvals.models import Approval
from core import clock
from core.actor import SYSTEM
from core.errors import Conflict
from decisions.requests import Decision, Reason, VerifyRequest
from decisions.services import decide as decide_now
from limits.models import Counter
from policies.flows import MAX_CARRIED
from policies.models import Policy
from policies.services import create_policy, update_policy
from resources.catalogue import catalogue
from resources.models import CustomScope
from tests.decisions.drivers import SHOP, Decide, EventLoop, allowed, asking, bound, forget
from tests.decisions.test_at_once import ask_apart
from tests.threads import race, rounds
from tests.world import (
    ANONYMOUS,
    Grant,
    grant_to,
    make_caller,
    make_developer,
    make_grant,
    make_resource_server,
    mean_for,
)
from tokens.issuing import IssuedTokens
from tokens.models import AccessToken
from tokens.services import issue_client_token

pytestmark = pytest.mark.django_db

PRIVATE, UNTRUSTED, OUT, BOTH = "payments:read", "browser:read", "email:send", "email:read"
SCOPES = [PRIVATE, UNTRUSTED, OUT, BOTH, "calendar:freebusy", "browser:act"]


@pytest.fixture
def grant() -> Grant:
    return make_grant(scopes=SCOPES)


def rule(then: str = "deny", **config: Any) -> dict[str, Any]:
    return {"type": "data_flow", "config": {"windowSeconds": 3600, "then": then, **config}}


def guard(grant: Grant, then: str = "deny", **config: Any) -> Policy:
    rules = [rule(then, **config)]
    return create_policy(actor=SYSTEM, organization=grant.agent.organization, name="Guard", rules=rules)


def edit(policy: Policy, *rules: dict[str, Any]) -> Policy:
    return update_policy(actor=SYSTEM, policy=policy, changes={"rules": list(rules)})


def calls(grant: Grant, *scopes: str, **context: Any) -> list[VerifyRequest]:
    return [asking(grant.access_token, scope, context=context) for scope in scopes]


def decide_each(decide: Decide, requests: Sequence[VerifyRequest]) -> list[bool]:
    return [allowed(decide(request))[0] for request in requests]


@pytest.mark.parametrize("before", [[PRIVATE, UNTRUSTED], [UNTRUSTED, PRIVATE], [BOTH]], ids=str)
def test_nothing_leaves_after_both(decide: Decide, grant: Grant, before: list[str]) -> None:
    guard(grant)
    assert decide_each(decide, calls(grant, OUT, *before, OUT, PRIVATE, UNTRUSTED)) == [
        True,
        *[True] * len(before),
        False,
        True,
        True,
    ]


@pytest.mark.parametrize("before", [[PRIVATE], [UNTRUSTED], ["calendar:freebusy"], []], ids=str)
def test_one_label_raises_no_alarm(decide: Decide, grant: Grant, before: list[str]) -> None:
    guard(grant)
    assert decide_each(decide, calls(grant, *before * 3, OUT, OUT)) == [True] * (3 * len(before) + 2)


def test_the_labels_of_the_call_itself_count(decide: Decide, grant: Grant) -> None:
    guard(grant)
    together = asking(grant.access_token, BOTH, OUT)
    assert allowed(decide(together)) == [False]
    assert decide_each(decide, calls(grant, PRIVATE, "browser:act")) == [True, False]


@pytest.mark.postgresql
def test_labels_that_the_service_states_add_to_those_of_the_scopes(decide: Decide, grant: Grant) -> None:
    guard(grant)
    unlabelled = "calendar:freebusy"
    assert decide_each(decide, calls(grant, unlabelled, labels=["private", "untrusted"], task="a")) == [True]
    assert decide_each(decide, calls(grant, unlabelled, OUT, labels=[], task="a")) == [True, False]
    assert decide_each(decide, calls(grant, unlabelled, labels=["outbound"], task="a")) == [False]
    assert decide_each(decide, calls(grant, PRIVATE, unlabelled, labels=["untrusted"], task="b")) == [True, True]
    assert decide_each(decide, calls(grant, OUT, task="b")) == [False]


def test_a_stated_way_out_asks_the_user(decide: Decide, grant: Grant) -> None:
    bound(grant, guards={"data_flow": "ask"})
    out, unreadable = (calls(grant, BOTH, labels=labels)[0] for labels in (["outbound"], ["secret"]))

    (asked,), (denied,) = decide(out), decide(unreadable)

    assert (asked.reason, asked.policy and asked.policy.rule_type) == (Reason.APPROVAL_REQUIRED, "data_flow")
    assert denied.policy
    assert denied.policy.detail == "context.labels must be a list of at most 3 of: private, untrusted, outbound."


@pytest.mark.postgresql
def test_calls_without_a_task_count_for_every_task(decide: Decide, grant: Grant) -> None:
    guard(grant)
    assert decide_each(decide, calls(grant, PRIVATE)) == [True]
    assert decide_each(decide, calls(grant, OUT, task="a")) == [True]
    assert decide_each(decide, calls(grant, UNTRUSTED, task="a")) == [True]
    assert decide_each(decide, calls(grant, OUT, task="a") + calls(grant, OUT, task="b")) == [False, True]


def test_tasks_are_apart_and_the_connection_has_all(decide: Decide, grant: Grant) -> None:
    guard(grant)
    assert decide_each(decide, calls(grant, PRIVATE, task="a")) == [True]
    assert decide_each(decide, calls(grant, UNTRUSTED, task="b")) == [True]
    assert decide_each(decide, calls(grant, OUT, task="a") + calls(grant, OUT, task="b")) == [True, True]
    assert decide_each(decide, calls(grant, OUT)) == [False]
    assert decide_each(decide, calls(grant, UNTRUSTED, OUT, task="a")) == [True, False]


def test_it_forgets_after_the_window(decide: Decide, grant: Grant) -> None:
    guard(grant, windowSeconds=600)
    start = clock.now()
    with time_machine.travel(start, tick=False) as traveller:
        assert decide_each(decide, calls(grant, PRIVATE)) == [True]
        traveller.move_to(start + timedelta(seconds=300))
        assert decide_each(decide, calls(grant, UNTRUSTED)) == [True]
        traveller.move_to(start + timedelta(seconds=600))
        assert decide_each(decide, calls(grant, OUT)) == [False]
        traveller.move_to(start + timedelta(seconds=601))
        assert decide_each(decide, calls(grant, OUT)) == [True]


EDITS = [
    [["email:*", PRIVATE, UNTRUSTED, "calendar:*"]],
    [["email:*"]],
    [None],
    [["email:*"], None],
    [[OUT, "email:*"]],
]


@pytest.mark.parametrize("edits", EDITS, ids=str)
@pytest.mark.parametrize("is_for_one_agent", [False, True])
def test_an_edit_of_the_actions_forgets_nothing(
    decide: Decide, grant: Grant, edits: list[list[str] | None], is_for_one_agent: bool
) -> None:
    policy = guard(grant, actions=[PRIVATE, UNTRUSTED, OUT])
    if is_for_one_agent:
        policy = update_policy(actor=SYSTEM, policy=policy, changes={"agent": grant.agent})
    assert decide_each(decide, calls(grant, PRIVATE, UNTRUSTED, task="first")) == [True, True]
    assert decide_each(decide, calls(grant, PRIVATE, task="second")) == [True]
    for actions in edits:
        policy = edit(policy, rule(actions=actions) if actions else rule())
    assert decide_each(decide, calls(grant, OUT)) == [False]
    assert decide_each(decide, calls(grant, OUT, task="first")) == [False]
    assert decide_each(decide, calls(grant, OUT, task="second")) == [True]


def test_an_edit_keeps_what_the_new_guard_knew_before(decide: Decide, grant: Grant) -> None:
    first = edit(guard(grant, actions=[PRIVATE, OUT]), rule(actions=[PRIVATE, OUT]))
    assert decide_each(decide, calls(grant, PRIVATE)) == [True]
    second = edit(first, rule(actions=[UNTRUSTED, OUT]))
    assert decide_each(decide, calls(grant, UNTRUSTED)) == [True]
    edit(second, rule(actions=[PRIVATE, OUT]))
    assert decide_each(decide, calls(grant, OUT)) == [False]


def test_an_edit_by_a_services_organization_forgets_nothing(decide: Decide, grant: Grant) -> None:
    other = make_developer("service@example.com", "Service")
    server = make_resource_server(other, SHOP).server
    credential = make_caller(server)
    mean_for(AccessToken.objects.filter(application=grant.agent), server)
    rules = [rule(actions=[PRIVATE, UNTRUSTED, OUT])]
    policy = create_policy(actor=SYSTEM, organization=other.organization, name="Guard", rules=rules)
    first = [asking(grant.access_token, scope, credential=credential) for scope in (PRIVATE, UNTRUSTED)]
    assert decide_each(decide, first) == [True, True]
    edit(policy, rule(actions=["email:*"]))
    assert decide_each(decide, [asking(grant.access_token, OUT, credential=credential)]) == [False]


def test_an_edit_writes_no_rows_of_tasks(decide: Decide, grant: Grant) -> None:
    """A caller chooses the tasks, so there can be any number, and decisions wait for the edit."""
    policy = guard(grant, actions=[PRIVATE, OUT])
    for number in range(20):
        assert decide_each(decide, calls(grant, PRIVATE, task=f"task {number}")) == [True]
    before = list(Counter.objects.order_by("key").values())
    edit(policy, rule(actions=[UNTRUSTED, OUT]))
    assert list(Counter.objects.order_by("key").values()) == before
    assert decide_each(decide, calls(grant, UNTRUSTED, OUT, task="task 7")) == [True, False]


def test_a_window_after_an_edit_another_guards_calls_no_longer_count(decide: Decide, grant: Grant) -> None:
    old = rule(actions=[PRIVATE, OUT], windowSeconds=240)
    policy = create_policy(actor=SYSTEM, organization=grant.agent.organization, name="Guard", rules=[old])
    with time_machine.travel(clock.now(), tick=False) as traveller:
        edit(policy, old, rule(actions=[UNTRUSTED, OUT], windowSeconds=240))
        traveller.shift(timedelta(seconds=120))
        assert decide_each(decide, calls(grant, PRIVATE, UNTRUSTED, OUT)) == [True, True, False]
        traveller.shift(timedelta(seconds=121))
        assert decide_each(decide, calls(grant, PRIVATE, UNTRUSTED, OUT)) == [True, True, True]


def test_the_actions_of_guards_can_change_only_so_often_within_a_month(grant: Grant) -> None:
    *names, another = sorted(catalogue())[: MAX_CARRIED + 1]
    policy = guard(grant, actions=names[:1])
    with time_machine.travel(clock.now(), tick=False) as traveller:
        for name in names * 2:  # what comes back takes no further place
            policy = edit(policy, rule(actions=[name]))
        policy = edit(policy, rule(actions=[another]))
        with pytest.raises(Conflict, match="within a month"):
            edit(policy, rule())
        assert Policy.objects.get().rules == policy.rules
        traveller.shift(timedelta(days=30, seconds=1))
        edit(policy, rule())


def test_what_was_read_by_a_clock_that_was_ahead_counts_for_one_window(decide: Decide, grant: Grant) -> None:
    guard(grant, windowSeconds=240)
    start = clock.now()
    with time_machine.travel(start + timedelta(minutes=10), tick=False) as traveller:
        assert decide_each(decide, calls(grant, PRIVATE, UNTRUSTED)) == [True, True]
        traveller.move_to(start)
        assert decide_each(decide, calls(grant, OUT)) == [False]
        traveller.move_to(start + timedelta(seconds=241))
        assert decide_each(decide, calls(grant, OUT)) == [True]


def test_a_guard_that_is_added_knows_only_what_happens_from_then_on(decide: Decide, grant: Grant) -> None:
    organization = grant.agent.organization
    policy = create_policy(actor=SYSTEM, organization=organization, name="Guard", rules=[])
    assert decide_each(decide, calls(grant, PRIVATE, UNTRUSTED)) == [True, True]
    policy = edit(policy, rule())
    assert decide_each(decide, calls(grant, OUT, PRIVATE, UNTRUSTED, OUT)) == [True, True, True, False]


def test_a_guard_of_a_new_policy_knows_what_guards_with_the_same_actions_remember(decide: Decide, grant: Grant) -> None:
    policy = guard(grant)
    assert decide_each(decide, calls(grant, PRIVATE, UNTRUSTED, OUT)) == [True, True, False]
    update_policy(actor=SYSTEM, policy=policy, changes={"enabled": False})
    guard(grant, actions=[PRIVATE, UNTRUSTED, OUT])
    assert decide_each(decide, calls(grant, OUT)) == [True]
    guard(grant)
    assert decide_each(decide, calls(grant, OUT)) == [False]


@pytest.mark.django_db(transaction=True)
@rounds(6)
def test_an_edit_during_requests_forgets_nothing(grant: Grant, number: int) -> None:
    policy = guard(grant, actions=[PRIVATE, UNTRUSTED, OUT])
    reading = [lambda one=one: decide_now([one]) for one in calls(grant, PRIVATE, UNTRUSTED)]
    editing = [lambda: edit(policy, rule(actions=["email:*", "payments:*", "browser:*"]))]
    race([*reading, *editing])
    (decision,) = decide_now(calls(grant, OUT))
    assert not decision.allowed


OTHERS = ["calendar:*", "crm:*", "db:*", "files:*", "github:*"]


@pytest.mark.postgresql
def test_what_each_guard_of_a_chain_of_edits_remembered_is_added_up(decide: Decide, grant: Grant) -> None:
    policy = guard(grant, actions=[PRIVATE, UNTRUSTED, OUT])
    for other in OTHERS:
        assert decide_each(decide, calls(grant, PRIVATE, task=other)) == [True]
        policy = edit(policy, rule(actions=["email:*", "payments:*", "browser:*", other]))
    for other in OTHERS:
        assert decide_each(decide, calls(grant, UNTRUSTED, OUT, task=other)) == [True, False]
    assert decide_each(decide, calls(grant, UNTRUSTED, OUT, task="another")) == [True, True]


@pytest.mark.django_db(transaction=True)
@rounds(3)
def test_several_edits_during_requests_forget_nothing(grant: Grant, number: int) -> None:
    policy = guard(grant, actions=[PRIVATE, UNTRUSTED, OUT])
    assert allowed(decide_now(calls(grant, PRIVATE, task="a"))) == [True]

    def edit_again() -> None:
        for other in OTHERS:
            edit(policy, rule(actions=["email:*", "payments:*", "browser:*", other]))

    asked = [*calls(grant, UNTRUSTED, task="a"), *calls(grant, PRIVATE, UNTRUSTED, task="b")]
    race([*[lambda one=one: decide_now([one]) for one in asked], edit_again])
    for task in ("a", "b"):
        assert allowed(decide_now(calls(grant, OUT, task=task))) == [False]


def test_the_user_is_asked(decide: Decide, grant: Grant) -> None:
    bound(grant, guards={"data_flow": "ask"})
    *before, asked = [decide(request)[0] for request in calls(grant, BOTH, PRIVATE, OUT)]

    assert allowed(before) == [True, True]
    assert asked.reason is Reason.APPROVAL_REQUIRED
    assert asked.policy
    assert (asked.policy.policy_id, asked.policy.rule_type) == (grant.consent.id, "data_flow")
    row = Approval.objects.get(pk=asked.approval_id)
    assert (row.asked_by_rule, row.asked_scopes) == ("data_flow", [])
    Approval.objects.update(status="approved")
    assert decide_each(decide, calls(grant, OUT, OUT)) == [True, False]


def test_without_a_user_it_denies(decide: Decide, grant: Grant) -> None:
    guard(grant, then="ask")
    agent = Agent.objects.get(pk=grant.agent.pk)
    issued = issue_client_token(actor=ANONYMOUS, agent=agent, scopes=SCOPES, resource=[])
    assert isinstance(issued, IssuedTokens)
    own = [asking(issued.access_token, scope) for scope in (BOTH, OUT)]

    *_, denied = [decide(request)[0] for request in own]

    assert denied.reason is Reason.POLICY_DENIED
    assert decide_each(decide, calls(grant, OUT)) == [True], "the agent's own calls are another task"


@pytest.mark.postgresql
def test_organizations_label_their_own_scopes(decide: Decide, grant: Grant) -> None:
    texts = {"risk_level": "low", "title": "Read", "description": "Read", "cannot": "write"}
    CustomScope.objects.create(
        id="shop:orders", labels=["private", "untrusted"], organization=grant.agent.organization, **texts
    )
    Agent.objects.filter(pk=grant.agent.pk).update(allowed_scopes=[*SCOPES, "shop:orders"])
    token = grant_to(Agent.objects.get(pk=grant.agent.pk), grant.user, [*SCOPES, "shop:orders"])
    guard(grant)
    assert decide_each(decide, [asking(token, "shop:orders"), asking(token, OUT)]) == [True, False]


@pytest.mark.django_db(transaction=True)
def test_races_over_two_stores(loop: EventLoop, grant: Grant) -> None:
    """No call that sends data out commits after both others: the log has the order of the commits."""
    guard(grant)
    shuffled = calls(grant, *[PRIVATE] * 3, *[UNTRUSTED] * 3, *[OUT] * 30)
    random.shuffle(shuffled)
    forget()

    outcomes = ask_apart(loop, 2, shuffled)

    decisions = [outcome for outcome in outcomes if isinstance(outcome, Decision)]
    assert len(decisions) == 36
    pairs = list(zip(shuffled, decisions, strict=True))
    seen: set[str] = set()
    for request, decision in sorted(pairs, key=lambda pair: pair[1].audit_id or ""):
        (scope,) = request.required_scopes
        if scope == OUT:
            assert decision.allowed == (seen != {PRIVATE, UNTRUSTED})
        else:
            assert decision.allowed
            seen.add(scope)
