"""How often one address is connected to, and by whose webhooks."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack

import pytest

from events import addresses as module
from events.addresses import MAX_TRIES_OF_SOME, MAX_TRIES_PER_ADDRESS, MAX_TRIES_PER_SECOND, PATIENCE_SECONDS, Addresses
from events.sending import TargetBusy

HERE, BESIDE, ELSEWHERE = "2001:db8::1", "2001:db8::ffff", "2001:db8:0:1::1"
type Begin = Callable[..., AbstractContextManager[None]]


class Clock:
    now = 5.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def addresses() -> Addresses:
    return Addresses()


@pytest.fixture
def begin(addresses: Addresses) -> Iterator[Begin]:
    """Begin a try, which ends with what is returned or with the test."""
    with ExitStack() as stack:

        def start(organization: str, address: str = HERE, *, can_hang: bool = False) -> AbstractContextManager[None]:
            trying = ExitStack()
            trying.enter_context(addresses.trying(organization, can_hang=can_hang))(address)
            return stack.enter_context(trying)

        yield start


def test_an_address_is_not_tried_too_often_at_once(begin: Begin) -> None:
    for number in range(MAX_TRIES_PER_ADDRESS - 1):
        begin(f"org_{number}", f"2001:db8::{number}")
    with begin("org_last"):
        with pytest.raises(TargetBusy):
            begin("org_more", BESIDE)
        begin("org_more", ELSEWHERE)
    begin("org_more", BESIDE)


def test_an_address_is_not_tried_too_often_in_a_second(begin: Begin, addresses: Addresses, clock: Clock) -> None:
    for _ in range(MAX_TRIES_PER_SECOND):
        with begin("org_alone"):
            pass
    for organization in ("org_alone", "org_other"):
        with pytest.raises(TargetBusy):
            begin(organization)
    clock.now += 1
    for _ in range(MAX_TRIES_PER_SECOND // 2):
        with begin("org_alone"):
            pass
    with pytest.raises(TargetBusy):
        begin("org_alone")
    with begin("org_other"):
        pass
    clock.now += 2 * PATIENCE_SECONDS
    begin("org_other", ELSEWHERE)
    assert len(addresses._places) == 1


def test_an_organization_leaves_half_of_the_places_to_others(begin: Begin) -> None:
    for _ in range(MAX_TRIES_OF_SOME):
        begin("org_busy")
    with pytest.raises(TargetBusy):
        begin("org_busy")
    begin("org_other")


def test_webhooks_that_can_hang_leave_half_of_the_places_to_others(begin: Begin) -> None:
    for number in range(MAX_TRIES_OF_SOME):
        begin(f"org_{number}", can_hang=True)
    with pytest.raises(TargetBusy):
        begin("org_more", can_hang=True)
    begin("org_more")


def test_a_place_that_becomes_free_is_that_of_who_has_the_fewest_and_waits(begin: Begin, clock: Clock) -> None:
    first, *_ = [begin("org_busy", can_hang=True) for _ in range(MAX_TRIES_OF_SOME)]
    with pytest.raises(TargetBusy):
        begin("org_patient", can_hang=True)
    clock.now += 0.1
    first.__exit__(None, None, None)
    for organization in ("org_busy", "org_late"):
        with pytest.raises(TargetBusy):
            begin(organization, can_hang=True)
    with begin("org_patient", can_hang=True):
        pass
    clock.now += PATIENCE_SECONDS
    begin("org_busy", can_hang=True)
