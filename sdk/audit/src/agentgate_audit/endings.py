"""After an end or a stop, nothing may be allowed, and no token may be live."""

from __future__ import annotations

from collections.abc import Iterator

from .entries import Entry
from .errors import Broken

# By event: the members of the record that say what ends. No event lifts these.
ENDS = {
    "consent.revoked": ("consentId",),
    "consent.replaced": ("consentId",),
    "consent.expired": ("consentId",),
    "consent.denied": ("consentId",),
    "agent.expired": ("agentId",),
    "user.erased": ("userId",),
}
# These hold until an event that lifts them. An agent can be suspended, stopped and paused at once.
STOPS = {
    "agent.suspended": ("agentId",),
    "agent.stopped": ("agentId",),
    "agent.paused": ("userId", "agentId"),
    "agents.paused": ("userId",),
    "organization.suspended": ("organizationId",),
    "organization.stopped": ("organizationId",),
    "organization.deletion_started": ("organizationId",),
    "user.deactivated": ("userId",),
}
# The pause of one agent ends with its connection, and a later connection begins without it.
LIFTS = {
    "agent.reactivated": "agent.suspended",
    "agent.stop_lifted": "agent.stopped",
    "agent.resumed": "agent.paused",
    "consent.revoked": "agent.paused",
    "consent.expired": "agent.paused",
    "agents.resumed": "agents.paused",
    "organization.reactivated": "organization.suspended",
    "organization.resumed": "organization.stopped",
    "organization.restored": "organization.deletion_started",
    "user.reactivated": "user.deactivated",
}
# This ends some scopes of a consent. Only a new consent, with another ID, grants them again.
NARROWED = "consent.narrowed"
_MEMBERS = {**ENDS, **STOPS}
_OF_AGENTS = [event for event, members in _MEMBERS.items() if members == ("agentId",)]
_OF_ORGANIZATIONS = [event for event, members in _MEMBERS.items() if members == ("organizationId",)]

_Subject = tuple["str | None", ...]
"""An event, and the IDs of what it ended or stopped."""


class Endings:
    """What has ended or stopped so far, by event and IDs, with the index where that was logged."""

    def __init__(self) -> None:
        self._since: dict[_Subject, int] = {}

    def check(self, entry: Entry) -> None:
        """Raise `Broken` if the entry allows what had ended. Otherwise note what it ends or lifts."""
        if entry.says_yes:
            self._check_allowed(entry)
        for subject in _ended(entry):
            if None not in subject:
                self._since.setdefault(subject, entry.index)
        if lifted := _lifted(entry):
            self._since.pop(lifted, None)

    def _check_allowed(self, entry: Entry) -> None:
        found = [(self._since[subject], subject[0]) for subject in _subjects(entry) if subject in self._since]
        if found:
            index, event = max(found)
            raise Broken(f"allowed after {event} at index {index}")


def _ended(entry: Entry) -> Iterator[_Subject]:
    """Yield what ends or stops with the entry."""
    event = entry.record["event"]
    if event in _MEMBERS:
        yield _subject(event, entry)
    if event == NARROWED:
        for scope in entry.removed_scopes:
            yield event, entry.record["consentId"], scope


def _lifted(entry: Entry) -> _Subject | None:
    """Return the stop that the entry lifts, if any."""
    stop = LIFTS.get(entry.record["event"])
    return _subject(stop, entry) if stop else None


def _subjects(entry: Entry) -> Iterator[_Subject]:
    """Yield what must not have ended before the entry."""
    for event in _MEMBERS:
        yield _subject(event, entry)
    # A pause is that of a connection, which is the first agent's.
    for link in entry.chain[:-1]:
        yield from ((event, link.agent) for event in _OF_AGENTS)
        yield from ((event, link.organization) for event in _OF_ORGANIZATIONS)
    for organization in entry.service_organizations:
        yield "organization.suspended", organization
        yield "organization.deletion_started", organization
    for scope in entry.record["scopes"]:
        yield NARROWED, entry.record["consentId"], scope


def _subject(event: str, entry: Entry) -> _Subject:
    members = _MEMBERS[event]
    if entry.chain and members == STOPS["agent.paused"]:
        return event, entry.record["userId"], entry.chain[0].agent
    return event, *(entry.record[member] for member in members)
