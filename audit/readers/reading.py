"""Entries as their readers see them, wherever they are: in the log, or still in the journal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from audit.entries import personal_keys
from audit.entries.drafts import CALL, CONNECTION, MACHINE_REASONS, POLICY, REASON, REQUEST_ID, SERVICES, Prepared
from audit.entries.records import decode_opening, open_personal
from audit.entries.subjects import subject_of
from audit.models import Entry
from core.text import plain_text

type Keys = Mapping[str, AESGCM | None]

# Shown as null if there is none, or if this reader may not see it.
ALWAYS_SHOWN = ("ip", "userAgent", "resource")


class Visible(NamedTuple):
    """The names of the parts that a reader may see, in each group (docs/evidence-formats.md).

    They are all that this kind of reader may see, whether the entry has them or not.
    """

    personal: frozenset[str]
    withheld: frozenset[str]
    streams: frozenset[str]


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """An entry. `index` is its place in the tree, or None while it is in the journal.

    `record` is shown to every reader. `personal_parts` and `withheld_parts` are not (`audit.readers.disclosure`).
    """

    id: str
    index: int | None
    timestamp: datetime
    event: str
    outcome: str
    user_id: str | None
    agent_id: str | None
    consent_id: str | None
    organization_ids: Sequence[str]
    record: Mapping[str, Any]
    personal_parts: Mapping[str, Any]
    withheld_parts: Mapping[str, Any]
    is_erased: bool
    """Whether it had personal data that can no longer be read."""

    @property
    def content(self) -> dict[str, Any]:
        """Return the record together with what is withheld from some readers, and what a person typed."""
        return _merge(self.record, self.withheld_parts, self.personal_parts)

    @property
    def personal(self) -> dict[str, Any]:
        """Return the personal data. It is empty if it was erased."""
        return {} if self.is_erased else _flatten(self.personal_parts)

    def described(self, visible: Visible) -> dict[str, Any]:
        """Return the content with only the visible parts, and the personal data as its member `personal`."""
        personal = {name: part for name, part in self.personal_parts.items() if name in visible.personal}
        withheld = {name: part for name, part in self.withheld_parts.items() if name in visible.withheld}
        return {**_merge(self.record, withheld, personal), "personal": _flatten(personal)}


def read_entries(found: Sequence[Entry | Prepared]) -> list[AuditEntry]:
    """Return the entries, in order, with the personal data of those whose key exists. They need one query."""
    keys = personal_keys.existing_keys(
        subject_of(one.content, one.organization_ids) for one in found if _has_personal(one)
    )
    return [_from_log(one, keys) if isinstance(one, Entry) else _from_journal(one, keys) for one in found]


def read_entry(found: Entry | Prepared) -> AuditEntry:
    return read_entries([found])[0]


def stated_reason(content: Mapping[str, Any]) -> str:
    """Return the reason that a person typed, or an empty string."""
    reason = content["metadata"].get("reason")
    return "" if reason in MACHINE_REASONS else plain_text(reason)


def _from_log(entry: Entry, keys: Keys) -> AuditEntry:
    opening, _ = decode_opening(entry.opening)
    record = entry.content
    personal = _open(entry, keys) if record["personal"] else {}
    return AuditEntry(
        entry.id,
        entry.leaf_index,
        entry.timestamp,
        entry.event,
        entry.outcome,
        entry.user_id,
        entry.agent_id,
        entry.consent_id,
        entry.organization_ids,
        record,
        personal or {},
        opening.withheld,
        is_erased=personal is None,
    )


def _from_journal(prepared: Prepared, keys: Keys) -> AuditEntry:
    record = prepared.content
    # The sequencer makes the key. Until then there is none, unless it was destroyed before.
    subject = subject_of(record, prepared.organization_ids)
    is_erased = bool(prepared.personal) and subject in keys and keys[subject] is None
    return AuditEntry(
        record["id"],
        None,
        datetime.fromisoformat(record["timestamp"]),
        record["event"],
        record["outcome"],
        record["userId"],
        record["agentId"],
        record["consentId"],
        prepared.organization_ids,
        record,
        {} if is_erased else prepared.personal,
        prepared.withheld,
        is_erased,
    )


def _has_personal(one: Entry | Prepared) -> bool:
    return one.sealed is not None if isinstance(one, Entry) else bool(one.personal)


def _open(entry: Entry, keys: Keys) -> dict[str, Any] | None:
    """Return the personal parts, or None if they were erased."""
    if entry.sealed is None:
        return None
    key = keys.get(subject_of(entry.content, entry.organization_ids))
    try:
        return open_personal(personal_keys.decrypt(key, entry.id, entry.sealed))[1]
    except personal_keys.Erased:
        return None


def _merge(record: Mapping[str, Any], withheld: Mapping[str, Any], personal: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record as the draft had it, except for the parts that are missing here."""
    content = {name: value for name, value in record.items() if name not in ("personal", "withheld")}
    content |= withheld.get(CONNECTION, {})
    content["serviceOrganizationIds"] = withheld.get(SERVICES, content["serviceOrganizationIds"])
    policy = {"policyId": None, "policyOrganizationId": None, **withheld.get(POLICY, {})}
    content |= {name: policy.pop(name) for name in ("policyId", "policyOrganizationId")}
    content["requestId"] = personal.get(REQUEST_ID, content["requestId"])
    typed = {REASON: personal[REASON]} if REASON in personal else {}
    return {**content, "metadata": {**content["metadata"], **policy, **typed}}


def _flatten(parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the personal parts side by side."""
    plain = {name: part for name, part in parts.items() if name not in (CALL, REASON, REQUEST_ID)}
    return {**dict.fromkeys(ALWAYS_SHOWN), **plain, **parts.get(CALL, {})}
