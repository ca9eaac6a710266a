"""Editing a limit does not give a second quota: calls counted before the edit still count."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from core.actor import SYSTEM
from decisions.requests import Decision, VerifyRequest
from decisions.services import decide
from developers.models import Developer
from policies.services import create_policy, delete_policy, update_policy
from tests.shared import cases
from tests.world import ANONYMOUS, grant_to, make_agent, make_user

HOUR, DAY = 3600, 86_400
START = datetime(2026, 3, 23, 12, tzinfo=UTC)

Clock = time_machine.Traveller
Rule = dict[str, Any]


@pytest.fixture(autouse=True)
def clock() -> Iterator[Clock]:
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


def limit(window: int, scope: str = "per_user", most: int = 3) -> Rule:
    return {"type": "rate_limit", "config": {"maxRequests": most, "windowSeconds": window, "scope": scope}}


class World:
    """A developer whose agent acts for two users under one policy."""

    def __init__(self, developer: Developer) -> None:
        self.organization = developer.organization
        self.agent = make_agent(developer)
        self.people = [make_user("ada@example.com"), make_user("bob@example.com")]
        self.renew()

    def renew(self) -> None:
        self.tokens = [grant_to(self.agent, person, ["email:read"]) for person in self.people]

    def start(self, *rules: Rule) -> None:
        self.policy = create_policy(actor=SYSTEM, organization=self.organization, name="P", rules=list(rules))

    def edit(self, *rules: Rule, **changes: Any) -> None:
        update_policy(actor=SYSTEM, policy=self.policy, changes=changes or {"rules": list(rules)})

    def use(self, times: int, person: int = 0) -> int:
        """Make `times` calls and return how many were allowed."""
        return sum(decision.allowed for decision in self.call(person, times))

    def call(self, person: int = 0, times: int = 1) -> Sequence[Decision]:
        return decide([VerifyRequest(self.tokens[person], ["email:read"], ANONYMOUS)] * times)


@pytest.fixture
def world(developer: Developer) -> World:
    return World(developer)


def test_after_a_clock_jump_is_corrected_a_limit_denies_for_one_window(world: World, clock: Clock) -> None:
    world.start(limit(60))
    clock.shift(600)
    assert world.use(4) == 3
    clock.shift(-600)
    for _ in range(6):
        assert world.use(1) == 0
        clock.shift(10)
    clock.shift(1)
    assert world.use(4) == 3


@cases("window", [60, 3599, 3601, 2 * DAY])
@cases("scope", ["per_user", "per_agent", "global"])
def test_a_new_window_keeps_the_count(world: World, window: int, scope: str) -> None:
    world.start(limit(HOUR, scope))
    assert world.use(5) == 3
    world.edit(limit(window, scope))
    assert world.use(2) == 0


@cases("before", ["per_user", "per_agent", "global"])
@cases("after", ["per_user", "per_agent", "global"])
def test_a_new_scope_keeps_the_count(world: World, before: str, after: str) -> None:
    world.start(limit(HOUR, before))
    assert world.use(5) == 3
    world.edit(limit(HOUR, after))
    assert world.use(2) == 0


def test_separate_counts_are_added_up_for_a_wider_scope(world: World) -> None:
    world.start(limit(HOUR, "per_user", 2))
    assert (world.use(1, 0), world.use(2, 1)) == (1, 2)
    world.edit(limit(HOUR, "global", 5))
    assert world.use(5) == 2


def test_a_joint_count_is_charged_to_each_user(world: World) -> None:
    world.start(limit(HOUR, "global", 4))
    assert (world.use(1, 0), world.use(2, 1)) == (1, 2)
    world.edit(limit(HOUR, "per_user", 4))
    assert (world.use(3, 0), world.use(3, 1)) == (1, 1)


def test_a_joint_count_charged_to_each_user_expires_with_the_window(world: World, clock: Clock) -> None:
    world.start(limit(60, "global", 2))
    assert world.use(2) == 2
    world.edit(limit(60, "per_user", 2))
    clock.shift(timedelta(seconds=59))
    assert (world.use(1, 0), world.use(1, 1)) == (0, 0)
    clock.shift(timedelta(seconds=3))
    assert (world.use(3, 0), world.use(3, 1)) == (2, 2)
    assert (world.call()[0].retry_after_seconds or 0) <= 60


def test_a_denial_after_an_edit_says_when_to_try_again(world: World, clock: Clock) -> None:
    world.start(limit(60, "global", 2))
    world.use(1)
    clock.shift(timedelta(seconds=30))
    world.use(1)
    world.edit(limit(60, "per_user", 1))
    wait = world.call()[0].retry_after_seconds
    assert wait == 60
    clock.shift(timedelta(seconds=wait + 1))  # a call counts for up to a 64th of the window longer
    assert world.use(1) == 1


def test_a_shorter_window_keeps_only_recent_calls(world: World, clock: Clock) -> None:
    world.start(limit(HOUR, most=2))
    assert world.use(2) == 2
    clock.shift(timedelta(minutes=10))
    world.edit(limit(60, most=2))
    assert world.use(3) == 2


def test_a_longer_window_keeps_all_calls_of_the_old_one(world: World, clock: Clock) -> None:
    world.start(limit(60, most=3))
    world.use(1)
    clock.shift(timedelta(seconds=50))
    world.use(1)
    world.edit(limit(600, most=3))
    assert world.use(3) == 1
    clock.shift(timedelta(seconds=500))
    assert world.use(1) == 0
    clock.shift(timedelta(seconds=120))
    assert world.use(5) == 3


def test_changing_a_window_and_back_keeps_the_count(world: World, clock: Clock) -> None:
    world.start(limit(HOUR, most=3))
    assert world.use(3) == 3
    world.edit(limit(1, most=3))
    clock.shift(timedelta(seconds=10))
    assert world.use(2) == 2
    world.edit(limit(HOUR, most=7))
    assert world.use(5) == 2


def test_changing_a_scope_and_back_charges_each_user_their_own_calls(world: World) -> None:
    world.start(limit(HOUR, "per_user", 3))
    assert world.use(3, 0) == 3
    world.edit(limit(HOUR, "global", 5))
    assert world.use(1, 1) == 1
    world.edit(limit(HOUR, "per_user", 3))
    assert (world.use(3, 0), world.use(3, 1)) == (0, 2)


def test_adding_the_new_limit_before_removing_the_old_one_keeps_the_count(world: World) -> None:
    world.start(limit(HOUR))
    assert world.use(3) == 3
    world.edit(limit(HOUR), limit(DAY))
    world.edit(limit(DAY))
    assert world.use(1) == 0


def test_a_limit_keeps_counting_between_removal_and_return(world: World) -> None:
    world.start(limit(HOUR, most=4))
    assert world.use(2) == 2
    world.edit()
    assert world.use(1) == 1
    world.edit(limit(HOUR, most=4))
    assert world.use(3) == 1
    world.edit()
    world.edit(limit(DAY, most=5))
    assert world.use(3) == 1


def test_removing_one_of_two_limits_does_not_affect_the_other(world: World) -> None:
    world.start(limit(60, "per_user", 2), limit(HOUR, "global", 4))
    assert (world.use(3, 0), world.use(1, 1)) == (2, 1)
    world.edit(limit(HOUR, "global", 4))
    assert world.use(4) == 1


def test_order_enabled_and_maximum_do_not_affect_counts(world: World) -> None:
    block = {"type": "action_blocklist", "config": {"actions": ["files:*"]}}
    world.start(limit(HOUR), limit(DAY, "global", 10), block)
    assert world.use(3) == 3
    world.edit(block, limit(DAY, "global", 10), limit(HOUR))
    assert world.use(1) == 0
    world.edit(enabled=False)
    assert world.use(1) == 1
    world.edit(enabled=True)
    assert world.use(1) == 0
    world.edit(limit(HOUR, most=5))
    assert world.use(4) == 2


def test_a_loosened_limit_applies_immediately(world: World) -> None:
    world.start(limit(DAY, most=3))
    assert world.use(3) == 3
    world.edit(limit(HOUR, most=10))
    assert world.use(10) == 7


def test_a_new_policy_starts_counting_at_zero(world: World) -> None:
    world.start(limit(HOUR, most=2))
    assert world.use(2) == 2
    delete_policy(actor=SYSTEM, policy=world.policy)
    world.start(limit(HOUR, most=2))
    assert world.use(3) == 2


def test_a_short_window_between_two_longer_ones_gives_no_second_quota(world: World, clock: Clock) -> None:
    world.start(limit(HOUR, most=15))
    world.edit(limit(1800, most=15))
    clock.shift(timedelta(seconds=3690))
    world.renew()
    assert world.use(10) == 10
    clock.shift(timedelta(seconds=10))
    world.edit(limit(900, most=15))
    clock.shift(timedelta(seconds=1000))
    world.renew()
    assert world.use(5) == 5
    clock.shift(timedelta(seconds=10))
    world.edit(limit(1800, most=15))
    assert world.use(20) == 0


def test_calls_that_only_a_longer_limit_of_another_scope_recorded_count(world: World, clock: Clock) -> None:
    world.start(limit(60, most=3), limit(HOUR, "global", 5))
    assert (world.use(2, 0), world.use(1, 1)) == (2, 1)
    clock.shift(timedelta(seconds=600))
    assert world.use(1, 0) == 1
    world.edit(limit(HOUR, most=4))
    assert (world.use(4, 0), world.use(4, 1)) == (0, 1)


def test_a_limit_that_returns_late_keeps_what_it_counted_while_retired(world: World, clock: Clock) -> None:
    world.start(limit(HOUR, most=5))
    world.edit(limit(900, most=5))
    clock.shift(timedelta(seconds=3000))
    world.renew()
    assert world.use(3) == 3
    clock.shift(timedelta(seconds=950))
    world.renew()
    assert world.use(1) == 1
    world.edit(limit(HOUR, most=5))
    assert world.use(5) == 1
