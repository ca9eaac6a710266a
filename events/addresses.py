"""How often one address is connected to, whatever webhooks lead there, and whose turn it is.

All customers of a provider can have one address. So an organization has at most half of its places, webhooks that can
hang have half of them together, and the next place is that of the organization with the fewest.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address, ip_network
from typing import NamedTuple

from events.sending import TARGET_BUSY, TargetBusy

# Of one address: tries in flight, and tries per second.
MAX_TRIES_PER_ADDRESS, MAX_TRIES_PER_SECOND = 8, 100
# Of an organization at one address, and of all webhooks there that can hang.
MAX_TRIES_OF_SOME = MAX_TRIES_PER_ADDRESS // 2
# The addresses of one customer of a provider are in one such network.
IPV6_PREFIX = 64
# For how long a place is left to an organization that was refused. Its next try comes before, if there is one.
PATIENCE_SECONDS = 3 * TARGET_BUSY.total_seconds()


class _Who(NamedTuple):
    organization_id: str
    can_hang: bool


class _Wait(NamedTuple):
    since: float
    last: float


@dataclass(slots=True)
class _Place:
    """An address with its tries in flight, those of this second, and who was refused and comes back.

    `former` are the organizations that wanted to try in the second before.
    """

    in_flight: Counter[_Who] = field(default_factory=Counter)
    waiting: dict[_Who, _Wait] = field(default_factory=dict)
    second: int = 0
    tries: Counter[str] = field(default_factory=Counter)
    former: frozenset[str] = frozenset()

    def take(self, who: _Who, now: float) -> None:
        """Count a try. Raises `TargetBusy` if there is no place, or if it is another organization's turn."""
        self._begin(now)
        since = self.waiting[who].since if who in self.waiting else now
        self.tries.setdefault(who.organization_id, 0)
        if not (self._has_time(who) and self._has_place(who, since)):
            self.waiting[who] = _Wait(since, now)
            raise TargetBusy
        self.waiting.pop(who, None)
        self.in_flight[who] += 1
        self.tries[who.organization_id] += 1

    def is_unused(self, now: float) -> bool:
        return not self.in_flight and now - self.second > PATIENCE_SECONDS

    def _begin(self, now: float) -> None:
        self.waiting = {one: wait for one, wait in self.waiting.items() if now - wait.last < PATIENCE_SECONDS}
        if int(now) != self.second:
            self.former = frozenset(self.tries) if int(now) == self.second + 1 else frozenset()
            self.second, self.tries = int(now), Counter()

    def _has_time(self, who: _Who) -> bool:
        """Return whether a try more fits into this second. If others want to try, an organization has half of it."""
        is_alone = self.former | self.tries.keys() == {who.organization_id}
        most = MAX_TRIES_PER_SECOND if is_alone else MAX_TRIES_PER_SECOND // 2
        return self.tries.total() < MAX_TRIES_PER_SECOND and self.tries[who.organization_id] < most

    def _has_place(self, who: _Who, since: float) -> bool:
        of_organizations, hanging = Counter[str](), 0
        for one, number in self.in_flight.items():
            of_organizations[one.organization_id] += number
            hanging += number if one.can_hang else 0

        def turn(one: _Who, since: float) -> tuple[int, float]:
            return of_organizations[one.organization_id], since

        earlier = {
            one.organization_id
            for one, wait in self.waiting.items()
            if one.organization_id != who.organization_id
            and (hanging < MAX_TRIES_OF_SOME or not one.can_hang)
            and turn(one, wait.since) < turn(who, since)
        }
        return (
            self.in_flight.total() + len(earlier) < MAX_TRIES_PER_ADDRESS
            and of_organizations[who.organization_id] < MAX_TRIES_OF_SOME
            and (not who.can_hang or hanging + len(earlier) < MAX_TRIES_OF_SOME)
        )


class Addresses:
    """The addresses to which one worker sends."""

    def __init__(self) -> None:
        self._places: dict[str, _Place] = defaultdict(_Place)
        self._second = 0

    @contextmanager
    def trying(self, organization_id: str, *, can_hang: bool) -> Iterator[Callable[[str], None]]:
        """Yield what is called with each address before it is connected to. It raises `TargetBusy`."""
        who, admitted = _Who(organization_id, can_hang), list[str]()

        def admit(address: str) -> None:
            place, now = _place_of(address), time.monotonic()
            self._forget(now)
            self._places[place].take(who, now)
            admitted.append(place)

        try:
            yield admit
        finally:
            for place in admitted:
                self._places[place].in_flight -= Counter([who])

    def _forget(self, now: float) -> None:
        """Forget, each second, the addresses to which nothing is sent any more."""
        if int(now) != self._second:
            self._second = int(now)
            for name in [name for name, place in self._places.items() if place.is_unused(now)]:
                del self._places[name]


def _place_of(address: str) -> str:
    one = ip_address(address)
    return str(ip_network((one, IPV6_PREFIX), strict=False)) if isinstance(one, IPv6Address) else address
