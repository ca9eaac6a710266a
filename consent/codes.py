"""Authorization codes (RFC 6749 section 4.1.2): valid for 60 seconds, used once, limited to what the user approved."""

import base64
import hashlib
import hmac
import re
from datetime import datetime, timedelta
from typing import NamedTuple

from django.conf import settings

from accounts.models import User
from consent.grants import Grant, Source, lock_source, make_grant
from consent.models import AuthorizationCode, Consent
from core import clock, crypto, secrets
from core.sql import Columns, execute
from core.sweeps import BATCH, delete_batch

AUTHORIZATION_CODE_LIFETIME = timedelta(seconds=60)

CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
PURPOSE = "consent.code"
UNUSABLE = "The code is unknown, expired or used."
KEEP_EXPIRED = timedelta(days=1)
CODE = Columns(AuthorizationCode, "code")
SOURCE = Source(
    columns=CODE.sql,
    owners="code.resource_owners",
    joined="consent_authorizationcode AS code JOIN consent_consent AS consent ON consent.id = code.consent_id",
    found_by="code.code",
    locked="consent_authorizationcode WHERE code = %s",
)


def issue_code(consent: Consent, user: User, now: datetime) -> str:
    """Store a code for the scopes that were requested and granted. Return its value. Only its digest is stored."""
    row = AuthorizationCode(
        application=consent.agent,
        user=user,
        consent=consent,
        expires=now + AUTHORIZATION_CODE_LIFETIME,
        redirect_uri=consent.redirect_uri,
        scope=" ".join(scope for scope in consent.requested_scopes if scope in consent.granted_scopes),
        code_challenge=consent.code_challenge,
        code_challenge_method="S256" if consent.code_challenge else "",
        resource=consent.resource or [settings.API_URL],
        resource_owners=consent.resource_owners,
    )
    code = _value_of(row)
    row.code = secrets.digest(code)
    row.save(force_insert=True)
    return code


def repeat_code(consent: Consent, now: datetime) -> str | None:
    """Return the value of the consent's own code again, or None if the code is used or expired."""
    row = AuthorizationCode.objects.filter(consent=consent).order_by("-id").first()  # others were moved to it
    if row is None or row.consumed_at or row.expires <= now:
        return None
    code = _value_of(row)
    return code if secrets.matches(code, row.code) else None  # JWT_SECRET may have changed


class LockedCode(NamedTuple):
    """A code, and what it depends on. `row.consent` is the grant's."""

    row: AuthorizationCode
    grant: Grant


def lock_code(code: str) -> LockedCode | None:
    """Lock the code and return it with what it depends on now, or return None if it is unknown.

    A stop of everything waits until the transaction has ended.
    """
    values = lock_source(SOURCE, secrets.digest(code))
    if values is None:
        return None
    row, grant = CODE.make(values), make_grant(values)
    if row is None or grant.consent is None:
        return None
    row.consent = grant.consent
    return LockedCode(row, grant)


def problem_with_code(
    row: AuthorizationCode, *, code_verifier: str, redirect_uri: str | None, now: datetime
) -> str | None:
    """Return why an unused code cannot be redeemed, or None if it can.

    `redirect_uri` is None if the client omits it, as in OAuth 2.1.
    """
    if row.expires <= now:
        return UNUSABLE
    if redirect_uri is not None and redirect_uri != row.redirect_uri:
        return "The redirect URI must be the same as in the authorization request."
    if not row.code_challenge:
        # A verifier without a challenge means that an attacker stripped the challenge (RFC 9700 section 4.8.2).
        return "The authorization request had no code_challenge, so leave out code_verifier." if code_verifier else None
    if not verifier_matches(code_verifier, row.code_challenge):
        return "The code_verifier does not match the code_challenge."
    return None


def consume_code(row: AuthorizationCode, now: datetime) -> None:
    """Mark a locked code as used."""
    execute("UPDATE consent_authorizationcode SET consumed_at = %s WHERE id = %s", [now, row.id])


def move_codes(*, source: Consent, target: Consent, now: datetime) -> None:
    """Move the codes of a replaced consent that can still be used, without the scopes that the user has removed.

    If a consent is narrowed, it is both the source and the target.

    The update waits for an exchange that holds its code's row, and may have begun before the code expired.
    """
    since = now - AUTHORIZATION_CODE_LIFETIME
    if source.decided_at is not None and source.decided_at <= since - AUTHORIZATION_CODE_LIFETIME:
        return  # an approval issues a code, and takes over those that were issued before
    usable = AuthorizationCode.objects.filter(consumed_at=None, expires__gt=since)
    for code in usable.filter(consent=source).order_by("id"):
        kept = " ".join(scope for scope in code.scope.split() if scope in target.granted_scopes)
        AuthorizationCode.objects.filter(pk=code.pk).update(consent=target, scope=kept)


def end_unused_codes() -> int:
    """Expire all codes that could still be redeemed and return how many.

    An exchange holds its code's row, so this waits for it, even if the code has expired since it began. Later ones find
    the code expired, even if their clock is late.
    """
    long_ago = clock.now() - AUTHORIZATION_CODE_LIFETIME
    return AuthorizationCode.objects.filter(consumed_at=None, expires__gt=long_ago).update(expires=long_ago)


def delete_expired_codes(*, limit: int = BATCH) -> int:
    """Delete up to `limit` codes that expired a day ago and return how many. Until then, a replay ends their family."""
    expired = AuthorizationCode.objects.filter(expires__lte=clock.now() - KEEP_EXPIRED)
    return delete_batch(expired.order_by("expires"), limit=limit)


def _value_of(row: AuthorizationCode) -> str:
    """Return the value of a code: its random id, signed, so that it can be repeated without being stored."""
    return f"agcode_{crypto.keyed_digest(PURPOSE, row.id.encode())}"


def is_challenge(text: str) -> bool:
    """Return whether `text` can be an S256 challenge: 43 characters of base64url (RFC 7636 section 4.2)."""
    return CHALLENGE.fullmatch(text) is not None


def verifier_matches(verifier: str, challenge: str) -> bool:
    """Return whether the challenge is the S256 of the verifier (RFC 7636 section 4.6)."""
    if not VERIFIER.fullmatch(verifier):
        return False
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    computed = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return hmac.compare_digest(computed, challenge)
