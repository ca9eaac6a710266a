"""Repeated requests with `reserve`: an `Idempotency-Key` makes one reservation, which a repeat finds (docs/adr/0033).

A repeat is a verify like any other up to the policies: its caller is authenticated, and the token, the connection and
every stop are checked as they are now. Only then does what the first request reserved answer it. If that can answer it
no longer, or the key is that of another call, the whole call is refused as soon as its caller is authenticated.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from core import crypto, secrets
from core.canonical import canonical_json
from core.errors import DomainError
from core.idempotency import IdempotencyKeyReused, require_valid_key
from decisions.facts import ReservedFacts
from decisions.questions import Question
from decisions.requests import Credential, Decision, Repeat
from decisions.stores.statements import Statement, Step
from limits.models import Reservation
from limits.reservations import ReservationExpired, ReservationResolved

Status = Reservation.Status
PURPOSE = "verify-repeat"
# 60 bits of a digest, which 64-bit locks can have. Two keys with the same ones only wait for each other.
LOCK_DIGITS = 15


def repeat_of(
    key: str, path: str, sent: Mapping[str, Any], tokens: Iterable[str], credential: Credential | None
) -> Repeat:
    """Return what identifies the first request of a call with this `Idempotency-Key`. Callers share no keys.

    Without a credential, the caller is the holder of all these tokens. Raises `Invalid` for a key that cannot be used.
    """
    require_valid_key(key)
    caller = [credential.server_id] if credential else sorted(map(secrets.digest, set(tokens)))
    named = crypto.keyed_digest(PURPOSE, canonical_json([key, path, caller]))
    return Repeat(named, crypto.keyed_digest(PURPOSE, canonical_json(sent)))


def read_reserved(keys: Iterable[str]) -> list[Step]:
    """Return the steps that read what calls with these keys have reserved, and keep other batches with them waiting."""
    wanted = sorted(set(keys))
    if not wanted:
        return []
    locks = sorted({int(key[:LOCK_DIGITS], 16) for key in wanted})
    return [Step(Statement.LOCK_REPEATS, (locks,)), Step(Statement.RESERVED, (wanted,))]


def answer_again(decision: Decision, reserved: ReservedFacts) -> Decision:
    """Return the allowed decision that was made the first time."""
    decision.audit_id, decision.decided_at = reserved.audit_id, reserved.created_at
    decision.reservation_id, decision.reservation_expires_at = reserved.reservation_id, reserved.expires_at
    return decision


def refuse(problem: DomainError) -> Decision:
    return Decision(allowed=False, is_known=False, problem=problem)


def find_problems(
    questions: Iterable[Question], reserved: Iterable[ReservedFacts], now: datetime
) -> Mapping[tuple[Repeat | None, bool], DomainError]:
    """Return why repeatable requests cannot be answered, by what identifies them and whether their call continues.

    A key is for the call that has reserved something with it. If none has, it is for the first one of the batch. What a
    call itself has reserved in another batch can have ended meanwhile, but does not refuse the rest of it.
    """
    digests, ended = dict[str, str](), dict[str, DomainError]()
    for row in reserved:
        digests[row.repeat_key] = row.repeat_digest
        if problem := _find_problem(row, now):
            ended[row.repeat_key] = problem
    problems = dict[tuple[Repeat | None, bool], DomainError]()
    for question in questions:
        repeat, continues = question.request.repeat, question.continues
        if repeat is None:
            continue
        if digests.setdefault(repeat.key, repeat.digest) != repeat.digest:
            problems[repeat, continues] = IdempotencyKeyReused("Use a new key for each new request.")
        elif repeat.key in ended and not continues:
            problems[repeat, continues] = ended[repeat.key]
    return problems


def _find_problem(reserved: ReservedFacts, now: datetime) -> DomainError | None:
    if reserved.status == Status.LAPSED or (reserved.status == Status.HELD and reserved.expires_at <= now):
        return ReservationExpired("The reservation of this Idempotency-Key has lapsed. Verify again with a new key.")
    if reserved.status != Status.HELD:
        return ReservationResolved(f"The reservation of this Idempotency-Key was {reserved.status}.")
    return None
