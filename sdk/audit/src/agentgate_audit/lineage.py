"""The lineage of an entry: which agent acted, on whose hand-over, under which consent, and within which bounds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .chains import Link
from .delegations import Delegation, Grant
from .entries import Entry
from .errors import Broken, quote
from .export import verify_export
from .note import VerifierKey
from .sums import MAXIMA
from .times import format_time, write_time

_OUTCOMES = {"allowed": "was allowed", "denied": "was denied"}


@dataclass(frozen=True)
class Lineage:
    """An entry of an export that holds, with what the export says of its chain and its consent."""

    entry: Entry
    links: list[tuple[Link, Delegation | None]]
    """Each agent from the first one, with the delegation by which it acted, if the export has its creation."""
    grant: Grant

    def described(self) -> dict[str, Any]:
        """Return it as JSON. What the export does not say is null."""
        record, grant = self.entry.record, self.grant
        names = ("event", "outcome", "reason", "timestamp", "userId", "agentId", "consentId", "action", "scopes")
        limits = ("limitedBy", "delegationId", "ruleType")
        return {
            "entry": record["id"],
            "index": self.entry.index,
            **{name: record[name] for name in names},
            **{name: record["metadata"][name] for name in limits if name in record["metadata"]},
            "consent": {
                "entry": grant.entry,
                "scopes": None if grant.scopes is None else sorted(grant.scopes),
                "expiresAt": None if grant.expires is None else write_time(grant.expires),
            },
            "chain": [_describe(link, delegation) for link, delegation in self.links],
        }

    def told(self) -> str:
        """Return it as one paragraph."""
        return " ".join([self._tell_act(), *self._tell_links(), self._tell_consent()])

    def _tell_act(self) -> str:
        record = self.entry.record
        what = ", ".join([record["action"] or record["event"], *record["scopes"]])
        outcome = _OUTCOMES.get(record["outcome"], "is named")
        reason = f" ({_safe(record['reason'])}{_whose_limit(record['metadata'])})" if record["reason"] else ""
        user = f" for the user {_safe(record['userId'])}" if record["userId"] else ""
        return (
            f"{_safe(record['id'])}, index {self.entry.index}, {format_time(self.entry.time)}:"
            f" the agent {_safe(record['agentId'])} {outcome}{reason}: {_safe(what)}{user}."
        )

    def _tell_links(self) -> list[str]:
        told = []
        for (giver, _), (link, delegation) in reversed(list(zip(self.links, self.links[1:], strict=False))):
            told.append(
                f"{_safe(link.agent)} acted on the delegation {_safe(link.delegation)} by {_safe(giver.agent)},"
                f" {_bounds_of(delegation)}."
            )
        return told

    def _tell_consent(self) -> str:
        consent = self.entry.record["consentId"]
        if consent is None:
            return "It acted for itself, under no user's consent."
        first, grant = self.links[0][0], self.grant
        when = f", given at {format_time(grant.time)} ({_safe(grant.entry)})" if grant.time is not None else ""
        scopes = f", for {_list(grant.scopes)}" if grant.scopes is not None else ""
        until = f", until {format_time(grant.expires)}" if grant.expires is not None else ""
        return f"{_safe(first.agent)} acted under the consent {_safe(consent)}{when}{scopes}{until}."


def find_lineage(path: Path, key: VerifierKey, entry_id: str) -> Lineage:
    """Return the lineage of an entry of an export, which must hold. Raises `Broken` and `Unusable`."""
    found: list[Entry] = []
    summary = verify_export(
        path, key, visit=lambda entry: found.append(entry) if entry.record["id"] == entry_id else None
    )
    if not found:
        raise Broken(f"the export has no entry {quote(entry_id)}")
    (entry, *_), known = found, summary.delegations.known
    if not entry.agents:
        raise Broken(f"index {entry.index}: the entry names no agent")
    links = [(link, known.get(link.delegation or "")) for link in entry.agents]
    return Lineage(entry, links, summary.delegations.grants.get(entry.record["consentId"], Grant()))


def _describe(link: Link, delegation: Delegation | None) -> dict[str, Any]:
    shown: dict[str, Any] = {"agentId": link.agent, "delegationId": link.delegation}
    if link.delegation is None:
        return shown
    if delegation is None:
        return {**shown, "delegation": None}
    bounds = {
        "entry": delegation.entry,
        "createdAt": write_time(delegation.time),
        "scopes": sorted(delegation.scopes),
        "expiresAt": write_time(delegation.expires),
        "maxDepth": delegation.max_depth,
        "targets": delegation.targets,
        "limits": delegation.limits,
    }
    return {**shown, "delegation": bounds}


def _bounds_of(delegation: Delegation | None) -> str:
    if delegation is None:
        return "whose bounds are not in this export"
    return (
        f"made at {format_time(delegation.time)} ({_safe(delegation.entry)}), for {_list(delegation.scopes)},"
        f" until {format_time(delegation.expires)}, at most {delegation.max_depth} deep,"
        f"{_targets_of(delegation)} {_limits_of(delegation)}"
    )


def _whose_limit(metadata: dict[str, Any]) -> str:
    """Return whose limit denied, if one did: that of the user or of a delegation."""
    rule, whose = quote(metadata.get("ruleType"))[1:-1], metadata.get("limitedBy")
    if whose == "user":
        return f", by the user's limit {rule}"
    return f", by the limit {rule} of {quote(metadata.get('delegationId'))[1:-1]}" if whose == "delegation" else ""


def _targets_of(delegation: Delegation) -> str:
    named = [f"{_safe(scope)} of {_safe(', '.join(names))}" for scope, names in sorted(delegation.targets.items())]
    return f" only {'; '.join(named)}," if named else ""


def _limits_of(delegation: Delegation) -> str:
    if delegation.limits is None:
        return "with limits that this export does not disclose"
    others = {rule["type"] for rules in delegation.limits.values() for rule in rules} - MAXIMA.keys()
    named = [f"at most {one}" for one in delegation.sums] + [_safe(one) for one in sorted(others)]
    return f"with the limits: {'; '.join(named)}" if named else "without limits"


def _list(names: frozenset[str]) -> str:
    return _safe(", ".join(sorted(names)) or "no scopes")


def _safe(text: str | None) -> str:
    """Return text of the log as it is safe to print."""
    return ascii(text)[1:-1] if text is not None else "unknown"
