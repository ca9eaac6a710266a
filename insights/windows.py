"""Times that roll-ups count: whole hours and days of UTC, and windows of them."""

from dataclasses import dataclass
from datetime import datetime, timedelta

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Window:
    """A time from `since` until `until`, exclusive, in steps of equal length. All three are multiples of an hour."""

    since: datetime
    until: datetime
    step: timedelta = HOUR

    def starts(self) -> list[datetime]:
        """Return the beginnings of the steps. The last step may be longer than what is left of the window."""
        number = -(-(self.until - self.since) // self.step)
        return [self.since + place * self.step for place in range(number)]


def last_24_hours(now: datetime) -> Window:
    """Return the hour that contains `now`, so it may not be over, and the 23 before. `now` must be in UTC."""
    until = floor_hour(now) + HOUR
    return Window(until - DAY, until)


def floor_hour(moment: datetime) -> datetime:
    """Return the beginning of the hour."""
    return moment.replace(minute=0, second=0, microsecond=0)


def floor_day(moment: datetime) -> datetime:
    """Return the beginning of the day in UTC. `moment` must be in UTC."""
    return floor_hour(moment).replace(hour=0)
