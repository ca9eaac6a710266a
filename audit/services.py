"""The only writer of the audit log."""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction

from audit.events import Event, Outcome
from audit.models import Concern, Entry, PendingEntry, PersonalData
from core import clock
from core.actor import Actor
from core.canonical import canonical_json, sha256
from core.ids import new_id
from core.text import plain_text

FORMAT_VERSION = 1
SALT_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
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
    metadata: Mapping[str, Any] = field(default_factory=dict)
    personal: Mapping[str, Any] = field(default_factory=dict)

    @property
    def concerned(self) -> list[str]:
        """Return the organizations whose log contains the entry, without duplicates."""
        return list(dict.fromkeys(filter(None, (self.organization_id, *self.service_organization_ids))))


def append(drafts: Sequence[Draft], *, at: datetime | None = None) -> list[str]:
    """Write the entries in the transaction of the acts they describe. Return their ids in order.

    Raises `TransactionManagementError` outside a transaction: an entry must not outlive an act that is rolled back.
    """
    if not transaction.get_connection().in_atomic_block:
        raise transaction.TransactionManagementError("append() must run in the transaction of the act that it records.")
    if not drafts:
        return []
    moment = at or clock.now()
    personal = [_make_personal_data(draft) for draft in drafts]
    entries = [_make_entry(draft, data, moment) for draft, data in zip(drafts, personal, strict=True)]
    Entry.objects.bulk_create(entries)
    Concern.objects.bulk_create(
        Concern(organization_id=organization_id, entry_id=entry.id)
        for draft, entry in zip(drafts, entries, strict=True)
        for organization_id in draft.concerned
    )
    PersonalData.objects.bulk_create(personal)
    PendingEntry.objects.bulk_create([_make_pending(entry) for entry in entries])
    return [entry.id for entry in entries]


def record(draft: Draft) -> str:
    """Write one entry. Return its id."""
    return append([draft])[0]


def _make_personal_data(draft: Draft) -> PersonalData:
    data = {
        "ip": draft.actor.ip,
        "userAgent": draft.actor.user_agent or None,
        "resource": draft.resource,
        **draft.personal,
    }
    return PersonalData(
        entry_id=new_id("log"), salt=secrets.token_bytes(SALT_BYTES), data=canonical_json(data).decode()
    )


def _make_entry(draft: Draft, personal: PersonalData, moment: datetime) -> Entry:
    body = {
        "v": FORMAT_VERSION,
        "id": personal.entry_id,
        "timestamp": clock.rfc3339(moment),
        "event": draft.event.value,
        "outcome": draft.outcome.value,
        "reason": draft.reason,
        "organizationId": draft.organization_id,
        "serviceOrganizationIds": sorted(set(draft.service_organization_ids)),
        "actor": {"kind": draft.actor.kind, "id": draft.actor.id},
        "userId": draft.user_id,
        "agentId": draft.agent_id,
        "consentId": draft.consent_id,
        "policyId": draft.policy_id,
        "policyOrganizationId": draft.policy_organization_id,
        "action": draft.action,
        "scopes": list(draft.scopes),
        "requestId": draft.actor.request_id or None,
        "metadata": _plain(draft.metadata),
        "personal": hashlib.sha256(bytes(personal.salt) + personal.data.encode()).hexdigest(),
    }
    return Entry(
        id=personal.entry_id,
        timestamp=moment,
        event=draft.event.value,
        outcome=draft.outcome.value,
        user_id=draft.user_id,
        agent_id=draft.agent_id,
        consent_id=draft.consent_id,
        body=canonical_json(body).decode(),
    )


def _plain(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata with `reason` made safe to display: an administrator typed it."""
    return {name: plain_text(value) if name == "reason" else value for name, value in metadata.items()}


def _make_pending(entry: Entry) -> PendingEntry:
    return PendingEntry(entry_id=entry.id, digest=sha256(entry.body.encode()))
