"""Random histories of edits and requests: no window ever contains more requests than its limit allows.

Set `LIMIT_HISTORIES` to the number of histories to try.
"""

import os
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
HISTORIES = int(os.environ.get("LIMIT_HISTORIES", "100"))

type Limit = tuple[int, str, int]
"""Window in seconds, scope, size."""


@dataclass(frozen=True)
class Step:
    """A wait in seconds, then an edit or None, and calls (agent, user, number). `is_switched` toggles the policy."""

    wait: int
    limits: list[Limit] | None
    calls: tuple[str, str, int]
    is_switched: bool


@dataclass
class Call:
    """An allowed call, and until when the policy must remember it."""

    at: int
    agent: str
    user: str
    remembered_until: int

    def is_counted_with(self, other: "Call", scope: str) -> bool:
        return scope == "global" or getattr(self, scope.removeprefix("per_")) == getattr(other, scope[4:])


@dataclass
class Oracle:
    """A simple model of the limits: a list of all allowed calls, and how long each must be remembered.

    A call is remembered for the longest window that is in force when it is made, or that is added while it is
    remembered. If no limit is in force, it is remembered until the windows of removed limits have passed since their
    removal.
    """

    limits: list[Limit] = field(default_factory=list)
    removed: list[tuple[int, int]] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)

    def edit(self, limits: list[Limit], now: int) -> None:
        kinds = {limit[:2] for limit in limits}
        self.removed += [(now, limit[0]) for limit in self.limits if limit[:2] not in kinds]
        self.limits = limits
        for call in self.calls:
            if call.remembered_until > now:
                call.remembered_until = max([call.remembered_until, *(call.at + window for window, _, _ in limits)])

    def allow(self, agent: str, user: str, now: int) -> None:
        """Record an allowed call. Raises `AssertionError` if it exceeds a limit that is in force."""
        ends = [now + window for window, _, _ in self.limits] + [at + window for at, window in self.removed]
        call = Call(now, agent, user, max(ends, default=now))
        self.calls.append(call)
        for window, scope, most in self.limits:
            counted = [
                one
                for one in self.calls
                if now - window < one.at and one.remembered_until > now and one.is_counted_with(call, scope)
            ]
            assert len(counted) <= most, f"{len(counted)} of {most} in {window} s, {scope}, at {now}"


class World:
    def __init__(self, organization: Organization) -> None:
        self.policy = create_policy(actor=SYSTEM, organization=organization, name="P", rules=[])

    def edit(self, limits: list[Limit]) -> None:
        rules = [
            {"type": "rate_limit", "config": {"maxRequests": most, "windowSeconds": window, "scope": scope}}
            for window, scope, most in limits
        ]
        self._update(rules=rules)

    def switch(self) -> None:
        self._update(enabled=not self.policy.enabled)

    def call(self, agent: str, user: str) -> bool:
        """Return whether a decision would allow the call."""
        policy = self.policy
        compiled = compile_policy(policy.id, policy.name, policy.rules, policy.limit_history)
        evaluation = evaluate([compiled], RuleContext(now=clock.now(), agent_id=agent, user_id=user))
        with transaction.atomic():
            return take_all([evaluation.counter_requests], clock.now) == [None]

    def _update(self, **changes: Any) -> None:
        self.policy = update_policy(actor=SYSTEM, policy=self.policy, changes=changes)


WINDOWS, SCOPES = (60, 900, 1800, 3600), ("per_user", "per_agent", "global")
WAITS = (1, 10, 61, 400, 890, 1000, 1790, 1810, 3690)


@st.composite
def histories(draw: st.DrawFn) -> list[Step]:
    """Return steps that mostly replace one limit with another, because with few limits most counts can be lost."""
    scopes = draw(st.sampled_from([("per_user",), SCOPES]))
    limits = st.tuples(st.sampled_from(WINDOWS), st.sampled_from(scopes), st.just(5))
    sizes = st.tuples(st.sampled_from(WINDOWS), st.sampled_from(scopes), st.integers(2, 6))
    one, several = st.lists(limits, min_size=1, max_size=1), st.lists(sizes, max_size=3)
    edits = st.one_of(st.none(), one, one, one, several)
    calls = st.tuples(st.sampled_from("AB"), st.sampled_from("aab"), st.sampled_from([0, 2, 3, 6]))
    steps = []
    for _ in range(draw(st.integers(4, 16))):
        is_switched = draw(st.integers(0, 19)) == 19
        steps.append(Step(draw(st.sampled_from(WAITS)), draw(edits), draw(calls), is_switched))
    return steps


@pytest.fixture
def organization(db: None) -> Organization:
    return Organization.objects.create(name="Acme")


@settings(
    max_examples=HISTORIES,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(histories())
def test_no_window_contains_more_requests_than_its_limit_allows(
    organization: Organization, history: list[Step]
) -> None:
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
        agent, user, times = step.calls
        for _ in range(times if world.policy.enabled else 0):
            if world.call(agent, user):
                oracle.allow(agent, user, now)
