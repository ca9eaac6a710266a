"""Find an entry of the log, and the earlier entry that caused it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta, timezone
from itertools import islice
from typing import Any

from ..admin import AgentGateAdmin
from ..models import AuditEntry
from .failures import Failure

_MOST_SEARCHED = 5000
_CAUSES = {
    "token_revoked": ("token.replayed", "token.revoked"),
    "agent_suspended": ("agent.stopped", "agent.suspended"),
    "consent_revoked": ("consent.revoked",),
}


def find_entry(api: AgentGateAdmin, entry_id: str | None) -> AuditEntry:
    """Return the entry with this id, or the latest denial. Raises Failure if there is none."""
    if entry_id is None:
        entries: Iterable[AuditEntry] = api.iter_audit_logs(outcome="denied")
    else:
        written = written_at(entry_id)
        until = written and shifted(written, 60)
        entries = islice(api.iter_audit_logs(until=until), _MOST_SEARCHED)
    found = next((entry for entry in entries if entry_id in (None, entry.id)), None)
    if found is None:
        raise Failure(
            "not_found", f"The log has no entry {entry_id}." if entry_id else "The log has no denial."
        )
    return found


def find_cause(api: AgentGateAdmin, denied: AuditEntry) -> AuditEntry | None:
    """Return the newest earlier entry that explains the denial, None if there is none."""
    if denied.reason == "delegation_ended":
        return max(_ends_above(api, denied), key=lambda entry: entry.timestamp, default=None)
    family = _family_of_token(api, denied) if denied.reason == "token_revoked" else None
    found = [
        entry
        for event in _CAUSES.get(denied.reason or "", ())
        for entry in islice(_earlier(api, denied, event, family), 1)
    ]
    return max(found, key=lambda entry: entry.timestamp, default=None)


def written_at(identifier: str) -> datetime | None:
    """Return when an id was created, from its leading milliseconds (UUIDv7), None if it has none."""
    found = re.fullmatch(r"[a-z]+_([0-9a-f]{12})[0-9a-f]{20}", identifier)
    if found is None:
        return None
    return shifted(datetime.fromtimestamp(0, timezone.utc), int(found[1], 16) / 1000)


def shifted(moment: datetime, seconds: float) -> datetime:
    """Return the moment that is later by these seconds, within what datetime can express."""
    try:
        return moment + timedelta(seconds=seconds)
    except OverflowError:
        return (datetime.max if seconds > 0 else datetime.min).replace(tzinfo=timezone.utc)


def metadata_of(entry: AuditEntry) -> dict[str, Any]:
    return dict(entry.metadata or {})


def _ends_above(api: AgentGateAdmin, denied: AuditEntry) -> Iterator[AuditEntry]:
    """Yield the newest ends of each delegation of the chain, and stops of the agents above."""
    until = denied.timestamp
    for link in denied.chain:
        if link.delegation_id is not None:
            below = api.iter_audit_logs(event="delegation.ended", chain=link.delegation_id, until=until)
            own = (one for one in below if one.chain and one.chain[-1].delegation_id == link.delegation_id)
            yield from islice(own, 1)
    for link in denied.chain[:-1]:
        for event in _CAUSES["agent_suspended"]:
            yield from islice(api.iter_audit_logs(event=event, agent_id=link.agent_id, until=until), 1)


def _earlier(api: AgentGateAdmin, denied: AuditEntry, event: str, family: str | None) -> Iterable[AuditEntry]:
    for entry in api.iter_audit_logs(agent_id=denied.agent_id, event=event, until=denied.timestamp):
        if event.startswith("token."):
            is_about = family is not None and metadata_of(entry).get("familyId") == family
        else:
            is_about = entry.consent_id in (None, denied.consent_id)
        if is_about:
            yield entry


def _family_of_token(api: AgentGateAdmin, denied: AuditEntry) -> str | None:
    """Return the family of the denied token, from the entry that logged its issue."""
    issued_at = written_at(str(metadata_of(denied).get("tokenId", "")))
    if issued_at is None:
        return None
    near = api.iter_audit_logs(
        agent_id=denied.agent_id,
        user_id=denied.user_id,
        since=shifted(issued_at, -2),
        until=shifted(issued_at, 2),
    )
    issues = [entry for entry in near if entry.event in ("token.issued", "token.refreshed")]
    issue = min(issues, key=lambda entry: abs(entry.timestamp - issued_at), default=None)
    return None if issue is None else metadata_of(issue).get("familyId")
