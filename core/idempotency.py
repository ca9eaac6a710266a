"""`Idempotency-Key`: a POST repeated with the same key returns the stored response, even if repeated concurrently.

The record is claimed in the same transaction as the work. Concurrent repeats wait for the commit, and a rollback leaves
no record. Answers are stored encrypted because they may contain secrets, for 24 hours, and those of an exchange or a
refresh for 60 seconds. Failures are not stored. The credential is part of the record's key.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.utils.translation import gettext_noop

from core import clock, crypto
from core.canonical import canonical_json
from core.errors import Conflict, DomainError, Invalid
from core.locks import write_transaction
from core.models import IdempotencyRecord
from core.sql import execute
from core.sweeps import BATCH, delete_batch
from core.wording import Filled

# How long a POST with an Idempotency-Key may be repeated. A client that lost a response with tokens repeats the request
# within seconds. A later repeat may come from an attacker.
ANSWER_LIFETIME = timedelta(hours=24)
TOKEN_ANSWER_LIFETIME = timedelta(seconds=60)

MAX_KEY_LENGTH = 255
PURPOSE = "idempotency"

# One statement inserts a record or takes over an expired one, so only one of several concurrent requests succeeds.
_CLAIM = """
    INSERT INTO core_idempotencyrecord (key, request_digest, sealed_answer, expires_at)
    VALUES (%s, %s, NULL, %s)
    ON CONFLICT (key) DO UPDATE
    SET request_digest = excluded.request_digest, sealed_answer = NULL, expires_at = excluded.expires_at
    WHERE core_idempotencyrecord.expires_at <= %s
"""
_KEEP = "UPDATE core_idempotencyrecord SET sealed_answer = %s WHERE key = %s"


class IdempotencyKeyReused(Conflict):
    code = "idempotency_key_reused"
    title = gettext_noop("This Idempotency-Key was used for another request")
    remedy = "Send a new Idempotency-Key with a new request."


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and a JSON body. Only successful answers are stored."""

    status: int
    body: Any

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatableRequest:
    """A request, identified by key, path, credential and body. Its answer is stored for `lifetime`."""

    key: str
    path: str
    credential: str
    body: Any
    lifetime: timedelta = ANSWER_LIFETIME

    @property
    def record_key(self) -> str:
        return crypto.keyed_digest(PURPOSE, canonical_json([self.key, self.path, self.credential]))

    @property
    def request_digest(self) -> str:
        return crypto.keyed_digest(PURPOSE, canonical_json(self.body))


def answer_once(request: RepeatableRequest, work: Callable[[], Answer]) -> Answer:
    """Return the answer of `work`, or the stored one if it has run before. Raises `IdempotencyKeyReused`, `Invalid`.

    A `DomainError` from `work` is raised after the commit, so that what it counted or revoked is kept.
    """
    require_valid_key(request.key)
    with write_transaction():
        if not _claim(request):
            return _stored(request)
        outcome = _attempt(work)
        _keep_or_forget(request, outcome)
    if isinstance(outcome, DomainError):
        raise outcome
    return outcome


def is_answered(request: RepeatableRequest) -> bool:
    """Return whether this request has a stored answer, so that a code that works once need not be checked again."""
    rows = IdempotencyRecord.objects.filter(pk=request.record_key, request_digest=request.request_digest)
    return bool(rows.filter(sealed_answer__isnull=False, expires_at__gt=clock.now()).exists())


def require_valid_key(key: str) -> None:
    """Raise `Invalid` for a key that cannot be used."""
    if not 0 < len(key) <= MAX_KEY_LENGTH or not key.isprintable():
        raise Invalid.field(
            "Idempotency-Key", Filled(gettext_noop("Must be 1 to %(most)d printable characters."), most=MAX_KEY_LENGTH)
        )


def delete_expired_records(*, limit: int = BATCH) -> int:
    """Delete up to `limit` expired records and return how many."""
    expired = IdempotencyRecord.objects.filter(expires_at__lte=clock.now())
    return delete_batch(expired.order_by("expires_at"), limit=limit)


def find_records_naming(texts: Iterable[str]) -> list[str]:
    """Return the keys of the records whose stored answers contain any of the texts. It decrypts every answer."""
    wanted = [json.dumps(text)[1:-1].encode() for text in texts]
    answered = IdempotencyRecord.objects.filter(sealed_answer__isnull=False).values_list("key", "sealed_answer")
    opened = ((key, _opened(sealed)) for key, sealed in answered.iterator())
    return [key for key, answer in opened if any(text in answer for text in wanted)]


def delete_records(keys: Sequence[str]) -> None:
    """Delete the records, so that repeats of their requests run again."""
    for start in range(0, len(keys), BATCH):
        IdempotencyRecord.objects.filter(pk__in=keys[start : start + BATCH]).delete()


def _opened(sealed: bytes | memoryview | None) -> bytes:
    """Return an answer, or nothing if it was encrypted with another `JWT_SECRET`."""
    try:
        return crypto.open_sealed(PURPOSE, sealed or b"")
    except crypto.SealBroken:
        return b""


def _claim(request: RepeatableRequest) -> bool:
    now = clock.now()
    return execute(_CLAIM, [request.record_key, request.request_digest, now + request.lifetime, now]) == 1


def _attempt(work: Callable[[], Answer]) -> Answer | DomainError:
    try:
        return work()
    except DomainError as error:
        return error


def _keep_or_forget(request: RepeatableRequest, outcome: Answer | DomainError) -> None:
    if isinstance(outcome, Answer) and outcome.is_success:
        plain = json.dumps([outcome.status, outcome.body]).encode()
        execute(_KEEP, [crypto.seal(PURPOSE, plain), request.record_key])
    else:
        IdempotencyRecord.objects.filter(pk=request.record_key).delete()


def _stored(request: RepeatableRequest) -> Answer:
    record = IdempotencyRecord.objects.get(pk=request.record_key)
    if record.request_digest != request.request_digest:
        raise IdempotencyKeyReused(gettext_noop("Use a new key for each new request."))
    status, body = json.loads(crypto.open_sealed(PURPOSE, record.sealed_answer or b""))
    return Answer(status, body)
