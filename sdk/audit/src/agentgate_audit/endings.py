"""After an end or a stop, nothing may be allowed, and no token may be live."""

from __future__ import annotations

from collections.abc import Iterator

from .entries import Entry
from .errors import Broken

# By event: the member of the record that holds the ID of what ends. No event lifts these.
ENDS = {
    "consent.revoked": "consentId",
    "consent.replaced": "consentId",
    "consent.expired": "consentId",
    "consent.denied": "consentId",
    "agent.expired": "agentId",
    "user.erased": "userId",
}
# These hold until the event that lifts them. An agent can be suspended and stopped at once.
STOPS = {
    "agent.suspended": "agentId",
    "agent.stopped": "agentId",
    "organization.suspended": "organizationId",
    "user.deactivated": "userId",
}
LIFTS = {
    "agent.reactivated": "agent.suspended",
    "agent.stop_lifted": "agent.stopped",
    "organization.reactivated": "organization.suspended",
    "user.reactivated": "user.deactivated",
}
_MEMBERS = {**ENDS, **STOPS}


class Endings:
    """What has ended or stopped so far, by event and ID, with the index where that was logged."""

    def __init__(self) -> None:
        self._since: dict[tuple[str, str], int] = {}

    def check(self, entry: Entry) -> None:
        """Raise `Broken` if the entry allows what had ended. Otherwise note what it ends or lifts."""
        if entry.says_yes:
            self._check_allowed(entry)
        event = entry.record["event"]
        member = _MEMBERS.get(event)
        if member and entry.record[member] is not None:
            self._since.setdefault((event, entry.record[member]), entry.index)
        if stop := LIFTS.get(event):
            self._since.pop((stop, entry.record[STOPS[stop]]), None)

    def _check_allowed(self, entry: Entry) -> None:
        found = [(self._since[key], key[0]) for key in _subjects(entry) if key in self._since]
        if found:
            index, event = max(found)
            raise Broken(f"allowed after {event} at index {index}")


def _subjects(entry: Entry) -> Iterator[tuple[str, str]]:
    """Yield what must not have ended before the entry."""
    for event, member in _MEMBERS.items():
        yield event, entry.record[member]
    for organization in entry.service_organizations:
        yield "organization.suspended", organization
