"""Reservations that are made, resolved and lapse at the same time never exceed a budget, and never deadlock."""

import random
from collections import Counter
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine

from audit.events import Event
from core import clock
from core.actor import SYSTEM
from core.errors import DomainError
from core.money import Amount
from decisions.services import decide
from limits.models import Reservation
from limits.reservations import (
    ReservationExpired,
    ReservationResolved,
    commit_reservation,
    lapse_reservations,
    void_reservation,
)
from policies.services import update_policy
from tests.decisions.drivers import allowed
from tests.decisions.test_reserving import budget, commit, paying, reserving
from tests.log import log_entries
from tests.threads import race
from tests.world import Grant

pytestmark = pytest.mark.django_db(transaction=True)

CALLS = 32
THREADS = 8


def in_threads(number: int, act: Any) -> list[Any]:
    """Call `act` this often, by eight threads at once. Return what it returned or the `DomainError` that it raised."""

    def several(thread: int) -> list[Any]:
        return [_attempt(act, place) for place in range(thread, number, THREADS)]

    done = race([lambda thread=thread: several(thread) for thread in range(THREADS)])  # type: ignore[misc]
    return [one for each in done for one in each]


def _attempt(act: Any, place: int) -> Any:
    try:
        return act(place)
    except DomainError as error:
        return error


@pytest.mark.parametrize(
    ("most", "part", "currency", "times"),
    [
        ("100.00", "9.99", "EUR", 10),
        pytest.param("5000", "499", "JPY", 10, marks=pytest.mark.soak),
        pytest.param("1.000", "0.099", "KWD", 10, marks=pytest.mark.soak),
    ],
)
def test_parallel_reservations_never_exceed_the_budget(
    grant: Grant, most: str, part: str, currency: str, times: int
) -> None:
    budget(grant, most, currency=currency)
    asked = paying(grant, part, currency, reserve_seconds=600)
    decisions = in_threads(CALLS, lambda _: decide([asked])[0])
    assert Counter(allowed(decisions)) == {True: times, False: CALLS - times}
    assert Reservation.objects.count() == times
    rest = Decimal(most) - times * Decimal(part)
    assert allowed(decide([paying(grant, f"{rest:f}", currency)]))[0]


@pytest.mark.parametrize("before", [1, 0], ids=["just before the edge", "at the edge"])
def test_nor_at_the_edge_of_a_window(grant: Grant, before: int) -> None:
    budget(grant, "10", windowSeconds=64)
    with time_machine.travel(clock.now().replace(second=0, microsecond=0), tick=False) as traveller:
        assert allowed(decide([paying(grant, "6")]))[0]
        (held,) = decide([reserving(grant, "4", 60)])
        commit(held.reservation_id)
        traveller.shift(timedelta(seconds=65) - timedelta(microseconds=before))
        decisions = in_threads(CALLS, lambda _: decide([reserving(grant, "1", 60)])[0])
        assert sum(allowed(decisions)) == (0 if before else 10)


@pytest.mark.parametrize("before", [1, 0], ids=["just before it lapses", "when it lapses"])
def test_nor_when_a_reservation_lapses(grant: Grant, before: int) -> None:
    budget(grant, "10")
    with time_machine.travel(clock.now().replace(second=0, microsecond=0), tick=False) as traveller:
        assert allowed(decide([reserving(grant, "10", 60)]))[0]
        traveller.shift(timedelta(seconds=60) - timedelta(microseconds=before))
        decisions = in_threads(CALLS, lambda _: decide([reserving(grant, "1", 600)])[0])
        assert sum(allowed(decisions)) == (0 if before else 10)


def test_one_of_many_ways_to_resolve_wins(grant: Grant) -> None:
    budget(grant, "10")
    (held,) = decide([reserving(grant, "10")])

    def resolve(place: int) -> Any:
        if place % 3 == 0:
            return void_reservation(actor=SYSTEM, reservation_id=str(held.reservation_id), server_id=None)
        return commit(held.reservation_id, str(place % 3))

    outcomes = in_threads(24, resolve)
    row = Reservation.objects.get()
    same = [each for each in outcomes if isinstance(each, Reservation)]
    assert {(each.status, each.final_amount) for each in same} == {(row.status, row.final_amount)}
    others = [each for each in outcomes if not isinstance(each, Reservation)]
    assert others
    assert all(isinstance(each, ReservationResolved) for each in others)
    assert log_entries(event__startswith="reservation.").count() == 1
    rest = 10 - Decimal(row.final_amount or 0)
    assert allowed(decide([paying(grant, f"{rest}"), paying(grant, "0.01")])) == [True, False]


def test_a_commit_and_the_lapse_of_a_reservation_exclude_each_other(grant: Grant) -> None:
    budget(grant, "100")
    with time_machine.travel(clock.now(), tick=False) as traveller:
        made = [decide([reserving(grant, "1", 60)])[0].reservation_id for _ in range(16)]
        traveller.shift(59.999)
        later = clock.now() + timedelta(seconds=1)
        # A clock that is ahead sweeps what can still be committed by ours.
        acts = [lambda each=each: _attempt(lambda _: commit(each), 0) for each in made]  # type: ignore[misc]
        outcomes = race([*acts, lambda: lapse_reservations(later), lambda: lapse_reservations(later)])[:16]
    statuses = Counter(Reservation.objects.values_list("status", flat=True))
    assert statuses["committed"] == sum(isinstance(each, Reservation) for each in outcomes)
    assert statuses["lapsed"] == sum(isinstance(each, ReservationExpired) for each in outcomes)
    assert statuses.total() == 16
    for event in (Event.RESERVATION_COMMITTED, Event.RESERVATION_LAPSED):
        assert log_entries(event=event).count() == statuses[event.partition(".")[2]]


def test_a_commit_is_refused_once_another_clock_gave_the_amount_away(grant: Grant) -> None:
    budget(grant, "10")
    with time_machine.travel(clock.now(), tick=False) as traveller:
        (held,) = decide([reserving(grant, "10", 60)])
        traveller.shift(121)
        assert allowed(decide([paying(grant, "10")]))[0]
        traveller.shift(-62)
        with pytest.raises(ReservationExpired):
            commit(held.reservation_id)
        assert Reservation.objects.get().status == "held"


def test_everything_at_once_keeps_the_budget(grant: Grant) -> None:
    """Reservations, commits, voids, plain spending and edits of the limit: what was spent is within the budget."""
    policy = budget(grant, "50.00")
    spent: list[Decimal] = []

    def act(place: int) -> None:
        chance = random.Random(place)
        if place % 16 == 15:
            window = chance.choice([1800, 3600, 7200])
            config = {**policy.rules[0]["config"], "windowSeconds": window}
            update_policy(actor=SYSTEM, policy=policy, changes={"rules": [{"type": "spend_limit", "config": config}]})
            return
        amount = Decimal(chance.randrange(1, 1000)).scaleb(-2)
        if place % 3 == 0:
            spent.extend([amount] * decide([paying(grant, f"{amount}")])[0].allowed)
            return
        (held,) = decide([reserving(grant, f"{amount}")])
        if held.allowed and chance.random() < 0.3:
            void_reservation(actor=SYSTEM, reservation_id=str(held.reservation_id), server_id=None)
        elif held.allowed:
            final = (amount * chance.randrange(1, 5) / 4).quantize(Decimal("0.001"))
            commit_reservation(
                actor=SYSTEM,
                reservation_id=str(held.reservation_id),
                final_amount=Amount(f"{min(final, amount)}", "EUR"),
                server_id=None,
            )
            spent.append(min(final, amount))

    outcomes = in_threads(96, act)
    assert [each for each in outcomes if each is not None] == []
    assert Decimal(20) < sum(spent) <= 50
    rest = 50 - sum(spent)
    asked = [paying(grant, f"{rest + Decimal('0.001')}"), paying(grant, f"{rest}")]
    assert allowed(decide(asked)) == [False, True]


def test_nothing_is_lost_when_a_service_dies_between_reserve_and_commit(grant: Grant) -> None:
    budget(grant, "10")
    with time_machine.travel(clock.now(), tick=False) as traveller:
        made = in_threads(16, lambda _: decide([reserving(grant, "1", 60)])[0])
        kept = [each.reservation_id for each in made if each.allowed][::2]
        traveller.shift(59)
        for each in kept:
            commit(each, "0.5")
        traveller.shift(61)
        assert allowed(decide([paying(grant, "7.51"), paying(grant, "7.5"), paying(grant, "0.01")])) == [
            False,
            True,
            False,
        ]
