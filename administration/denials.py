"""Whether agents are denied more often than usual, from the log. A question to the user is not a denial here."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, NamedTuple

from django.http import HttpRequest

from administration.log_lines import Party, find_parties
from audit.events import Event, Outcome
from audit.models import Entry
from audit.readers.criteria import Criteria
from audit.readers.finding import entries_below
from audit.readers.snapshot import Snapshot
from core.administration import list_url
from decisions.requests import Reason

HOUR, HOURS_BEFORE = timedelta(hours=1), 24
# The newest so many denials are looked at, to name the agents.
SAMPLE = 500
NAMED = 5
# An hour stands out if it has so many denials, and so many times those of a usual hour.
FEWEST, FACTOR = 20, 3
REASONS = sorted({*Reason} - {Reason.APPROVAL_REQUIRED})
DENIED: dict[str, Any] = {"event": Event.TOKEN_VERIFY, "outcome": Outcome.DENIED, "reasons": REASONS}
# The same in the URL of the list of entries.
SHOWN_DENIED = {
    "event__exact": Event.TOKEN_VERIFY.value,
    "outcome__exact": Outcome.DENIED.value,
    "reasons": ",".join(REASONS),
}


class Denied(NamedTuple):
    """An agent, how many of the denials in the sample are its own, and the list of its denials of the last hour."""

    agent: Party
    number: int
    url: str


@dataclass(frozen=True, slots=True)
class Denials:
    """The denials of the last hour, with the list of them, and in a usual hour of the day before."""

    last_hour: int
    usual: float
    url: str

    @property
    def is_spike(self) -> bool:
        return self.last_hour >= FEWEST and self.last_hour >= FACTOR * self.usual


def count_denials(log: Snapshot, now: datetime, sample: int = SAMPLE) -> Denials:
    """Return how often verify denied in the hour before `now`, and earlier.

    `sample` is how many of that hour were looked at. Fewer than `SAMPLE` are all, and are not counted again.
    """
    day = Criteria(**DENIED, since=now - (HOURS_BEFORE + 1) * HOUR, until=now - HOUR)
    last_hour = sample if sample < SAMPLE else log.count(Criteria(**DENIED, since=now - HOUR))
    return Denials(last_hour, log.count(day) / HOURS_BEFORE, _list_url(now))


def most_denied(request: HttpRequest, log: Snapshot, now: datetime) -> tuple[list[Denied], int]:
    """Return the agents that verify denied most in the hour before `now`, and how many denials were looked at.

    They have names if the administrator may read agents.
    """
    criteria = Criteria(**DENIED, since=now - HOUR)
    waiting = [entry.agent_id for _id, entry in log.waiting if criteria.matches(entry)]
    logged = islice(entries_below(log.size, criteria, SAMPLE, log.indexed), SAMPLE)
    sample = [*waiting, *(entry.agent_id for entry in logged)][:SAMPLE]
    return _most_denied(request, sample, now), len(sample)


def _most_denied(request: HttpRequest, sample: Sequence[str | None], now: datetime) -> list[Denied]:
    counts = Counter(one for one in sample if one).most_common(NAMED)
    parties = find_parties(request, [pk for pk, _ in counts])
    return [Denied(parties.get(pk) or Party(pk, "", is_id=True), number, _list_url(now, q=pk)) for pk, number in counts]


def _list_url(now: datetime, **search: str) -> str:
    """Return the URL of the denials of the hour before `now`."""
    return list_url(Entry, **search, **SHOWN_DENIED, **{"from": (now - HOUR).isoformat()})
