"""Throttles for sign-in and the like, on the same exact counters in the database as policy limits.

A throttle runs in a short transaction of its own, which stays committed when the caller fails afterwards.
Call it outside any other transaction: inside one it raises `RuntimeError`, because a rollback would forget
the attempt.

Where secrets can be guessed, `hit` before the attempt and `forgive` after a success: parallel attempts then
count exactly. Where they cannot, `hit` only after a failure: a success then costs nothing.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_network

from django.conf import settings
from django.db import transaction

from core import clock
from core.errors import Throttled
from core.net import parse_address, without_zone
from core.secrets import digest
from limits.counters import lock_counters, read_counters, save_counters, take_all
from limits.sliding_window import CounterRequest, counter_key

SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}
SUBSCRIBER_BITS = 64  # the least that an IPv6 subscriber holds (RFC 6177)
SITE_BITS = 48  # the most that an ordinary one is given
SITE_TIMES = 4
# Times the rate for one account or client over all addresses: too much for one address, or one /48, to fill.
ACCOUNT_TIMES = 10


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose attempts are counted together. Its limit is `times` the throttle's rate."""

    name: str
    times: int = 1


def address_group(ip: str) -> str:
    """Return what counts as one address: an IPv4 address, or the /64 of an IPv6 address."""
    address = parse_address(without_zone(ip))
    if isinstance(address, IPv6Address):
        return _network(address, SUBSCRIBER_BITS)
    return str(address or "unknown")


def address_subject(ip: str) -> Subject:
    """Return the subject for an address group."""
    return Subject(f"address:{address_group(ip)}")


def address_subjects(ip: str) -> tuple[Subject, ...]:
    """Return the subjects for acts that need no account: for IPv6 the /64, and the /48 at `SITE_TIMES` the rate.

    A caller with a /48 has 65,536 networks of 64 bits to choose from.
    """
    address = parse_address(without_zone(ip))
    if not isinstance(address, IPv6Address):
        return (address_subject(ip),)
    return (address_subject(ip), Subject(f"address:{_network(address, SITE_BITS)}", SITE_TIMES))


def parse_rate(rate: str) -> tuple[int, int]:
    """Return the number and the window in seconds of a rate such as "10/minute". Raises `ValueError`."""
    match = re.fullmatch(r"([1-9][0-9]{0,6})/(second|minute|hour|day)", rate, re.ASCII)
    if not match:
        raise ValueError(
            f"{rate!r} is not a rate. Use a number, a slash, and second, minute, hour or day, such as 10/minute."
        )
    return int(match[1]), SECONDS[match[2]]


@dataclass(frozen=True, slots=True)
class Throttle:
    """At most `rate` attempts for each subject, like `address_subject(ip)`; one full subject refuses all."""

    name: str
    rate: str

    def check(self, *subjects: Subject) -> None:
        """Return if no subject is full. Raises `Throttled`. Counts nothing."""
        requests = self._requests(subjects)
        counters, now = read_counters(requests), clock.now()
        self._refuse(max(counters[each.key].retry_after(each.limit, now) for each in requests))

    def count(self, *subjects: Subject) -> None:
        """Count an attempt for each subject, also beyond the limit."""
        requests = self._requests(subjects)
        with transaction.atomic(durable=True):
            counters = lock_counters(requests)
            now = clock.now()
            for counter in counters.values():
                counter.take(1, now)
            save_counters(counters.values())

    def hit(self, *subjects: Subject) -> None:
        """Count an attempt for each subject. Raises `Throttled`, and counts nothing, if one is full."""
        with transaction.atomic(durable=True):
            (denial,) = take_all([self._requests(subjects)], clock.now)
        self._refuse(denial.retry_after_seconds if denial else 0)

    def forgive(self, *subjects: Subject) -> None:
        """Take back one attempt for each subject: it succeeded."""
        requests = self._requests(subjects)
        with transaction.atomic(durable=True):
            counters = lock_counters(requests)
            now = clock.now()
            for counter in counters.values():
                counter.give_back(now)
            save_counters(counters.values())

    def _requests(self, subjects: Sequence[Subject]) -> list[CounterRequest]:
        if not subjects or any("@" in subject.name for subject in subjects):
            raise ValueError("A throttle needs at least one subject, and no subject may contain an email address.")
        limit, window = parse_rate(self.rate)
        keys = [counter_key("throttle", self.name, window, subject.name) for subject in subjects]
        return [CounterRequest(key, limit * subject.times, window) for key, subject in zip(keys, subjects, strict=True)]

    def _refuse(self, retry_after_seconds: int) -> None:
        if retry_after_seconds:
            raise Throttled(retry_after_seconds)


def throttle_client_failure(*, ip: str, credential_id: str) -> None:
    """Count a wrong client credential by address and by what it claimed to be. Raises `Throttled` after too many.

    Call it only once the credential has proved wrong, so that strangers' failures never stop the right one: these
    secrets are random and cheap to check, so nothing is gained by looking at the limit first.
    """
    client = Subject(f"account:{digest(credential_id)}", ACCOUNT_TIMES)
    Throttle("client-auth", settings.THROTTLE_CLIENT_AUTH).hit(*address_subjects(ip), client)


def _network(address: IPv6Address, bits: int) -> str:
    return str(ip_network((int(address), bits), strict=False))
