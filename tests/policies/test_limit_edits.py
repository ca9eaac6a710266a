"""Edits of limits during requests, and the plan of an edit."""

import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import Any

import pytest
from django.db import connection

from core.actor import SYSTEM
from decisions.requests import VerifyRequest
from decisions.services import decide
from limits import counters
from policies.engine import compile_policy, evaluate
from policies.limits import limit_kinds, plan_limits
from policies.models import Policy
from policies.rules import RuleContext
from policies.rules.ledger import Ledger, LimitKind
from policies.services import create_policy, update_policy
from tests.world import ANONYMOUS, Grant, make_grant

NOW = datetime(2026, 3, 23, 12, tzinfo=UTC)
MOST, THREADS, CALLS = 40, 4, 30
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
    monkeypatch.setattr("policies.limits.put_counters", fail)
    with pytest.raises(ZeroDivisionError):
        update_policy(actor=SYSTEM, policy=policy, changes={"rules": [limit(60, "global")]})
    assert list(counters.Counter.objects.order_by("key").values_list("key", "counts")) == before
    assert Policy.objects.get(pk=policy.pk).rules == [limit(3600, "global")]


@pytest.mark.django_db
def test_a_verify_counts_in_no_more_than_three_retired_limits() -> None:
    grant = make_grant(scopes=["email:read"])
    policy = create_policy(actor=SYSTEM, organization=grant.agent.organization, name="P", rules=[])
    for window in range(60, 120):
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


def test_an_added_limit_starts_from_the_shortest_window_that_covers_it_or_else_from_the_longest() -> None:
    known = {LimitKind(60, "per_user"), HOUR, DAY, TOGETHER}
    added = {LimitKind(window, "per_user") for window in (30, 600, 90_000)} | {LimitKind(600, "per_agent")}
    assert plan_limits(Ledger("pol_1"), known, known | added, NOW).sources == {
        LimitKind(30, "per_user"): (LimitKind(60, "per_user"),),
        LimitKind(600, "per_user"): (HOUR,),
        LimitKind(90_000, "per_user"): (DAY,),
        LimitKind(600, "per_agent"): (TOGETHER,),
    }


def test_requests_too_old_for_a_limit_of_the_same_scope_come_from_another_scope() -> None:
    known = {LimitKind(60, "per_user"), LimitKind(600, "per_agent"), TOGETHER}
    added = {LimitKind(300, "per_user"), DAY}
    plan = plan_limits(Ledger("pol_1"), known, known | added, NOW)
    assert plan.sources == {
        LimitKind(300, "per_user"): (LimitKind(60, "per_user"), LimitKind(600, "per_agent")),
        DAY: (LimitKind(60, "per_user"), TOGETHER),
    }
    assert set(plan.ledger.charged) == added


def test_a_retired_limit_is_forgotten_once_its_window_has_passed() -> None:
    ledger = plan_limits(Ledger("pol_1"), {HOUR}, set(), NOW).ledger
    later = NOW + timedelta(seconds=3600 * 65 / 64) + timedelta(minutes=1)
    assert plan_limits(ledger, set(), {TOGETHER}, later - timedelta(seconds=1)).sources == {TOGETHER: (HOUR,)}
    assert plan_limits(ledger, set(), {TOGETHER}, later).sources == {}


def test_a_ledger_is_stored_and_read_again() -> None:
    ledger = plan_limits(Ledger("pol_1"), {HOUR}, {TOGETHER}, NOW).ledger
    assert ledger.charged
    assert Ledger.read("pol_1", ledger.stored()) == ledger


@pytest.mark.parametrize("damage", [{"retired": [{}]}, {"charged": 1}, [], {"retired": [{"until": "x"}]}])
def test_a_damaged_ledger_denies(damage: Any) -> None:
    policy = compile_policy("pol_1", "P", [limit(60, "global")], damage or ["x"])
    assert evaluate([policy], RuleContext(now=NOW, agent_id="agt_1")).denied_by


def test_an_invalid_rule_has_no_limit() -> None:
    broken = {"type": "rate_limit", "config": {"maxRequests": 0}}
    assert limit_kinds([broken, None, limit(60, "global")]) == {LimitKind(60, "global")}
    assert limit_kinds("nonsense") == set()
