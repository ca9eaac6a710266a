"""Whether agents are denied more often than usual, from the log. A question to the user is not a denial here."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from administration.links import list_url
from audit.events import Event, Outcome
from audit.models import Entry
from audit.readers.criteria import Criteria
from audit.readers.snapshot import Snapshot
from core.formats import number
from decisions.requests import Reason

HOUR, HOURS_BEFORE = timedelta(hours=1), 24
# Fewer denials in an hour are no spike.
MIN_SPIKE, SPIKE_FACTOR = 20, 3
REASONS = sorted({*Reason} - {Reason.APPROVAL_REQUIRED})
ALLOWED: dict[str, Any] = {"event": Event.TOKEN_VERIFY, "outcome": Outcome.ALLOWED}
DENIED: dict[str, Any] = {"event": Event.TOKEN_VERIFY, "outcome": Outcome.DENIED, "reasons": REASONS}
# The same in the URL of the list of entries.
SHOWN_DENIED = {
    "event__exact": Event.TOKEN_VERIFY.value,
    "outcome__exact": Outcome.DENIED.value,
    "reasons": ",".join(REASONS),
}


class Share(NamedTuple):
    """How many requests were denied of those that were decided: allowed or denied. Questions to users are neither."""

    denied: int
    allowed: int

    @property
    def decided(self) -> int:
        return self.denied + self.allowed

    @property
    def rate(self) -> float:
        """Return the share that was denied, from 0 to 1. It is 0 without any request."""
        return self.denied / self.decided if self.decided else 0.0

    @property
    def percent(self) -> str:
        return f"{number(round(100 * self.rate, 1))}%"


class Denials(NamedTuple):
    """The requests of the last hour, with the list of those denied, and those of the day before it."""

    last_hour: Share
    usual: Share
    url: str

    @property
    def is_spike(self) -> bool:
        """Return whether at least `MIN_SPIKE` were denied, and far more of all requests than usual."""
        return self._is_unusual and self.last_hour.denied >= MIN_SPIKE

    @property
    def are_few(self) -> bool:
        """Return whether more were denied than usual, but too few to call that a spike."""
        return self._is_unusual and 0 < self.last_hour.denied < MIN_SPIKE

    @property
    def _is_unusual(self) -> bool:
        """Return whether far more of all requests were denied than usual.

        The share of denials must be `SPIKE_FACTOR` times the usual one, or the share of allowed requests at most half
        of the usual one: a share of denials above a third cannot triple.
        """
        now, usual = self.last_hour, self.usual
        is_multiple = now.denied * usual.decided >= SPIKE_FACTOR * usual.denied * now.decided
        is_halved = 2 * now.allowed * usual.decided <= usual.allowed * now.decided
        return is_multiple or is_halved


def count_denials(log: Snapshot, now: datetime) -> Denials:
    """Return how often verify denied in the hour before `now`, and in the day before that."""
    hour: dict[str, Any] = {"since": now - HOUR}
    before: dict[str, Any] = {"since": now - (HOURS_BEFORE + 1) * HOUR, "until": now - HOUR}
    url = list_url(Entry, **SHOWN_DENIED, **{"from": hour["since"].isoformat()})
    return Denials(_share(log, hour), _share(log, before), url)


def _share(log: Snapshot, times: dict[str, Any]) -> Share:
    return Share(*(log.count(Criteria(**wanted, **times)) for wanted in (DENIED, ALLOWED)))
