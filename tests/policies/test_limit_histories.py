"""Random histories of edits and requests: no window ever contains more requests than its limit allows."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core import clock
from core.actor import SYSTEM
from developers.models import Organization
from limits.counters import take_all
from policies.engine import compile_policy, evaluate
from policies.rules import RuleContext
from policies.services import create_policy, update_policy

START = datetime(2026, 3, 23, 12, tzinfo=UTC)
# They take longer than other examples, so there are fewer: 12, and 50 in soak.
HISTORIES = max(12, settings().max_examples // 8)


@dataclass(frozen=True)
class Limit:
    """`window` is in seconds. Without a currency it limits requests, without actions those for all."""

    window: int
    scope: str
    most: int
    currency: str = ""
    actions: tuple[str, ...] = ()

    @property
    def kind(self) -> tuple[object, ...]:
        return self.window, self.scope, self.currency, frozenset(self.actions)

    def concerns(self, asked: str) -> bool:
        """Return whether it concerns a call, which asks for one action."""
        return not self.actions or any(asked == each or each == "email:*" for each in self.actions)

    @property
    def rule(self) -> dict[str, Any]:
        config: dict[str, Any] = {"windowSeconds": self.window, "scope": self.scope}
        if self.actions:
            config["actions"] = list(self.actions)
        if self.currency:
            return {"type": "spend_limit", "config": {**config, "maxAmount": f"{self.most}", "currency": self.currency}}
        return {"type": "rate_limit", "config": {**config, "maxRequests": self.most}}


@dataclass(frozen=True)
class Asked:
    """A call: by which agent and user, for which action, and with which amount."""

    agent: str
    user: str
    action: str
    amount: int


@dataclass(frozen=True)
class Step:
    """A wait in seconds, then an edit or None, and a number of calls. `is_switched` toggles the policy."""

    wait: int
    limits: list[Limit] | None
    asked: Asked
    times: int
    is_switched: bool


@dataclass
class Call:
    """An allowed call, and until when the policy must remember it, by unit: as a request, and its amount."""

    at: int
    asked: Asked
    remembered_until: dict[str, int]

    def is_counted_with(self, other: "Call", limit: Limit) -> bool:
        if not limit.concerns(self.asked.action):
            return False
        name = limit.scope.removeprefix("per_")
        return limit.scope == "global" or getattr(self.asked, name) == getattr(other.asked, name)

    def weight(self, currency: str) -> int:
        return self.asked.amount if currency else 1


@dataclass
class Oracle:
    """A simple model of the limits: a list of all allowed calls, and how long each must be remembered.

    A call is remembered for the longest window that is in force when it is made, or that is added while it is
    remembered. If no limit is in force, it is remembered until the windows of removed limits have passed since their
    removal.
    """

    limits: list[Limit] = field(default_factory=list)
    removed: list[tuple[int, Limit]] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)

    def edit(self, limits: list[Limit], now: int) -> None:
        kinds = {limit.kind for limit in limits}
        self.removed += [(now, limit) for limit in self.limits if limit.kind not in kinds]
        self.limits = limits
        for call in self.calls:
            for unit, until in call.remembered_until.items():
                if until > now:
                    ends = [call.at + limit.window for limit in self._concerning(call.asked, unit)]
                    call.remembered_until[unit] = max([until, *ends])

    def allow(self, asked: Asked, now: int) -> None:
        """Record an allowed call. Raises `AssertionError` if it exceeds a limit that is in force."""
        call = Call(now, asked, {unit: self._end(asked, unit, now) for unit in UNITS})
        self.calls.append(call)
        for limit in self.limits:
            if limit.concerns(asked.action):
                self._check(limit, call, now)

    def _check(self, limit: Limit, call: Call, now: int) -> None:
        used = sum(
            one.weight(limit.currency)
            for one in self.calls
            if now - limit.window < one.at
            and one.remembered_until[limit.currency] > now
            and one.is_counted_with(call, limit)
        )
        assert used <= limit.most, f"{used} of {limit} at {now}"

    def _concerning(self, asked: Asked, unit: str) -> list[Limit]:
        return [limit for limit in self.limits if limit.currency == unit and limit.concerns(asked.action)]

    def _end(self, asked: Asked, unit: str, now: int) -> int:
        removed = [
            at + limit.window for at, limit in self.removed if limit.currency == unit and limit.concerns(asked.action)
        ]
        return max([now, *removed, *(now + limit.window for limit in self._concerning(asked, unit))])


class World:
    def __init__(self, organization: Organization) -> None:
        self.policy = create_policy(actor=SYSTEM, organization=organization, name="P", rules=[])

    def edit(self, limits: list[Limit]) -> None:
        self._update(rules=[limit.rule for limit in limits])

    def switch(self) -> None:
        self._update(enabled=not self.policy.enabled)

    def call(self, asked: Asked) -> bool:
        """Return whether a decision would allow the call."""
        policy = self.policy
        compiled = compile_policy(policy.id, policy.name, policy.rules, policy.limit_history)
        context = {"amount": {"value": f"{asked.amount}.00", "currency": "EUR"}}
        facts = RuleContext(
            now=clock.now(), agent_id=asked.agent, user_id=asked.user, scopes=(asked.action,), context=context
        )
        evaluation = evaluate([compiled], facts)
        if evaluation.denied_by is not None:
            return False
        with transaction.atomic():
            return take_all([evaluation.counter_requests], clock.now) == [None]

    def _update(self, **changes: Any) -> None:
        self.policy = update_policy(actor=SYSTEM, policy=self.policy, changes=changes)


UNITS = ("", "EUR")
WINDOWS, SCOPES = (60, 900, 1800, 3600), ("per_user", "per_agent", "global")
WAITS = (1, 10, 61, 400, 890, 1000, 1790, 1810, 3690)


PLAIN, ALL_ACTIONS = ((),), ((), ("email:read",), ("email:send",), ("email:read", "email:send"), ("email:*",))


@st.composite
def histories(
    draw: st.DrawFn, currencies: tuple[str, ...] = ("",), actions: tuple[tuple[str, ...], ...] = PLAIN
) -> list[Step]:
    """Return steps that mostly replace one limit with another, because with few limits most counts can be lost."""
    scopes = draw(st.sampled_from([("per_user",), SCOPES]))
    parts = (st.sampled_from(WINDOWS), st.sampled_from(scopes))
    of = {"currency": st.sampled_from(currencies), "actions": st.sampled_from(actions)}
    limits, sizes = (st.builds(Limit, *parts, most, **of) for most in (st.just(5), st.integers(2, 6)))
    one, several = st.lists(limits, min_size=1, max_size=1), st.lists(sizes, max_size=3)
    edits = st.one_of(st.none(), one, one, one, several)
    amounts = st.integers(0, 3) if any(currencies) else st.just(1)
    calls = st.builds(
        Asked, st.sampled_from("AB"), st.sampled_from("aab"), st.sampled_from(["email:read", "email:send"]), amounts
    )
    steps = []
    for _ in range(draw(st.integers(4, 16))):
        is_switched = draw(st.integers(0, 19)) == 19
        times = draw(st.sampled_from([0, 2, 3, 6]))
        steps.append(Step(draw(st.sampled_from(WAITS)), draw(edits), draw(calls), times, is_switched))
    return steps


@pytest.fixture
def organization(db: None) -> Organization:
    return Organization.objects.create(name="Acme")


many = settings(
    max_examples=HISTORIES,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@many
@given(histories())
def test_no_window_contains_more_requests_than_its_limit_allows(
    organization: Organization, history: list[Step]
) -> None:
    replay(organization, history)


@many
@given(histories(actions=ALL_ACTIONS))
def test_nor_if_limits_are_for_some_actions(organization: Organization, history: list[Step]) -> None:
    replay(organization, history)


@many
@given(histories(currencies=("", "EUR", "EUR"), actions=ALL_ACTIONS))
def test_nor_does_any_contain_more_than_may_be_spent(organization: Organization, history: list[Step]) -> None:
    replay(organization, history)


@many
@given(histories(currencies=("", "EUR"), actions=ALL_ACTIONS))
def test_nor_if_removed_limits_are_merged(
    organization: Organization, monkeypatch: pytest.MonkeyPatch, history: list[Step]
) -> None:
    monkeypatch.setattr("policies.limits.MAX_RETIRED_WITH_ACTIONS", 1)
    replay(organization, history)


def replay(organization: Organization, history: list[Step]) -> None:
    with transaction.atomic(), time_machine.travel(START, tick=False) as traveller:
        _replay(World(organization), history, traveller)
        transaction.set_rollback(True)


def _replay(world: World, history: list[Step], traveller: time_machine.Traveller) -> None:
    oracle, now = Oracle(), 0
    for step in history:
        now += step.wait
        traveller.move_to(START + timedelta(seconds=now))
        if step.is_switched:
            world.switch()
        if step.limits is not None:
            world.edit(step.limits)
            oracle.edit(step.limits, now)
        for _ in range(step.times if world.policy.enabled else 0):
            if world.call(step.asked):
                oracle.allow(step.asked, now)
