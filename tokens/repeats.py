"""The answer to a public client's refresh, kept for a moment.

Stock clients refresh from two tasks at once, lose answers, and cannot send an `Idempotency-Key` (ADR 7). The answer is
kept sealed, as those of `core/idempotency.py` are, on the refresh token that it replaced.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from core import crypto
from tokens.issuing import IssuedTokens
from tokens.models import RefreshToken, TokenFamily

PURPOSE = "refresh-answer"


@dataclass(frozen=True, slots=True)
class RefreshRequest:
    """What a refresh asks for, beside the token. A request that asks for anything else is not a repeat."""

    scopes: Sequence[str] | None
    resource: Sequence[str]

    @property
    def fingerprint(self) -> list[list[str] | None]:
        return [None if self.scopes is None else sorted(self.scopes), sorted(self.resource)]


def keep_answer(row: RefreshToken, request: RefreshRequest, issued: IssuedTokens) -> None:
    """Keep what the token yielded."""
    content = [request.fingerprint, issued.access_token, issued.refresh_token, list(issued.scopes)]
    RefreshToken.objects.filter(pk=row.pk).update(sealed_answer=crypto.seal(PURPOSE, json.dumps(content).encode()))


def kept_answer(row: RefreshToken, request: RefreshRequest, now: datetime) -> IssuedTokens | None:
    """Return what the used token yielded, to the same request in time. The caller has checked that it still may."""
    if row.sealed_answer is None or row.consumed_at is None:
        return None
    if now > row.consumed_at + settings.REFRESH_REPEAT_LIFETIME:
        return None
    fingerprint, access_token, refresh_token, scopes = json.loads(crypto.open_sealed(PURPOSE, row.sealed_answer))
    if fingerprint != request.fingerprint:
        return None
    return IssuedTokens(access_token, refresh_token, tuple(scopes), row.family)


def forget_answers(family: TokenFamily) -> None:
    """Forget what earlier rotations yielded: what comes from it is used now, so asking for it again is a replay."""
    RefreshToken.objects.filter(family=family, sealed_answer__isnull=False).update(sealed_answer=None)


def delete_old_answers(*, now: datetime, limit: int) -> int:
    """Delete up to `limit` answers that can no longer be repeated; return how many."""
    old = RefreshToken.objects.filter(
        sealed_answer__isnull=False, consumed_at__lte=now - settings.REFRESH_REPEAT_LIFETIME
    )
    pks = list(old.values_list("pk", flat=True)[:limit])
    return RefreshToken.objects.filter(pk__in=pks).update(sealed_answer=None)
