"""Edits of limits during requests, and the plan of an edit."""

import json
import threading
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import Any

import pytest
from django.db import connection

from core.actor import SYSTEM
from decisions.requests import VerifyRequest
from decisions.services import decide
from limits import counters
from limits.reservations import MAX_HOLD
from policies.engine import compile_policy, evaluate
from policies.limits import MAX_EARLIER, MAX_RETIRED_WITH_ACTIONS, limit_kinds, plan_limits, plan_totals
from policies.models import Policy
from policies.rules import RuleContext
from policies.rules.editions import Edition, Part
from policies.rules.kinds import LimitKind
from policies.rules.ledger import Ledger
from policies.services import create_policy, update_policy
from tests.shared import cases
from tests.world import ANONYMOUS, Grant, make_grant

NOW = datetime(2026, 3, 23, 12, tzinfo=UTC)
MOST, THREADS, CALLS = 40, 4, 15
HOUR, DAY = LimitKind(3600, "per_user"), LimitKind(86_400, "per_user")
TOGETHER = LimitKind(3600, "global")


def limit(window: int, scope: str) -> dict[str, Any]:
    return {"type": "rate_limit", "config": {"maxRequests": MOST, "windowSeconds": window, "scope": scope}}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "edits",
    [
        [(7200, "per_user"), (1800, "per_user"), (3600, "per_user")],
        [(3600, "global"), (3600, "per_agent"), (1800, "per_user")],
    ],
    ids=["windows", "scopes"],
)
def test_edits_during_requests_allow_exactly_as_many_as_the_limit(edits: list[tuple[int, str]]) -> None:
    grant = make_grant(scopes=["email:read"])
    organization = grant.agent.organization
    policy = create_policy(actor=SYSTEM, organization=organization, name="P", rules=[limit(3600, "per_user")])
    outcomes: Counter[bool] = Counter()
    errors: list[BaseException] = []
    start = threading.Barrier(THREADS + 1)
    answered = threading.Semaphore(0)

    def call() -> None:
        try:
            start.wait(10)
            for _ in range(CALLS):
                outcomes[_ask(grant)] += 1
                answered.release()
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=call) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    start.wait(10)
    for window, scope in cycle(edits):
        update_policy(actor=SYSTEM, policy=policy, changes={"rules": [limit(window, scope)]})
        if not any(thread.is_alive() for thread in threads):
            break
        answered.acquire(timeout=0.1)  # without a pause, the edits would never release SQLite's write lock
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert (outcomes[True], outcomes.total()) == (MOST, THREADS * CALLS)


def _ask(grant: Grant) -> bool:
    request = VerifyRequest(token=grant.access_token, required_scopes=("email:read",), actor=ANONYMOUS)
    return decide([request])[0].allowed


@pytest.mark.django_db
def test_an_edit_that_fails_does_not_change_the_counters(monkeypatch: pytest.MonkeyPatch) -> None:
    grant = make_grant(scopes=["email:read"])
    organization = grant.agent.organization
    policy = create_policy(actor=SYSTEM, organization=organization, name="P", rules=[limit(3600, "global")])
    assert _ask(grant)

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    before = list(counters.Counter.objects.order_by("key").values_list("key", "counts"))
    monkeypatch.setattr("policies.limit_edits.keep_counters", fail)
    with pytest.raises(ZeroDivisionError):
        update_policy(actor=SYSTEM, policy=policy, changes={"rules": [limit(60, "global")]})
    assert list(counters.Counter.objects.order_by("key").values_list("key", "counts")) == before
    assert Policy.objects.get(pk=policy.pk).rules == [limit(3600, "global")]


@pytest.mark.django_db
def test_a_verify_counts_in_no_more_than_three_retired_limits() -> None:
    grant = make_grant(scopes=["email:read"])
    policy = create_policy(actor=SYSTEM, organization=grant.agent.organization, name="P", rules=[])
    for window in range(60, 72):
        for scope in ("per_user", "per_agent", "global"):
            policy = update_policy(actor=SYSTEM, policy=policy, changes={"rules": [limit(window, scope)]})
    ledger = Ledger.read(policy.id, policy.limit_history)
    assert len(ledger.retired) <= 3
    assert len(ledger.charged) <= 4


def test_only_the_longest_window_of_each_scope_is_retired_and_only_if_none_longer_is_in_force() -> None:
    ledger = plan_limits(Ledger("pol_1"), {HOUR, DAY, TOGETHER}, set(), NOW).ledger
    assert set(ledger.retired) == {DAY, TOGETHER}
    assert set(plan_limits(Ledger("pol_1"), {HOUR}, {DAY}, NOW).ledger.retired) == set()
    assert set(plan_limits(Ledger("pol_1"), {DAY}, {HOUR}, NOW).ledger.retired) == {DAY}


def test_a_retired_limit_that_replaces_a_shorter_one_counts_until_the_shorter_one_would_end() -> None:
    first = plan_limits(Ledger("pol_1"), {DAY}, {HOUR}, NOW).ledger
    later = NOW + timedelta(days=1)
    second = plan_limits(first, {HOUR}, set(), later).ledger
    assert (
        first.retired[DAY]
        < second.retired[DAY]
        == plan_limits(Ledger("pol_1"), {HOUR}, set(), later).ledger.retired[HOUR]
    )


def edition(*known: LimitKind, charged: tuple[LimitKind, ...] = ()) -> Edition:
    return Edition(0, frozenset(known), frozenset(charged), NOW, NOW + timedelta(days=60))


def starts_from(kind: LimitKind, *known: LimitKind) -> list[LimitKind]:
    return [part.kind for part in edition(*known).parts(kind) if not part.is_rest]


def test_an_added_limit_starts_from_the_shortest_window_that_covers_it_or_else_from_the_longest() -> None:
    known = (LimitKind(60, "per_user"), HOUR, DAY, TOGETHER)
    assert starts_from(LimitKind(30, "per_user"), *known) == [LimitKind(60, "per_user")]
    assert starts_from(LimitKind(600, "per_user"), *known) == [HOUR]
    assert starts_from(LimitKind(90_000, "per_user"), *known) == [DAY]
    assert starts_from(LimitKind(600, "per_agent"), *known) == [TOGETHER]
    assert starts_from(HOUR, *known) == [HOUR]


def test_requests_too_old_for_a_limit_of_the_same_scope_come_from_the_total() -> None:
    known = (LimitKind(60, "per_user"), LimitKind(600, "per_agent"), TOGETHER)
    assert starts_from(LimitKind(300, "per_user"), *known) == [LimitKind(60, "per_user"), TOGETHER]
    assert edition(*known).parts(DAY) == (
        (LimitKind(60, "per_user"), None, False),
        (TOGETHER, NOW - timedelta(seconds=60), False),
        (DAY, NOW - timedelta(seconds=3600), True),
    )
    plan = plan_limits(Ledger("pol_1"), known, {*known, DAY}, NOW)
    assert plan.is_ready
    assert set(plan.ledger.charged) == {DAY}


def test_a_total_that_no_limit_counts_must_be_known_first() -> None:
    kind = LimitKind(600, "per_agent")
    plan = plan_limits(Ledger("pol_1"), {HOUR}, {HOUR, kind}, NOW)
    assert plan.totals == {TOGETHER}
    counting = plan_totals(Ledger("pol_1"), {HOUR}, plan.totals, NOW)
    assert set(counting.retired) == {TOGETHER}
    assert plan_limits(replace(counting, earlier=()), {HOUR}, {HOUR, kind}, NOW).is_ready
    assert plan_limits(counting, {HOUR}, {HOUR, kind}, NOW).merges_first
    # A total is added up from the subjects of one scope, if possible of one to which nothing was charged.
    agents = LimitKind(3600, "per_agent")
    assert edition(HOUR, agents).source(Part(TOGETHER, None)) == agents
    assert edition(HOUR, agents, charged=(agents,)).source(Part(TOGETHER, None)) == HOUR


def test_a_limit_that_reads_a_missing_total_denies() -> None:
    stored = replace(Ledger("pol_1"), edition=1, earlier=(edition(HOUR),)).stored()
    policy = compile_policy("pol_1", "P", [limit(600, "per_agent")], stored)
    assert evaluate([policy], RuleContext(now=NOW, agent_id="agt_1")).denied_by


def test_earlier_editions_are_merged_if_there_are_too_many() -> None:
    ledger = Ledger("pol_1")
    for number in range(MAX_EARLIER):
        plan = plan_limits(ledger, {of(60 + number)}, {of(61 + number)}, NOW)
        assert plan.is_ready
        ledger = plan.ledger
    assert [each.number for each in ledger.earlier] == list(range(MAX_EARLIER))
    assert plan_limits(ledger, {of(70)}, {of(71)}, NOW).merges_first
    later = max(each.until for each in ledger.earlier)
    assert plan_limits(ledger, {of(70)}, {of(71)}, later).is_ready


def of(window: int, *actions: str, scope: str = "per_user", currency: str = "") -> LimitKind:
    return LimitKind.of(window, scope, currency, actions)


def test_the_order_of_actions_and_those_that_others_contain_do_not_matter() -> None:
    assert of(60, "b", "a:*", "a:b", "b") == of(60, "a:*", "b")
    assert of(60, "*") != of(60)
    keys = {Ledger("pol_1").key(kind, "x") for kind in (of(60), of(60, "*"), of(60, "a"), of(60, currency="EUR"))}
    assert len(keys) == 4
    assert all(key.startswith(Ledger("pol_1").prefix("per_user", 0)) for key in keys)


@cases(
    ("own", "other", "is_covered", "overlaps"),
    [
        ((), (), True, True),
        ((), ("a",), True, True),
        (("*",), (), False, True),
        (("a:*",), ("a:b",), True, True),
        (("a:*",), ("a:b:*",), True, True),
        (("a:b",), ("a:*",), False, True),
        (("a:b",), ("a:b",), True, True),
        (("a:b",), ("a:c",), False, False),
        (("a:*",), ("b:*",), False, False),
        (("a:*", "b"), ("a:c", "b"), True, True),
        (("a:*", "b"), ("a:c", "c"), False, True),
    ],
)
def test_actions_cover_and_overlap(
    own: tuple[str, ...], other: tuple[str, ...], is_covered: bool, overlaps: bool
) -> None:
    assert of(60, *own).covers(of(60, *other)) == is_covered
    assert of(60, *own).overlaps(of(60, *other)) == of(60, *other).overlaps(of(60, *own)) == overlaps


def test_an_added_limit_starts_from_a_limit_that_concerns_all_its_actions() -> None:
    assert starts_from(of(3600, "a:b"), of(3600, "a:*"), of(3600), of(3600, "b:*")) == [of(3600)]
    assert starts_from(of(3600, "a:b"), of(3600, "a:*"), of(60, "a:b")) == [of(60, "a:b"), of(3600, "a:*")]


def test_an_added_limit_adds_up_limits_that_concern_some_of_its_actions() -> None:
    known = (of(3600, "a"), of(60, "a"), of(3600, "b:*"), of(3600, "b:c"), of(3600, "d"))
    assert starts_from(of(3600, "a", "b:*"), *known) == [of(3600, "a"), of(3600, "b:*")]
    assert edition(of(60), of(3600, "a")).parts(of(3600)) == (
        (of(60), None, False),
        (of(3600, "a"), NOW - timedelta(seconds=60), False),
        (of(3600), NOW - timedelta(seconds=60), True),
    )


def test_an_added_limit_starts_from_nothing_if_no_limit_concerns_its_actions_or_its_currency() -> None:
    assert starts_from(of(3600, "a:*"), of(3600, "b:*"), of(3600, "c")) == []
    assert starts_from(of(60, currency="EUR"), of(60, currency="USD"), of(60)) == []
    assert starts_from(of(60), of(60, currency="USD")) == []
    assert starts_from(of(60, currency="EUR"), of(90, currency="EUR"), of(60)) == [of(90, currency="EUR")]


def test_a_removed_limit_with_actions_is_retired_unless_another_one_concerns_them() -> None:
    known = {of(3600, "a:b"), of(60, "a:*"), of(3600, "c")}
    assert set(plan_limits(Ledger("pol_1"), known, set(), NOW).ledger.retired) == known
    assert set(plan_limits(Ledger("pol_1"), known, {of(3600, "a:*")}, NOW).ledger.retired) == {of(3600, "c")}
    assert set(plan_limits(Ledger("pol_1"), known, {of(60)}, NOW).ledger.retired) == {of(3600, "a:b"), of(3600, "c")}


def test_too_many_retired_limits_with_actions_become_one_for_all() -> None:
    known = {of(60 + number, f"a{number}") for number in range(MAX_RETIRED_WITH_ACTIONS)}
    few = plan_limits(Ledger("pol_1"), known, set(), NOW)
    assert set(few.ledger.retired) == known
    assert not few.begins_edition
    known |= {of(60, "b"), of(600, "c", scope="global"), of(60, "d", currency="EUR")}
    many = plan_limits(Ledger("pol_1"), known, set(), NOW)
    whole = of(59 + MAX_RETIRED_WITH_ACTIONS)
    assert set(many.ledger.retired) == {whole, of(600, scope="global"), of(60, currency="EUR")}
    assert set(starts_from(whole, *known)) >= {kind for kind in known if kind.scope == "per_user" and not kind.currency}


def test_a_budget_is_remembered_until_all_that_is_reserved_has_been_committed() -> None:
    plain = plan_limits(Ledger("pol_1"), {of(60)}, set(), NOW).ledger.retired[of(60)]
    budget = of(60, currency="EUR")
    assert plan_limits(Ledger("pol_1"), {budget}, set(), NOW).ledger.retired[budget] == plain + MAX_HOLD


def test_a_retired_limit_is_forgotten_once_its_window_has_passed() -> None:
    ledger = plan_limits(Ledger("pol_1"), {HOUR}, set(), NOW).ledger
    later = NOW + timedelta(seconds=3600 * 65 / 64) + timedelta(minutes=1)
    assert plan_limits(ledger, set(), {of(60)}, later - timedelta(seconds=1)).begins_edition
    (ended,) = plan_limits(ledger, set(), {of(60)}, later).ledger.earlier
    assert [part.is_rest for part in ended.parts(of(60))] == [True]
    assert not plan_limits(Ledger("pol_1"), set(), {of(60)}, later).begins_edition


def test_a_ledger_is_stored_and_read_again() -> None:
    ledger = plan_limits(Ledger("pol_1"), {TOGETHER}, {HOUR}, NOW).ledger
    assert ledger.charged
    assert ledger.earlier
    assert Ledger.read("pol_1", ledger.stored()) == ledger
    known = {HOUR, of(7200, "a", "b:*"), of(60, currency="EUR"), of(90, "a", currency="EUR")}
    ledger = plan_limits(Ledger("pol_1"), known, set(), NOW).ledger
    assert set(ledger.retired) == known
    assert Ledger.read("pol_1", json.loads(json.dumps(ledger.stored()))) == ledger


@cases(
    "damage",
    [
        {"retired": [{}]},
        {"charged": 1},
        {"edition": "x"},
        {"earlier": [{"edition": 0, "kinds": []}]},
        [],
        {"retired": [{"until": "x"}]},
        {"retired": [{"windowSeconds": 60, "scope": "global", "until": "2026-03-23T12:00:00Z", "actions": "a"}]},
    ],
)
def test_a_damaged_ledger_denies(damage: Any) -> None:
    policy = compile_policy("pol_1", "P", [limit(60, "global")], damage or ["x"])
    assert evaluate([policy], RuleContext(now=NOW, agent_id="agt_1")).denied_by


def test_an_invalid_rule_has_no_limit() -> None:
    broken = {"type": "rate_limit", "config": {"maxRequests": 0}}
    assert limit_kinds([broken, None, limit(60, "global")]) == {LimitKind(60, "global")}
    assert limit_kinds("nonsense") == set()
