"""Repeated requests with `reserve`: an `Idempotency-Key` makes one reservation, which a repeat finds (docs/adr/0033).

A repeat is a verify like any other up to the policies: its caller is authenticated, and the token, the connection and
every stop are checked as they are now. Only then does what the first request reserved answer it.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from core import crypto, secrets
from core.canonical import canonical_json
from core.errors import DomainError
from core.idempotency import IdempotencyKeyReused, require_valid_key
from decisions.facts import ReservedFacts
from decisions.requests import Credential, Decision, Repeat
from decisions.stores.statements import Statement, Step
from limits.models import Reservation
from limits.reservations import ReservationExpired, ReservationResolved

Status = Reservation.Status
PURPOSE = "verify-repeat"
# 60 bits of a digest, which 64-bit locks can have. Two keys with the same ones only wait for each other.
LOCK_DIGITS = 15


class Repeats:
    """The repeatable requests of one HTTP request with a key. Raises `Invalid` for a key that cannot be used."""

    def __init__(self, key: str, path: str, sent: Mapping[str, Any]) -> None:
        require_valid_key(key)
        self._named = [key, path]
        self._digest = crypto.keyed_digest(PURPOSE, canonical_json(sent))

    def of(self, place: int, token: str, credential: Credential | None) -> Repeat:
        """Return what identifies the request at this place of a batch. Callers share no keys."""
        caller = credential.server_id if credential else secrets.digest(token)
        key = crypto.keyed_digest(PURPOSE, canonical_json([*self._named, place, caller]))
        return Repeat(key, self._digest)


def read_reserved(repeats: Iterable[Repeat]) -> list[Step]:
    """Return the steps that read what these have reserved, and keep other batches with the same keys waiting."""
    keys = sorted({repeat.key for repeat in repeats})
    if not keys:
        return []
    locks = sorted({int(key[:LOCK_DIGITS], 16) for key in keys})
    return [Step(Statement.LOCK_REPEATS, (locks,)), Step(Statement.RESERVED, (keys,))]


def answer_again(decision: Decision, reserved: ReservedFacts) -> Decision:
    """Return the allowed decision that was made at first."""
    decision.audit_id, decision.decided_at = reserved.audit_id, reserved.created_at
    decision.reservation_id, decision.reservation_expires_at = reserved.reservation_id, reserved.expires_at
    return decision


def refuse(problem: DomainError) -> Decision:
    return Decision(allowed=False, is_known=False, problem=problem)


def key_reused() -> IdempotencyKeyReused:
    return IdempotencyKeyReused("Use a new key for each new request.")


def find_problem(repeats: Sequence[Repeat], reserved: Mapping[str, ReservedFacts], now: datetime) -> DomainError | None:
    """Return why one of these cannot be answered again, or None."""
    found = ((repeat, reserved.get(repeat.key)) for repeat in repeats)
    problems = (_find_problem(repeat, row, now) for repeat, row in found if row is not None)
    return next(filter(None, problems), None)


def _find_problem(repeat: Repeat, reserved: ReservedFacts, now: datetime) -> DomainError | None:
    if reserved.repeat_digest != repeat.digest:
        return key_reused()
    if reserved.status == Status.LAPSED or (reserved.status == Status.HELD and reserved.expires_at <= now):
        return ReservationExpired("The reservation of this Idempotency-Key has lapsed. Verify again with a new key.")
    if reserved.status != Status.HELD:
        return ReservationResolved(f"The reservation of this Idempotency-Key was {reserved.status}.")
    return None
