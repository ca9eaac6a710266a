"""Repeatable responses to a public client's refresh, stored for a short time.

Stock clients refresh from two tasks at once, lose responses, and cannot send an `Idempotency-Key` (ADR 3). The
response is stored sealed, like those of `core/idempotency.py`, on the refresh token that it replaced.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction

from consent.details import AuthorizationDetail
from core import clock, crypto
from core.sql import execute
from core.sweeps import BATCH, lock_batch
from tokens.chains import Handover
from tokens.issuing import IssuedTokens
from tokens.models import RefreshToken

# Only for public clients at /oauth/token, and only without an Idempotency-Key.
REFRESH_REPEAT_LIFETIME = timedelta(seconds=30)

PURPOSE = "refresh-answer"
_CONSUME = """
    UPDATE tokens_refreshtoken
    SET consumed_at = CASE WHEN id = %s THEN %s ELSE consumed_at END,
        sealed_answer = CASE WHEN id = %s THEN {answer} END
    WHERE id = %s OR (family_id = %s AND sealed_answer IS NOT NULL)
"""
CONSUME = {"postgresql": _CONSUME.format(answer="%s::bytea"), "sqlite": _CONSUME.format(answer="%s")}


@dataclass(frozen=True, slots=True)
class RefreshRequest:
    """The parameters of a refresh in addition to the token. A request with other parameters is not a repeat."""

    scopes: Sequence[str] | None
    resource: Sequence[str]
    details: Sequence[AuthorizationDetail] | None = None

    @property
    def fingerprint(self) -> list[list[str] | None]:
        # Details change nothing: they must be exactly those that the token has.
        return [None if self.scopes is None else sorted(self.scopes), sorted(self.resource)]


def consume(row: RefreshToken, now: datetime, keep: tuple[RefreshRequest, IssuedTokens] | None) -> None:
    """Mark a refresh token as used, and store its request and response if they are given.

    Delete the stored responses of earlier rotations. Their tokens are now in use, so a repeat is a replay.
    """
    answer = _seal(*keep) if keep else None
    execute(CONSUME[connection.vendor], [row.id, now, row.id, answer, row.id, row.family_id])


def kept_answer(
    row: RefreshToken, request: RefreshRequest, now: datetime, chain: Sequence[Handover] = ()
) -> IssuedTokens | None:
    """Return the stored response if the request is the same and in time, else None.

    The caller must check that the family may still have these tokens.
    """
    if row.sealed_answer is None or row.consumed_at is None:
        return None
    if now > row.consumed_at + REFRESH_REPEAT_LIFETIME:
        return None
    fingerprint, access_token, refresh_token, scopes = json.loads(crypto.open_sealed(PURPOSE, row.sealed_answer))
    if fingerprint != request.fingerprint:
        return None
    return IssuedTokens(access_token, refresh_token, tuple(scopes), row.family, chain)


@transaction.atomic
def delete_old_answers(*, limit: int = BATCH) -> int:
    """Delete up to `limit` responses that can no longer be repeated; return how many."""
    long_ago = clock.now() - REFRESH_REPEAT_LIFETIME
    old = RefreshToken.objects.filter(sealed_answer__isnull=False, consumed_at__lte=long_ago).order_by("consumed_at")
    return RefreshToken.objects.filter(pk__in=lock_batch(old, limit)).update(sealed_answer=None)


def _seal(request: RefreshRequest, issued: IssuedTokens) -> bytes:
    content = [request.fingerprint, issued.access_token, issued.refresh_token, list(issued.scopes)]
    return crypto.seal(PURPOSE, json.dumps(content).encode())
