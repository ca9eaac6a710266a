"""How a service uses AgentGate: when it last asked about a token, and what was decided in the last day."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from audit.entries.facets import TOKEN_REASONS
from audit.events import Event, Outcome
from audit.readers.criteria import Criteria
from audit.readers.snapshot import take_snapshot

DAY = timedelta(days=1)
QUESTIONS = (Event.TOKEN_VERIFY, Event.TOKEN_INTROSPECTED)


@dataclass(frozen=True, slots=True)
class Health:
    """What was decided for a service since `since`, a day ago. `last_at` is None if it never asked.

    `errors` are the denied requests whose token had expired, was revoked, or is for other services (`TOKEN_REASONS`).
    The others were denied by what users, rules and administrators decided. Requests with a wrong secret or an unknown
    token leave no entry, so they are not among them.
    """

    last_at: datetime | None
    since: datetime
    allowed: int = 0
    denied: int = 0
    errors: int = 0

    @property
    def denied_share(self) -> float:
        """Return the share that was denied, from 0 to 1. 0 if nothing was asked."""
        return self._share(self.denied)

    @property
    def error_rate(self) -> float:
        """Return the share of the errors, from 0 to 1. 0 if nothing was asked."""
        return self._share(self.errors)

    def _share(self, number: int) -> float:
        asked = self.allowed + self.denied
        return number / asked if asked else 0.0


def health_of_service(organization_id: str, server_id: str, now: datetime) -> Health:
    """Return how the organization's resource server used AgentGate, from the index of the log."""
    # In whole seconds, as links to these entries write it.
    log, since = take_snapshot(), (now - DAY).replace(microsecond=0)
    questions = Criteria(organization_id=organization_id, server_id=server_id, events=QUESTIONS)
    recent = replace(questions, since=since)
    allowed, denied = replace(recent, outcome=Outcome.ALLOWED), replace(recent, outcome=Outcome.DENIED)
    last, counts = log.last_and_counts(recent, [allowed, denied, replace(denied, reasons=TOKEN_REASONS)])
    if last is None:
        earlier = next(log.newest_first(questions), None)
        return Health(earlier.timestamp if earlier else None, since)
    return Health(last.timestamp, since, *counts)
