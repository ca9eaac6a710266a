"""Throttles for sign-ins and similar attempts, with the same exact counters as policy limits.

A throttle uses a short transaction of its own, which stays committed if the caller fails afterwards. Call it outside
any other transaction. Inside one it raises `RuntimeError`, because a rollback would forget the attempt.

For secrets that can be guessed, use `guess`, or call `hit` before the attempt and `forgive` after a success, so that
concurrent attempts count exactly. For others, call `hit` only after a failure, so that a success costs nothing.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_network
from itertools import chain

from django.conf import settings
from django.db import transaction

from core import clock
from core.crypto import keyed_digest
from core.errors import Throttled
from core.metrics import report_throttled
from core.net import parse_address, without_zone
from core.secrets import digest
from limits.counters import lock_counters, preview_all, read_counters, save_counters, take_all
from limits.counting import CounterDenial, find_denial
from limits.sliding_window import CounterRequest, counter_key

SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}
SUBSCRIBER_BITS = 64  # the smallest network that an IPv6 subscriber gets (RFC 6177)
SITE_BITS = 48  # the largest that an ordinary subscriber gets
SITE_TIMES = 4
# The limit of one account or client across all addresses, in multiples of the rate. One address or /48 cannot reach it.
ACCOUNT_TIMES = 10


@dataclass(frozen=True, slots=True)
class Subject:
    """A name under which attempts are counted together. Its limit is `times` the throttle's rate."""

    name: str
    times: int = 1


def address_group(ip: str) -> str:
    """Return the addresses that count as one: an IPv4 address, or the /64 of an IPv6 address."""
    address = parse_address(without_zone(ip))
    if isinstance(address, IPv6Address):
        return _network(address, SUBSCRIBER_BITS)
    return str(address or "unknown")


def address_subject(ip: str) -> Subject:
    """Return the subject for the address group of `ip`."""
    return Subject(f"address:{address_group(ip)}")


def address_subjects(ip: str) -> tuple[Subject, ...]:
    """Return the subjects of attempts without an account: for IPv6 the /64, and the /48 with `SITE_TIMES` the rate.

    A caller with a /48 can choose from 65,536 networks of /64.
    """
    address = parse_address(without_zone(ip))
    if not isinstance(address, IPv6Address):
        return (address_subject(ip),)
    return (address_subject(ip), Subject(f"address:{_network(address, SITE_BITS)}", SITE_TIMES))


def parse_rate(rate: str) -> tuple[int, int]:
    """Return the number and the window in seconds of a rate such as "10/minute". Raises `ValueError` if malformed."""
    match = re.fullmatch(r"([1-9][0-9]{0,6})/(second|minute|hour|day)", rate, re.ASCII)
    if not match:
        raise ValueError(
            f"{rate!r} is not a rate. Use a number, a slash, and second, minute, hour or day, such as 10/minute."
        )
    return int(match[1]), SECONDS[match[2]]


@dataclass(frozen=True, slots=True)
class Throttle:
    """Allows at most `rate` attempts per subject. An attempt is refused if one of its subjects is full."""

    name: str
    rate: str

    def check(self, *subjects: Subject) -> None:
        """Raise `Throttled` if a subject is full. Count nothing."""
        check_all((self, subjects))

    def count(self, *subjects: Subject) -> None:
        """Count an attempt for each subject, even beyond the limit."""
        _settle(forgiven=(), counted=self._requests(subjects))

    def hit(self, *subjects: Subject) -> None:
        """Count an attempt for each subject. If one is full, raise `Throttled` and count nothing."""
        self.check(*subjects)
        (refusal,) = self.hit_checked(subjects)
        if refusal is not None:
            raise refusal

    def hit_checked(self, *attempts: Sequence[Subject]) -> list[Throttled | None]:
        """Count attempts of known accounts, or that `check_all` let through. Return the refusal of each, or None."""
        denials = self._take([self._requests(subjects) for subjects in attempts])
        return self._refusals(denials)

    def hit_all(self, attempts: Sequence[Sequence[Subject]]) -> list[Throttled | None]:
        """Count attempts, each with its subjects, in one transaction. Return the refusal of each, or None.

        An attempt without room, as a plain read finds, locks and creates no counter. So a caller who has no room left
        cannot fill the table with the names of accounts that it invents. Those with room are decided under the lock.
        """
        calls = [self._requests(subjects) for subjects in attempts]
        denials = preview_all(calls, clock.now)
        fitting = [index for index, denial in enumerate(denials) if denial is None]
        if fitting:
            taken = self._take([calls[index] for index in fitting])
            for index, denial in zip(fitting, taken, strict=True):
                denials[index] = denial
        return self._refusals(denials)

    def forgive(self, *subjects: Subject) -> None:
        """Remove one attempt for each subject, because it succeeded."""
        _settle(forgiven=self._requests(subjects), counted=())

    @contextmanager
    def guess(self, *subjects: Subject, wrong: type[Exception]) -> Iterator[None]:
        """Count an attempt for each subject if the block raises `wrong`. Raises `Throttled` before the block."""
        self.hit(*subjects)
        try:
            yield
        except wrong:
            raise
        except Exception:  # the secret was not checked, whatever went wrong
            self.forgive(*subjects)
            raise
        self.forgive(*subjects)

    def succeed(self, *subjects: Subject, counted: Sequence[Subject], by: "Throttle") -> None:
        """Remove one attempt for each subject, and count one with the throttle `by`, even beyond its limit."""
        _settle(forgiven=self._requests(subjects), counted=by._requests(counted))

    def _requests(self, subjects: Sequence[Subject]) -> list[CounterRequest]:
        if not subjects or any("@" in subject.name for subject in subjects):
            raise ValueError("A throttle needs at least one subject, and no subject may contain an email address.")
        limit, window = parse_rate(self.rate)
        keys = [counter_key("throttle", self.name, window, _digest(subject)) for subject in subjects]
        return [CounterRequest(key, limit * subject.times, window) for key, subject in zip(keys, subjects, strict=True)]

    def _take(self, calls: Sequence[Sequence[CounterRequest]]) -> list[CounterDenial | None]:
        with transaction.atomic(durable=True):
            return take_all(calls, clock.now)

    def _refusals(self, denials: Sequence[CounterDenial | None]) -> list[Throttled | None]:
        report_throttled(self.name, sum(denial is not None for denial in denials))
        return [_refusal(denial) if denial else None for denial in denials]

    def _refuse(self, denial: CounterDenial | None) -> None:
        if denial is not None:
            report_throttled(self.name)
            raise _refusal(denial)


def check_all(*throttles: tuple[Throttle, Sequence[Subject]]) -> None:
    """Raise `Throttled` if a subject of a throttle is full. All are read by one query, and none is counted."""
    requests = [throttle._requests(subjects) for throttle, subjects in throttles]
    counters, now = read_counters(chain.from_iterable(requests)), clock.now()
    for (throttle, _), own in zip(throttles, requests, strict=True):
        throttle._refuse(find_denial(own, counters, now))


def _settle(*, forgiven: Sequence[CounterRequest], counted: Sequence[CounterRequest]) -> None:
    with transaction.atomic(durable=True):
        counters = lock_counters([*forgiven, *counted])
        now = clock.now()
        for request in forgiven:
            counters[request.key].give_back(now)
        for request in counted:
            counters[request.key].take(1, now)
        save_counters(counters.values())


def throttle_client_failure(*, ip: str, credential_id: str) -> None:
    """Count a failed client authentication by IP address and by `credential_id`. Raises `Throttled` after too many."""
    (refusal,) = throttle_client_failures([client_subjects(ip, credential_id)])
    if refusal is not None:
        raise refusal


def throttle_client_failures(attempts: Sequence[Sequence[Subject]]) -> list[Throttled | None]:
    """Count failed client authentications, each with its subjects. Return the refusal of each, or None.

    Call it only after the credential has failed, so that strangers' failures never block the right one. These secrets
    are random and cheap to check, so checking the limit first would gain nothing.
    """
    return Throttle("client-auth", settings.THROTTLE_CLIENT_AUTH).hit_all(attempts)


def client_subjects(ip: str, credential_id: str) -> tuple[Subject, ...]:
    """Return the subjects of a failed client authentication: the IP address and the client."""
    return (*address_subjects(ip), Subject(f"account:{digest(credential_id)}", ACCOUNT_TIMES))


def _refusal(denial: CounterDenial) -> Throttled:
    # An attempt always fits in the end, so there is a time. If not, the attempt is refused anyway, for one second.
    return Throttled(denial.retry_after_seconds or 1)


def _digest(subject: Subject) -> str:
    """Return a digest of the name, because IP addresses are personal data.

    It is keyed, because otherwise all addresses could be tried.
    """
    return keyed_digest("throttle-subject", subject.name.encode())


def _network(address: IPv6Address, bits: int) -> str:
    return str(ip_network((int(address), bits), strict=False))
