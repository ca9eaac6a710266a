"""An edit of limits stalls decisions for as long as one of a policy with one user, and still forgets nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection, transaction

from core import clock
from core.actor import SYSTEM
from core.errors import Conflict
from core.money import units_of
from developers.models import Organization
from limits.counters import delete_idle_counters, lock_counters, save_counters, take_all
from limits.models import Counter, Reservation
from limits.reservations import commit_reservation
from policies import limit_edits, merging
from policies.engine import compile_policy, evaluate
from policies.models import Policy
from policies.rules import RuleContext
from policies.services import create_policy, update_policy
from tests.constants import NOON
from tests.shared import cases

pytestmark = pytest.mark.django_db
MANY = 130
HOUR, DAY = 3600, 86_400


def limit(window: int, scope: str = "per_user", most: int = 2) -> dict[str, Any]:
    return {"type": "rate_limit", "config": {"maxRequests": most, "windowSeconds": window, "scope": scope}}


def budget(window: int) -> dict[str, Any]:
    config = {"maxAmount": "10", "currency": "EUR", "windowSeconds": window, "scope": "per_user"}
    return {"type": "spend_limit", "config": config}


@pytest.fixture
def organization() -> Organization:
    return Organization.objects.create(name="Acme")


def make(organization: Organization, *rules: dict[str, Any]) -> Policy:
    return create_policy(actor=SYSTEM, organization=organization, name="P", rules=list(rules))


def edit(policy: Policy, *rules: dict[str, Any]) -> Policy:
    return update_policy(actor=SYSTEM, policy=policy, changes={"rules": list(rules)})


def call(policy: Policy, user: str, amount: str = "1") -> bool:
    """Return whether the policy allows a call, as a decision would."""
    compiled = compile_policy(policy.id, policy.name, policy.rules, policy.limit_history)
    context = {"amount": {"value": amount, "currency": "EUR"}}
    facts = RuleContext(now=clock.now(), agent_id="agt_1", user_id=user, context=context)
    evaluation = evaluate([compiled], facts)
    assert evaluation.denied_by is None
    with transaction.atomic():
        return take_all([evaluation.counter_requests], clock.now) == [None]


def rows() -> dict[str, Any]:
    return {row["key"]: row for row in Counter.objects.exclude(key__startswith="kept|").values()}


@contextmanager
def recorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Record what an edit executes while decisions wait: after `hold_decisions`, until the transaction ends."""
    statements: list[str] = []
    is_held = False

    def hold() -> None:
        nonlocal is_held
        is_held = True

    def wrap(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal is_held
        is_held = is_held and "SAVEPOINT" not in sql
        if is_held and "audit_" not in sql:
            statements.append(sql)
        return execute(sql, params, many, context)

    monkeypatch.setattr("policies.limit_edits.hold_decisions", hold)
    with connection.execute_wrapper(wrap):
        yield statements


@pytest.mark.postgresql
@cases("users", [1, MANY])
@cases("scope", ["per_user", "global"])
def test_while_decisions_wait_an_edit_writes_one_row(
    organization: Organization, monkeypatch: pytest.MonkeyPatch, scope: str, users: int
) -> None:
    policy = make(organization, limit(HOUR))
    for number in range(users):
        assert call(policy, f"usr_{number}")
    with recorded(monkeypatch) as statements:
        edit(policy, limit(DAY, scope))
    edits = 2 if scope == "global" else 1  # one lets decisions count the total
    # The others are the locks themselves.
    assert [sql for sql in statements if not sql.startswith(("SELECT pg_", "SET "))] == [statements[0]] * edits
    assert statements[0].startswith('UPDATE "policies_policy"')


@pytest.mark.postgresql
def test_an_edit_of_a_window_writes_no_counters(organization: Organization) -> None:
    policy = make(organization, limit(HOUR))
    for number in range(MANY):
        call(policy, f"usr_{number}")
    before = rows()
    edit(policy, limit(DAY))
    assert rows() == before


@pytest.mark.postgresql
def test_a_merge_moves_few_rows_at_a_time(organization: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = make(organization, limit(HOUR))
    for number in range(MANY):
        call(policy, f"usr_{number}")
    locked: list[int] = []
    lock = merging.lock_counters

    def count(requests: Any) -> Any:
        found = lock(requests)
        locked.append(len(found))
        return found

    monkeypatch.setattr(merging, "lock_counters", count)
    policy = edit(policy, limit(HOUR, "global", most=MANY + 1))
    assert len(locked) > 1
    assert max(locked) <= merging.MAX_ROWS
    assert [call(policy, "usr_new"), call(policy, "usr_new")] == [True, False]


@cases("edits", [[HOUR, 2 * HOUR, DAY], [2 * HOUR, 3 * HOUR, 4 * HOUR, 5 * HOUR, 6 * HOUR, DAY]])
def test_users_who_do_not_call_between_edits_are_not_forgotten(organization: Organization, edits: list[int]) -> None:
    policy = make(organization, limit(60))
    for number in range(3):
        call(policy, f"usr_{number}")
        call(policy, f"usr_{number}")
    for window in edits:
        policy = edit(policy, limit(window))
        assert [call(policy, f"usr_{number}") for number in range(3)] == [False] * 3


@pytest.mark.postgresql
def test_the_sweep_keeps_what_a_longer_limit_counts_on_from(organization: Organization) -> None:
    with time_machine.travel(NOON, tick=False) as moment:
        policy = make(organization, limit(60))
        assert [call(policy, "usr_1") for _ in range(3)] == [True, True, False]
        policy = edit(policy, limit(DAY))
        moment.shift(4 * HOUR)
        delete_idle_counters(clock.now())
        assert not call(policy, "usr_1")
        moment.shift(21 * HOUR)
        assert call(policy, "usr_1")
        moment.shift(48 * HOUR)
        for _ in range(2):
            delete_idle_counters(clock.now())
        assert not Counter.objects.exists()


@pytest.mark.postgresql
def test_a_late_commit_forgets_nothing_that_a_longer_limit_counts(organization: Organization) -> None:
    with time_machine.travel(NOON, tick=False) as moment:
        policy = make(organization, budget(60))
        assert call(policy, "usr_1", "4")
        hold(policy, "usr_1", "5")
        policy = edit(policy, budget(DAY))
        moment.shift(HOUR / 2)
        assert [call(policy, "usr_1", amount) for amount in ("2", "1")] == [False, True]
        (reservation,) = Reservation.objects.all()
        commit_reservation(actor=SYSTEM, reservation_id=reservation.id, final_amount=None, server_id=None)
        moment.shift(HOUR)
        assert not call(policy, "usr_1", "0.01")


def hold(policy: Policy, user: str, amount: str) -> None:
    """Reserve an amount, as a decision does."""
    compiled = compile_policy(policy.id, policy.name, policy.rules, policy.limit_history)
    context = {"amount": {"value": amount, "currency": "EUR"}}
    requests = evaluate(
        [compiled], RuleContext(now=clock.now(), agent_id="agt_1", user_id=user, context=context)
    ).counter_requests
    until = clock.now() + timedelta(hours=1)
    with transaction.atomic():
        counters = lock_counters(requests)
        for request in requests:
            counters[request.key].hold(units_of(amount), until)
        save_counters(counters.values())
    Reservation.objects.create(
        audit_id="log_1",
        agent_id="agt_1",
        organization_id=policy.organization_id,
        amount=amount,
        currency="EUR",
        holds=[[request.key, request.window_seconds] for request in requests],
        created_at=clock.now(),
        expires_at=until,
    )


def test_a_merge_moves_what_is_held(organization: Organization) -> None:
    policy = make(organization, budget(HOUR))
    hold(policy, "usr_1", "8")
    for window in (2 * HOUR, 3 * HOUR, 4 * HOUR, 5 * HOUR, DAY):
        policy = edit(policy, budget(window))
    assert not call(policy, "usr_1", "3")
    (reservation,) = Reservation.objects.all()
    commit_reservation(actor=SYSTEM, reservation_id=reservation.id, final_amount=None, server_id=None)
    assert [call(policy, "usr_1", amount) for amount in ("3", "2", "1")] == [False, True, False]


def test_a_merge_that_takes_too_long_is_refused_and_goes_on_with_the_next_try(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = make(organization, limit(HOUR))
    call(policy, "usr_1")
    with monkeypatch.context() as patch:
        patch.setattr("policies.limit_edits.MERGE_SECONDS", 0.0)
        with pytest.raises(Conflict, match="still being merged"):
            edit(policy, limit(HOUR, "global"))
    assert Policy.objects.get().rules == [limit(HOUR)]
    policy = Policy.objects.get()
    assert call(policy, "usr_2")
    policy = edit(policy, limit(HOUR, "global"))
    assert not call(policy, "usr_3")


def test_an_organization_merges_one_policy_at_a_time_and_few_do_at_once(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each merge keeps a thread for seconds, which pages of others need."""
    policy = make(organization, limit(HOUR))
    for busy in {organization.id}, {"org_1", "org_2", "org_3"}:
        with monkeypatch.context() as patch:
            patch.setattr("policies.limit_edits._merging", busy)
            with pytest.raises(Conflict, match="still being merged"):
                edit(policy, limit(HOUR, "global"))
    assert edit(policy, limit(HOUR, "global")).rules == [limit(HOUR, "global")]
    assert not limit_edits._merging


def test_a_policy_that_other_requests_change_all_the_time_is_a_conflict(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = make(organization, limit(HOUR))
    monkeypatch.setattr("policies.services.prepare_limits", lambda *_: None)
    with pytest.raises(Conflict, match="another request"):
        edit(policy, limit(HOUR, "global"))


def test_an_edit_by_a_clock_that_was_ahead_gives_out_no_second_quota(organization: Organization) -> None:
    with time_machine.travel(NOON + timedelta(days=1), tick=False) as traveller:
        policy = make(organization, limit(HOUR))
        assert [call(policy, "ada") for _ in range(3)] == [True, True, False]
        policy = edit(policy, limit(HOUR), limit(DAY, most=100))
        traveller.move_to(NOON)
        assert not call(policy, "ada")
        traveller.move_to(NOON + timedelta(seconds=HOUR * 66 // 64))
        assert call(policy, "ada")
