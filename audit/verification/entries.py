"""Checks an entry by itself: whether its columns and its encrypted data are those to which the record commits."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from audit.archiving.archived import ArchiveUnavailable, archived_entries
from audit.entries import parts, personal_keys
from audit.entries.drafts import organizations_of
from audit.entries.records import Opening, decode_opening, hash_leaf, open_personal
from audit.entries.subjects import subject_of
from audit.models import Entry, PersonalKey
from audit.sequencing.log import leaf_of
from audit.sequencing.streams import Numbers
from audit.verification import Bad
from core import crypto

ENTRIES_PER_READ = 500
Keys = Mapping[str, AESGCM | None]


class _Unreadable(Exception):
    """The key of the personal data is encrypted under a former `JWT_SECRET`."""


class Checked(NamedTuple):
    """An entry whose columns are right. `personal` is None if its personal data was erased or is unreadable."""

    entry: Entry
    numbers: Numbers
    leaf_hash: bytes
    personal: Mapping[str, Any] | None
    is_unreadable: bool
    destroyed: str | None = None
    """The subject of the key that was destroyed, with which the personal data was erased."""


def checked_entries(size: int) -> Iterator[Checked]:
    """Yield the entries of a log of this size in order. Raises `Bad` at the first that is missing or damaged."""
    for first in range(0, size, ENTRIES_PER_READ):
        entries = _read(first, min(first + ENTRIES_PER_READ, size))
        keys = personal_keys.existing_keys(_subjects(entries))
        for index, entry in enumerate(entries, first):
            if entry.leaf_index != index:
                raise Bad("the entry is missing", index)
            yield _check(entry, keys)


def _read(first: int, end: int) -> list[Entry]:
    """Return the entries of a range, from the database or the archive. Raises `Bad` if any is missing."""
    entries = list(Entry.objects.filter(leaf_index__gte=first, leaf_index__lt=end).order_by("leaf_index"))
    if len(entries) == end - first:
        return entries
    missing = sorted(set(range(first, end)) - {entry.leaf_index for entry in entries})
    found = sorted([*entries, *_read_archived(missing)], key=lambda entry: entry.leaf_index)
    absent = next((index for index, entry in enumerate(found, first) if entry.leaf_index != index), first + len(found))
    return found if absent == end else [*found[: absent - first], Entry(leaf_index=-1)]


def _read_archived(indexes: Sequence[int]) -> list[Entry]:
    """Return those that are archived. Raises `Bad` for the first that the archive should have and cannot give."""
    try:
        return archived_entries(indexes)
    except ArchiveUnavailable:
        for index in indexes:
            try:
                archived_entries([index])
            except ArchiveUnavailable as error:
                raise Bad("the entry is archived, and the archive cannot be read there", index) from error
        raise


def _subjects(entries: Sequence[Entry]) -> Iterator[str]:
    for entry in entries:
        try:
            yield _subject(entry)
        except (ValueError, KeyError, TypeError):
            return  # this entry is the first that is bad


def _check(entry: Entry, keys: Keys) -> Checked:
    index = entry.leaf_index
    try:
        opening, numbers = decode_opening(entry.opening)
        _check_columns(entry, opening)
        leaf_hash = hash_leaf(leaf_of(entry))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Bad(f"the entry is damaged: {error}", index) from error
    if parts.root(opening.withheld_disclosures()) != entry.content["withheld"]:
        raise Bad("the withheld parts are not those of the record", index)
    try:
        personal = _open_personal(entry, keys)
        destroyed = _subject(entry) if personal is None else None
        return Checked(entry, numbers, leaf_hash, personal, is_unreadable=False, destroyed=destroyed)
    except _Unreadable:
        return Checked(entry, numbers, leaf_hash, None, is_unreadable=True)
    except (KeyError, TypeError, AttributeError) as error:  # a record without what says whose data it is
        raise Bad(f"the entry is damaged: {error}", index) from error


def _check_columns(entry: Entry, opening: Opening) -> None:
    record = entry.content
    expected = {
        "id": record["id"],
        "timestamp": datetime.fromisoformat(record["timestamp"]),
        "event": record["event"],
        "outcome": record["outcome"],
        "user_id": record["userId"],
        "agent_id": record["agentId"],
        "consent_id": record["consentId"],
        "organizations": "".join(f"{one} " for one in organizations_of(record, opening.withheld)),
    }
    for column, value in expected.items():
        if getattr(entry, column) != value:
            raise Bad(f"the column {column} differs from the record", entry.leaf_index)


def _open_personal(entry: Entry, keys: Keys) -> Mapping[str, Any] | None:
    """Return the personal parts, or None if they were erased."""
    root, index, subject = entry.content["personal"], entry.leaf_index, _subject(entry)
    if root is None and entry.sealed is not None:
        raise Bad("the entry has personal data to which its record does not commit", index)
    if root is None:
        return {}
    if subject in keys and keys[subject] is None:
        return None
    if entry.sealed is None:
        raise Bad("the personal data is missing although its key was not destroyed", index)
    return _open(entry, entry.sealed, keys.get(subject), root)


def _open(entry: Entry, sealed: bytes | memoryview, key: AESGCM | None, root: str) -> Mapping[str, Any]:
    try:
        secret, found = open_personal(personal_keys.decrypt(key, entry.id, sealed))
    except (personal_keys.Erased, ValueError) as error:
        if _has_former_key(_subject(entry)):
            raise _Unreadable from error
        raise Bad("the personal data cannot be decrypted", entry.leaf_index) from error
    if parts.root(parts.disclosures(secret, found)) != root:
        raise Bad("the personal data is not that of the record", entry.leaf_index)
    return found


def _subject(entry: Entry) -> str:
    return subject_of(entry.content, entry.organization_ids)


def _has_former_key(subject: str) -> bool:
    former = PersonalKey.objects.filter(subject=subject, sealed__isnull=False).exclude(secret_id=crypto.secret_id())
    return bool(former.exists())
