"""Whether agents are denied more often than usual, from the log. A question to the user is not a denial here."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from administration.links import list_url
from audit.events import Event, Outcome
from audit.models import Entry
from audit.readers.criteria import Criteria
from audit.readers.snapshot import Snapshot
from decisions.requests import Reason

HOUR, HOURS_BEFORE = timedelta(hours=1), 24
# The denials of an hour are a spike if there are at least `MIN_SPIKE`, and `SPIKE_FACTOR` times those of a usual hour.
MIN_SPIKE, SPIKE_FACTOR = 20, 3
REASONS = sorted({*Reason} - {Reason.APPROVAL_REQUIRED})
DENIED: dict[str, Any] = {"event": Event.TOKEN_VERIFY, "outcome": Outcome.DENIED, "reasons": REASONS}
# The same in the URL of the list of entries.
SHOWN_DENIED = {
    "event__exact": Event.TOKEN_VERIFY.value,
    "outcome__exact": Outcome.DENIED.value,
    "reasons": ",".join(REASONS),
}


class Denials(NamedTuple):
    """The denials of the last hour, with the list of them, and in a usual hour of the day before."""

    last_hour: int
    usual: float
    url: str

    @property
    def is_spike(self) -> bool:
        return self.last_hour >= MIN_SPIKE and self.last_hour >= SPIKE_FACTOR * self.usual


def count_denials(log: Snapshot, now: datetime) -> Denials:
    """Return how often verify denied in the hour before `now`, and earlier."""
    last_hour = log.count(Criteria(**DENIED, since=now - HOUR))
    day = log.count(Criteria(**DENIED, since=now - (HOURS_BEFORE + 1) * HOUR, until=now - HOUR))
    url = list_url(Entry, **SHOWN_DENIED, **{"from": (now - HOUR).isoformat()})
    return Denials(last_hour, day / HOURS_BEFORE, url)
