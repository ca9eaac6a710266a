"""Signing keys: created on first use, rotated without downtime, published as a JWK set (RFC 7517).

The key ID determines the algorithm, so a token is checked only with the algorithm of the key that it names.
"""

import re
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from cryptography.hazmat.primitives import serialization
from django.conf import settings
from django.db import transaction
from jwcrypto.jwk import JWK
from jwt import PyJWK

from audit.entries.drafts import Draft
from audit.events import Event
from audit.services import record
from core import clock, crypto
from core.actor import SYSTEM, Actor
from core.errors import Conflict
from core.locks import lock_signing_keys
from tokens.models import SigningKey

SEAL_PURPOSE = "signing-key"
KEY_ID = re.compile(r"[A-Za-z0-9_-]{16,64}")
KINDS: dict[str, dict[str, Any]] = {
    "ES256": {"kty": "EC", "crv": "P-256"},
    "RS256": {"kty": "RSA", "size": 2048},
    "EdDSA": {"kty": "OKP", "crv": "Ed25519"},
}
# How long a new key is published before it signs, so that cached JWK sets include it in time.
PUBLISH_AHEAD = timedelta(minutes=10)
CLOCK_SKEW = timedelta(minutes=1)
LATEST = datetime.max.replace(tzinfo=UTC)

# How long a process uses the signing keys that it has read. Shorter than `PUBLISH_AHEAD`, so that every process knows a
# new key before it signs.
REREAD_AFTER = timedelta(minutes=1)

# After a process has read the keys, how long it takes every other key ID for unknown. Otherwise each forged token would
# cost a query. Invented IDs are not remembered: they could fill the memory.
UNKNOWN_SECONDS = 1.0

# By algorithm and secret: when this process read the keys that may sign, and the keys, newest first.
_known: dict[tuple[str, str], tuple[datetime, list[SigningKey]]] = {}
_signing: dict[str, "SigningMaterial"] = {}
_verifying: dict[str, "VerifyingKey"] = {}
_unknown_until = 0.0
_loading = threading.Lock()


@dataclass(frozen=True, slots=True, repr=False)
class SigningMaterial:
    """A private key with its ID and algorithm."""

    kid: str
    algorithm: str
    key: Any


@dataclass(frozen=True, slots=True, repr=False)
class VerifyingKey:
    """A public key and the only algorithm it may verify."""

    algorithm: str
    key: Any


def current_key() -> SigningMaterial:
    """Return the key that signs now. Create it if there is none for the configured algorithm and secret."""
    now = clock.now()
    row = _active(_known_rows(now), now) or _create_first_key()
    if row.kid not in _signing:
        _signing[row.kid] = SigningMaterial(row.kid, row.algorithm, _open_private(row))
        _verifying[row.kid] = VerifyingKey(row.algorithm, _public(row))
    return _signing[row.kid]


def verification_key(kid: object) -> VerifyingKey | None:
    """Return the key with this ID, or None. Read the keys if it may be newer than those that this process knows."""
    try:
        return loaded_key(kid)
    except KeyNotLoaded:
        load_newer_keys()
        return known_key(kid)


class KeyNotLoaded(LookupError):
    """This process does not know the key, and has not read the keys for `UNKNOWN_SECONDS`."""


def loaded_key(kid: object) -> VerifyingKey | None:
    """Return the key with this ID, or None for a malformed or unknown one, without a query. Raises `KeyNotLoaded`."""
    key = known_key(kid)
    if key is None and _is_well_formed(kid) and time.monotonic() >= _unknown_until:
        raise KeyNotLoaded(kid)
    return key


def known_key(kid: object) -> VerifyingKey | None:
    """Return the key with this ID if this process knows it, without a query."""
    return _verifying.get(kid) if isinstance(kid, str) else None


def load_newer_keys() -> None:
    """Read the keys that this process does not know, unless it has done so in the last `UNKNOWN_SECONDS`."""
    global _unknown_until
    with _loading:
        if time.monotonic() >= _unknown_until:
            load_keys()
            _unknown_until = time.monotonic() + UNKNOWN_SECONDS


def load_keys() -> None:
    """Read the keys that this process does not know, retired ones too: their tokens are expired, not forged."""
    for row in SigningKey.objects.exclude(kid__in=list(_verifying)):
        if row.public_jwk is not None or row.secret_id == crypto.secret_id():
            _verifying[row.kid] = VerifyingKey(row.algorithm, _public(row))


def forget() -> None:
    """Forget all keys in memory, like a new process. For tests."""
    global _unknown_until
    _unknown_until = 0.0
    for cache in (_known, _signing, _verifying):
        cache.clear()


def rotate_keys(*, actor: Actor, reason: str = "") -> SigningKey:
    """Publish a new key that signs after 10 minutes. Older keys retire when their last tokens have expired.

    Raises `Conflict` for HS256, whose key is `JWT_SECRET` itself.
    """
    if settings.JWT_ALGORITHM == "HS256":
        raise Conflict("With HS256, the signing key is JWT_SECRET. Change JWT_SECRET instead.")
    now = clock.now()
    with transaction.atomic():
        lock_signing_keys()
        if find_signing_key(now) is None:
            return _create_key(actor=actor, now=now, activates_at=now, reason=reason)
        row = _create_key(actor=actor, now=now, activates_at=now + PUBLISH_AHEAD, reason=reason)
        retires_at = row.activates_at + settings.ACCESS_TOKEN_LIFETIME + CLOCK_SKEW
        older = SigningKey.objects.filter(retires_at__isnull=True, activates_at__lt=row.activates_at)
        older.update(retires_at=retires_at)
    return row


def published_jwks(now: datetime) -> dict[str, list[dict[str, Any]]]:
    """Return the public keys as a JWK set, without symmetric keys."""
    current_key()
    rows = SigningKey.objects.exclude(retires_at__lte=now)
    return {"keys": [row.public_jwk for row in rows if row.public_jwk is not None]}


def find_signing_key(now: datetime) -> SigningKey | None:
    """Return the row of the key that signs now, or None. Unlike `current_key`, this creates none."""
    return _active(_read_rows(now), now)


class StoredKeys(NamedTuple):
    """The keys that will sign, newest first, and last the one that signs now.

    `are_foreign` says that there are keys, and that all of them are sealed with another `JWT_SECRET`.
    """

    signing: list[SigningKey]
    are_foreign: bool


def find_stored_keys(now: datetime) -> StoredKeys:
    """Read the keys by one query, and create none."""
    rows = list(SigningKey.objects.exclude(retires_at__lte=now).order_by("-activates_at", "-kid"))
    readable = [row for row in rows if row.secret_id == crypto.secret_id()]
    own = [row for row in readable if row.algorithm == settings.JWT_ALGORITHM]
    active = _active(own, now)
    return StoredKeys(own if active is None else own[: own.index(active) + 1], bool(rows) and not readable)


def opens(row: SigningKey) -> bool:
    """Return whether this `JWT_SECRET` opens the private key."""
    try:
        _open_private(row)
    except (crypto.SealBroken, ValueError):
        return False
    return True


def opens_no_stored_key(now: datetime) -> bool:
    """Return whether there are signing keys but all of them are sealed with another `JWT_SECRET`."""
    return find_stored_keys(now).are_foreign


def _is_well_formed(kid: object) -> bool:
    return isinstance(kid, str) and KEY_ID.fullmatch(kid) is not None


def _known_rows(now: datetime) -> list[SigningKey]:
    """Return the keys that may sign, now or later, as this process read them in the last `REREAD_AFTER`."""
    configured = settings.JWT_ALGORITHM, crypto.secret_id()
    read_at, rows = _known.get(configured, (None, []))
    if read_at is None or not read_at <= now < read_at + REREAD_AFTER:
        rows = _read_rows(now)
        if rows:
            # Not before the commit: a key that this transaction has made does not exist after a rollback.
            transaction.on_commit(lambda: _known.update({configured: (now, rows)}))
    return rows


def _read_rows(now: datetime) -> list[SigningKey]:
    rows = SigningKey.objects.filter(algorithm=settings.JWT_ALGORITHM, secret_id=crypto.secret_id())
    return list(rows.exclude(retires_at__lte=now).order_by("-activates_at", "-kid"))


def _active(rows: Sequence[SigningKey], now: datetime) -> SigningKey | None:
    """Return the newest of the keys that signs at `now`, or None."""
    return next((row for row in rows if row.activates_at <= now < (row.retires_at or LATEST)), None)


def _create_first_key() -> SigningKey:
    with transaction.atomic():
        lock_signing_keys()
        # Read the clock with the lock held: another process may have created a key while we waited.
        now = clock.now()
        return find_signing_key(now) or _create_key(actor=SYSTEM, now=now, activates_at=now)


def _create_key(*, actor: Actor, now: datetime, activates_at: datetime, reason: str = "") -> SigningKey:
    algorithm = settings.JWT_ALGORITHM
    if algorithm == "HS256":
        kid, public_jwk, private = _symmetric_kid(), None, settings.JWT_SECRET.encode()
    else:
        kid, public_jwk, private = _generate_pair(algorithm)
    row = SigningKey.objects.create(
        kid=kid,
        algorithm=algorithm,
        public_jwk=public_jwk,
        private_sealed=crypto.seal(SEAL_PURPOSE, private),
        secret_id=crypto.secret_id(),
        created_at=now,
        activates_at=activates_at,
    )
    metadata = {"kid": kid, "algorithm": algorithm, **({"reason": reason} if reason else {})}
    record(Draft(event=Event.SIGNING_KEY_CREATED, actor=actor, metadata=metadata))
    return row


def _generate_pair(algorithm: str) -> tuple[str, dict[str, Any], bytes]:
    """Return the ID, public JWK and private key of a new key pair. The ID is the JWK thumbprint (RFC 7638)."""
    pair = JWK.generate(**KINDS[algorithm], use="sig", alg=algorithm)
    kid = pair.thumbprint()
    return kid, {**pair.export_public(as_dict=True), "kid": kid}, pair.export_to_pem(private_key=True, password=None)


def _symmetric_kid() -> str:
    return f"hs256-{crypto.secret_id()}"


def _open_private(row: SigningKey) -> Any:
    private = crypto.open_sealed(SEAL_PURPOSE, row.private_sealed)
    return private if row.public_jwk is None else serialization.load_pem_private_key(private, password=None)


def _public(row: SigningKey) -> Any:
    return _open_private(row) if row.public_jwk is None else PyJWK(row.public_jwk).key
