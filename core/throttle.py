"""Throttles for sign-in and the like, on the same exact counters in the database as policy limits.

A throttle runs in a short transaction of its own, which stays committed when the caller fails afterwards.
Call it outside any other transaction: inside one it raises `RuntimeError`, because a rollback would forget
the attempt.

Where secrets can be guessed, `hit` before the attempt and `forgive` after a success: parallel attempts then
count exactly. Where they cannot, `check` before and `count` a failure: a success costs one read.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_network

from django.db import transaction

from core import clock
from core.counters import lock_counters, read_counters, save_counters, take_all
from core.errors import Throttled
from core.net import parse_address
from core.sliding_window import CounterRequest, counter_key

SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}
IPV6_SUBSCRIBER_BITS = 64


def address_subject(ip: str) -> str:
    """Return the subject for an address. IPv6 counts by /64, the least a subscriber holds (RFC 6177)."""
    address = parse_address(ip)
    if isinstance(address, IPv6Address):
        return f"address:{ip_network((int(address), IPV6_SUBSCRIBER_BITS), strict=False)}"
    return f"address:{address or 'unknown'}"


def parse_rate(rate: str) -> tuple[int, int]:
    """Return the number and the window in seconds of a rate such as "10/minute". Raises `ValueError`."""
    match = re.fullmatch(r"([1-9][0-9]{0,6})/(second|minute|hour|day)", rate, re.ASCII)
    if not match:
        raise ValueError(f"{rate!r} is not a rate; write a number, a slash, and second, minute, hour or day")
    return int(match[1]), SECONDS[match[2]]


@dataclass(frozen=True, slots=True)
class Throttle:
    """At most `rate` attempts for each subject, like `address_subject(ip)`; one full subject refuses all."""

    name: str
    rate: str

    def check(self, *subjects: str) -> None:
        """Return if no subject is full. Raises `Throttled`. Counts nothing."""
        requests = self._requests(subjects)
        counters, now = read_counters(requests), clock.now()
        self._refuse(max(counters[each.key].retry_after(each.limit, now) for each in requests))

    def count(self, *subjects: str) -> None:
        """Count a failure for each subject, also beyond the limit."""
        requests = self._requests(subjects)
        with transaction.atomic(durable=True):
            counters = lock_counters(requests)
            now = clock.now()
            for counter in counters.values():
                counter.take(1, now)
            save_counters(counters.values())

    def hit(self, *subjects: str) -> None:
        """Count an attempt for each subject. Raises `Throttled`, and counts nothing, if one is full."""
        with transaction.atomic(durable=True):
            (denial,) = take_all([self._requests(subjects)], clock.now)
        self._refuse(denial.retry_after_seconds if denial else 0)

    def forgive(self, *subjects: str) -> None:
        """Take back one attempt for each subject: it succeeded."""
        requests = self._requests(subjects)
        with transaction.atomic(durable=True):
            counters = lock_counters(requests)
            now = clock.now()
            for counter in counters.values():
                counter.give_back(now)
            save_counters(counters.values())

    def _requests(self, subjects: Sequence[str]) -> list[CounterRequest]:
        if not subjects or any("@" in subject for subject in subjects):
            raise ValueError("A throttle needs subjects, and never an e-mail address in clear")
        limit, window = parse_rate(self.rate)
        keys = [counter_key("throttle", self.name, window, subject) for subject in subjects]
        return [CounterRequest(key, limit, window) for key in keys]

    def _refuse(self, retry_after_seconds: int) -> None:
        if retry_after_seconds:
            raise Throttled(retry_after_seconds)
