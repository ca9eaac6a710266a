"""Checks of the keys: the one that signs access tokens, and the log's."""

from collections.abc import Iterator
from datetime import datetime

from django.conf import settings

from audit.models import LogKey
from audit.signing import log_keys
from core import clock, crypto
from server.doctor.findings import Finding, in_words, ok, problem, warning
from server.vitals import KeyState, judge_key
from tokens import keys
from tokens.models import SigningKey

FORMER_SECRET = "Set the former JWT_SECRET, unless it was changed on purpose (docs/deployment.md#changing-jwt_secret)."


def check_signing_key() -> Iterator[Finding]:
    """Check the age of the key that signs access tokens, and that `JWT_SECRET` decrypts it."""
    now = clock.now()
    row = keys.find_signing_key(now)
    if keys.opens_no_stored_key(now):
        yield problem("This JWT_SECRET decrypts none of the stored signing keys.", FORMER_SECRET)
    elif row is None:
        yield ok("There is no signing key yet. The first token creates it.")
    else:
        yield _judge(row, now)


def _judge(row: SigningKey, now: datetime) -> Finding:
    state = judge_key(row, now)
    if state is KeyState.DAMAGED:
        return problem(f"The signing key {row.kid} is damaged.", "Run ./dev manage rotate_signing_keys.")
    if settings.JWT_ALGORITHM == "HS256":
        return ok("With HS256, JWT_SECRET signs.")
    message = f"The {row.algorithm} key has signed for {in_words(now - row.activates_at)}."
    is_old = state is KeyState.OLD
    return warning(message, "Run ./dev manage rotate_signing_keys.") if is_old else ok(message)


def check_log_key() -> Iterator[Finding]:
    """Check that `JWT_SECRET` decrypts the key that signs checkpoints and receipts."""
    rows = log_keys.stored_keys()
    row: LogKey | None = next((each for each in rows if each.secret_id == crypto.secret_id()), None)
    if not rows:
        yield ok("The log has no key yet. The first entry creates it.")
    elif row is None:
        yield problem(
            "The log's key is encrypted with another JWT_SECRET, so a new key would sign the log.", FORMER_SECRET
        )
    elif not log_keys.opens(row):
        yield problem(f"The log's key of {row.origin} is damaged.", "Restore the table audit_logkey from a backup.")
    else:
        yield ok(f"The log's key signs as {row.origin}.")
