"""Entries as evidence: their leaves, with the disclosures that a reader may have (docs/evidence-formats.md)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audit.entries import parts, personal_keys
from audit.entries.outlines import stream_names
from audit.entries.records import decode_opening, open_personal, stream_disclosures
from audit.entries.subjects import subject_of
from audit.models import Entry
from audit.readers.reading import Visible, read_entries
from audit.sequencing.log import leaf_of

Disclosure = str | dict[str, str]
FindVisible = Callable[[Mapping[str, Any]], Visible]
NOTHING = Visible(frozenset(), frozenset(), frozenset())


@dataclass(frozen=True, slots=True)
class Evidence:
    """A leaf, and by group the parts that its reader may see, or their digests."""

    index: int
    leaf: bytes
    disclosures: dict[str, list[Disclosure]]

    def described(self) -> dict[str, Any]:
        return {"index": self.index, "entry": self.leaf.decode(), "disclosures": self.disclosures}


def collect_evidence(entries: Sequence[Entry], find_visible: FindVisible) -> list[Evidence]:
    """Return the evidence of entries for a reader, of whom `find_visible` says what they may see of a content."""
    read = read_entries(entries)
    keys = personal_keys.existing_keys(_subject(entry) for entry in entries if entry.sealed is not None)
    return [_collect(entry, keys, find_visible(one.content)) for entry, one in zip(entries, read, strict=True)]


def both(first: Visible, second: Visible) -> Visible:
    """Return what a reader may see who is entitled to both."""
    return Visible(*(one | other for one, other in zip(first, second, strict=True)))


def _collect(entry: Entry, keys: Mapping[str, Any], visible: Visible) -> Evidence:
    opening, numbers = decode_opening(entry.opening)
    names = stream_names(entry.organization_ids, entry.user_id, entry.consent_id)
    groups = {
        "personal": _show(*_personal(entry, keys), visible.personal),
        "withheld": _show([*opening.withheld], opening.withheld_disclosures(), visible.withheld),
        "streams": _show(names, stream_disclosures(opening.secret, names, numbers), visible.streams),
    }
    return Evidence(entry.leaf_index, leaf_of(entry), {name: shown for name, shown in groups.items() if shown})


def _subject(entry: Entry) -> str:
    return subject_of(entry.content, entry.organization_ids)


def _personal(entry: Entry, keys: Mapping[str, Any]) -> tuple[Sequence[str], Sequence[bytes]]:
    """Return the names and the disclosures of the personal parts. There are none once they are erased."""
    if entry.sealed is None:
        return (), ()
    try:
        plain = personal_keys.decrypt(keys.get(_subject(entry)), entry.id, entry.sealed)
    except personal_keys.Erased:
        return (), ()
    secret, found = open_personal(plain)
    return [*found], parts.disclosures(secret, found)


def _show(names: Sequence[str], disclosures: Sequence[bytes], visible: frozenset[str]) -> list[Disclosure]:
    """Return the visible disclosures and the digests of the others, or nothing if none is visible."""
    if visible.isdisjoint(names):
        return []
    return [
        one.decode() if name in visible else {"digest": parts.digest(one).hex()}
        for name, one in zip(names, disclosures, strict=True)
    ]
