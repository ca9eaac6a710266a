"""Checks of the keys: the one that signs access tokens, and the log's."""

from collections.abc import Iterator
from datetime import timedelta

from django.conf import settings

from agentgate.doctor.findings import Finding, in_words, ok, problem, warning
from audit.models import LogKey
from audit.signing import log_keys
from core import clock, crypto
from tokens import keys

MAX_AGE = timedelta(days=90)
FORMER_SECRET = "Set the former JWT_SECRET, unless it was changed on purpose (docs/deployment.md#changing-jwt_secret)."


def check_signing_key() -> Iterator[Finding]:
    """Check the age of the key that signs access tokens, and that `JWT_SECRET` opens it."""
    now = clock.now()
    row = keys.find_signing_key(now)
    if keys.opens_no_stored_key(now):
        yield problem("No stored signing key opens with this JWT_SECRET.", FORMER_SECRET)
    elif row is None:
        yield ok("There is no signing key yet. The first token creates it.")
    elif not keys.opens(row):
        yield problem(f"The signing key {row.kid} is damaged.", "Run ./dev manage rotate_signing_keys.")
    elif settings.JWT_ALGORITHM == "HS256":
        yield ok("With HS256, JWT_SECRET signs.")
    else:
        yield _age_of(row.algorithm, now - row.activates_at)


def _age_of(algorithm: str, age: timedelta) -> Finding:
    message = f"The {algorithm} key has signed for {in_words(age)}."
    return warning(message, "Run ./dev manage rotate_signing_keys.") if age > MAX_AGE else ok(message)


def check_log_key() -> Iterator[Finding]:
    """Check that `JWT_SECRET` opens the key that signs checkpoints and receipts."""
    rows = log_keys.stored_keys()
    row: LogKey | None = next((each for each in rows if each.secret_id == crypto.secret_id()), None)
    if not rows:
        yield ok("The log has no key yet. The first entry creates it.")
    elif row is None:
        yield problem("Another JWT_SECRET encrypts the log's key, so another key would sign the log.", FORMER_SECRET)
    elif not log_keys.opens(row):
        yield problem(f"The log's key of {row.origin} is damaged.", "Restore the table audit_logkey from a backup.")
    else:
        yield ok(f"The log's key signs as {row.origin}.")
