"""Keys for the personal data in the log. Destroying a key erases the data, wherever there are copies of it.

The subject of a key is a person, a request for consent, or an organization and month (`subjects.py`). Keys are stored
encrypted under `JWT_SECRET`, so a copy of the database alone discloses no personal data.
"""

import logging
import os
from collections.abc import Collection, Iterable
from datetime import datetime
from functools import lru_cache
from itertools import batched

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.db import connection, transaction

from audit.database.binary import binary_cursor
from audit.models import PersonalKey
from core import clock, crypto
from core.sweeps import BATCH

PURPOSE = "personal-key"
KEY_BYTES = 32
NONCE_BYTES = 12
KEYS_PER_INSERT = 500
READ = "SELECT subject, secret_id, sealed FROM audit_personalkey WHERE subject {}"
CONSENTS = "cns_"

logger = logging.getLogger(__name__)


class Erased(Exception):
    """The key was destroyed, or the data does not belong to it."""


def keys_for(subjects: Iterable[str]) -> dict[str, AESGCM | None]:
    """Return the key of each subject, created if there is none yet, or None if it was destroyed."""
    wanted = sorted(set(subjects))
    found = existing_keys(wanted)
    missing = [subject for subject in wanted if subject not in found]
    if missing:
        _create(missing)
        found |= existing_keys(missing)
    return found


def existing_keys(subjects: Iterable[str]) -> dict[str, AESGCM | None]:
    """Return the key of each subject, or None if it was destroyed. Those without a key are missing."""
    secret_id = crypto.secret_id()
    found: dict[str, AESGCM | None] = {}
    for subject, made_with, sealed in _read(sorted(set(subjects))):
        if sealed is None:
            found[subject] = None
        elif made_with == secret_id:
            found.setdefault(subject, _open(subject, sealed))
    return found


def encrypt(key: AESGCM, entry_id: str, plain: bytes) -> bytes:
    """Return personal data encrypted (AES-256-GCM) and bound to its entry."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + key.encrypt(nonce, plain, entry_id.encode())


def decrypt(key: AESGCM | None, entry_id: str, sealed: bytes | memoryview) -> bytes:
    """Return personal data. Raises `Erased` if its key was destroyed, or is not this one."""
    sealed = bytes(sealed)
    if key is None:
        raise Erased(entry_id)
    try:
        return key.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], entry_id.encode())
    except (InvalidTag, ValueError) as error:
        raise Erased(entry_id) from error


def destroy_keys(subjects: Collection[str]) -> int:
    """Destroy the keys, and keep new ones from being made. Return how many there were.

    On SQLite, what held them is overwritten. On PostgreSQL, VACUUM does that. Backups of the database have them still.
    """
    ordered, now = sorted(subjects), clock.now()
    with transaction.atomic():
        _create(ordered)
        return sum(
            PersonalKey.objects.filter(subject__in=some, destroyed_at=None).update(sealed=None, destroyed_at=now)
            for some in batched(ordered, KEYS_PER_INSERT)
        )


@transaction.atomic
def destroy_old_keys(*, limit: int = BATCH) -> int:
    """Destroy up to `limit` keys of months that ended `AUDIT_PERSONAL_RETENTION_MONTHS` ago. Return how many.

    The keys of people have no month: they remain until their erasure.
    """
    oldest = _months_before(clock.now(), settings.AUDIT_PERSONAL_RETENTION_MONTHS)
    old = PersonalKey.objects.filter(month__lt=oldest, destroyed_at=None).order_by("month")
    return destroy_keys({*old.values_list("subject", flat=True)[:limit]})


def is_expired(month: int | None, at: datetime) -> bool:
    """Return whether a key of this month could be destroyed at this moment, because it was old."""
    return month is not None and month < _months_before(at, settings.AUDIT_PERSONAL_RETENTION_MONTHS)


def _months_before(now: datetime, months: int) -> int:
    """Return the month `months` before this one, such as 202611."""
    year, month = divmod(12 * now.year + now.month - 1 - months, 12)
    return 100 * year + month + 1


def _month_of(subject: str, now: datetime) -> int | None:
    """Return the month after which a key grows old: that of its name, or this one for a request for consent."""
    _, slash, month = subject.partition("/")
    if slash:
        return int(month.replace("-", ""))
    return 100 * now.year + now.month if subject.startswith(CONSENTS) else None


def _read(subjects: Collection[str]) -> list[tuple[str, str, bytes | None]]:
    """Return the encrypted keys with their subjects, and the ids of the secrets that encrypt them."""
    if not subjects:
        return []
    if connection.vendor == "postgresql":
        with binary_cursor() as cursor:
            return cursor.execute(READ.format("= ANY(%b)").encode(), [list(subjects)], binary=True).fetchall()
    with connection.cursor() as cursor:
        cursor.execute(READ.format("IN (SELECT value FROM json_each(%s))"), [orjson.dumps(list(subjects)).decode()])
        return [(subject, secret_id, sealed and bytes(sealed)) for subject, secret_id, sealed in cursor.fetchall()]


def _create(subjects: Iterable[str]) -> None:
    """Create keys, except where another process was faster."""
    now = clock.now()
    keys = [
        PersonalKey(
            subject=subject,
            secret_id=crypto.secret_id(),
            month=_month_of(subject, now),
            sealed=crypto.seal(PURPOSE, os.urandom(KEY_BYTES)),
            created_at=now,
        )
        for subject in subjects
    ]
    PersonalKey.objects.bulk_create(keys, ignore_conflicts=True, batch_size=KEYS_PER_INSERT)


@lru_cache(maxsize=20_000)
def _cipher(sealed: bytes) -> AESGCM:
    return AESGCM(crypto.open_sealed(PURPOSE, sealed))


def _open(subject: str, sealed: bytes) -> AESGCM | None:
    """Return the key, or None if it was damaged. The log must go on without the personal data of one subject."""
    try:
        return _cipher(sealed)
    except crypto.SealBroken:
        logger.error("The key for the personal data of %s was damaged.", subject)
        return None


def forget() -> None:
    """Forget the keys in memory."""
    _cipher.cache_clear()
