"""Records: finished entries on their way into the log. Making them needs no database."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple

import orjson

from audit.columns import Columns, read_columns
from audit.events import Event, Outcome
from core.actor import Actor
from core.canonical import canonical_json, encode_common, sha256
from core.clock import rfc3339
from core.ids import new_id
from core.text import plain_text

FORMAT_VERSION = 1
SALT_BYTES = 32


class Draft(NamedTuple):
    """A new entry. `resource`, `personal` and the actor's IP address and user agent can be erased later.

    `organization_id` is the organization that acts or whose agent acts; `service_organization_ids` are those whose
    services are concerned. The log of each contains the entry.
    """

    event: Event
    actor: Actor
    outcome: Outcome = Outcome.INFO
    organization_id: str | None = None
    service_organization_ids: Sequence[str] = ()
    user_id: str | None = None
    agent_id: str | None = None
    consent_id: str | None = None
    policy_id: str | None = None
    policy_organization_id: str | None = None
    reason: str | None = None
    action: str | None = None
    scopes: Sequence[str] = ()
    resource: str | None = None
    metadata: Mapping[str, Any] = MappingProxyType({})
    personal: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Record:
    """An entry and its personal data, both as canonical JSON. `body` contains SHA-256(salt ‖ personal).

    `columns` are parts of `body`, if that was parsed already.
    """

    id: str
    body: bytes
    salt: bytes
    personal: bytes
    columns: Columns | None = field(default=None, compare=False, repr=False)


def columns_of(record: Record) -> Columns:
    """Raises `ValueError` if the body is not that of an entry."""
    return record.columns or read_columns(record.body)


def make_records(drafts: Sequence[Draft], at: datetime) -> list[Record]:
    """Return a record of each draft, in order, for events at the moment `at`.

    Raises `ValueError` if JSON cannot represent a draft's metadata or personal data.
    """
    timestamp = rfc3339(at)
    return [_make_record(draft, timestamp) for draft in drafts]


def _make_record(draft: Draft, timestamp: str) -> Record:
    entry_id = new_id("log")
    salt = secrets.token_bytes(SALT_BYTES)
    personal = canonical_json(_personal_data(draft))
    body = encode_common(_content(draft, entry_id, timestamp, sha256(salt + personal)))
    return Record(entry_id, body, salt, personal)


def _personal_data(draft: Draft) -> dict[str, Any]:
    actor = draft.actor
    return {"ip": actor.ip, "userAgent": actor.user_agent or None, "resource": draft.resource, **draft.personal}


def _content(draft: Draft, entry_id: str, timestamp: str, commitment: str) -> dict[str, Any]:
    actor = draft.actor
    return {
        "v": FORMAT_VERSION,
        "id": entry_id,
        "timestamp": timestamp,
        "event": draft.event.value,
        "outcome": draft.outcome.value,
        "reason": draft.reason,
        "organizationId": draft.organization_id,
        "serviceOrganizationIds": sorted(set(draft.service_organization_ids)),
        "actor": {"kind": actor.kind, "id": actor.id},
        "userId": draft.user_id,
        "agentId": draft.agent_id,
        "consentId": draft.consent_id,
        "policyId": draft.policy_id,
        "policyOrganizationId": draft.policy_organization_id,
        "action": draft.action,
        "scopes": list(draft.scopes),
        "requestId": actor.request_id or None,
        "metadata": orjson.Fragment(canonical_json(_plain(draft.metadata))),
        "personal": commitment,
    }


def _plain(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata with `reason` made safe to display: an administrator typed it."""
    return {name: plain_text(value) if name == "reason" else value for name, value in metadata.items()}
