import re
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property, lru_cache
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from django.utils.dates import WEEKDAYS
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from core.local import listed
from core.text import nearest
from core.validation import did_you_mean, invalid_value
from policies.rules.base import Denial, Rule, RuleContext, register
from policies.rules.fields import Listed
from policies.rules.words import Titles

SUNDAY = 7
MIDNIGHT = 0  # in minutes, as `TimeWindow.end`


@lru_cache(maxsize=1)
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _require_time_zone(name: str) -> str:
    if name not in _time_zones():
        message = gettext_noop("Must be an IANA time zone such as Europe/Berlin or UTC.")
        raise invalid_value(did_you_mean(message, _nearest_time_zone(name)))
    return name


def _nearest_time_zone(name: str) -> str | None:
    """Return the zone that is written like this, or whose city is, or that is similar."""
    wanted = name.casefold().strip().replace(" ", "_")
    # Abbreviations such as EST say nothing about what another one may mean.
    written = {zone.casefold(): zone for zone in sorted(_time_zones(), reverse=True) if "/" in zone or zone == "UTC"}
    cities = {zone.rpartition("/")[2]: name for zone, name in written.items()}
    return written.get(wanted) or cities.get(wanted) or written.get(nearest(wanted, written) or "")


def _require_clock(text: str) -> str:
    if not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", text):
        raise invalid_value(gettext_noop("Must be a time as HH:MM, from 00:00 to 23:59."))
    return text


Clock = Annotated[str, AfterValidator(_require_clock), Field(json_schema_extra={"x-unit": "clock"})]
Day = Annotated[int, Field(ge=0, le=SUNDAY)]


@register("time_window", title=gettext_noop("Time window"))
class TimeWindow(Rule):
    """Allow requests only on these days between these times, in local time of the time zone.

    A window that starts after its end crosses midnight and belongs to the day on which it starts.
    """

    allowed_days: Annotated[
        Listed[Day],
        Field(
            min_length=1,
            title=gettext_noop("Days"),
            description=gettext_noop("1 is Monday and 7 is Sunday. 0 also means Sunday."),
            json_schema_extra={"x-unit": "weekdays", "minItems": 1},
        ),
    ]
    start_time_utc: Annotated[Clock, Field(title=gettext_noop("From"))]
    end_time_utc: Annotated[
        Clock,
        Field(
            title=gettext_noop("Until"),
            description=gettext_noop("If it is before the start, the window ends the next day."),
        ),
    ]
    timezone: Annotated[
        str,
        AfterValidator(_require_time_zone),
        Field(
            title=gettext_noop("Time zone"),
            description=gettext_noop("For example UTC or Europe/Berlin."),
            json_schema_extra={"x-unit": "time zone"},
        ),
    ] = "UTC"

    @field_validator("end_time_utc")
    @classmethod
    def require_length(cls, end: str, info: ValidationInfo) -> str:
        if end == info.data.get("start_time_utc"):
            raise invalid_value(gettext_noop("Must differ from the start time."))
        return end

    @property
    def depends_on_agent(self) -> bool:
        return False

    def check(self, ctx: RuleContext) -> Denial | None:
        if self._is_open(ctx.now):
            return None
        return Denial("The request came outside the allowed hours.", self._seconds_until_open(ctx.now))

    def in_words(self, titles: Titles | None = None) -> str:
        words = {
            "days": _days_in_words(sorted(self.days)),
            "start": self.start_time_utc,
            "end": self._end_in_words(),
            "timezone": self.timezone if titles is None else _zone_in_words(self.timezone),
        }
        if len(self.days) == len(WEEKDAYS):
            return _("Only from %(start)s to %(end)s (%(timezone)s)") % words
        return _("Only %(days)s, from %(start)s to %(end)s (%(timezone)s)") % words

    @cached_property
    def days(self) -> frozenset[int]:
        """The days as in ISO 8601: 1 is Monday, 7 is Sunday."""
        return frozenset(day or SUNDAY for day in self.allowed_days)

    @cached_property
    def start(self) -> int:
        """The start in minutes after midnight."""
        return _minutes(time.fromisoformat(self.start_time_utc))

    @cached_property
    def end(self) -> int:
        """The end in minutes after midnight."""
        return _minutes(time.fromisoformat(self.end_time_utc))

    @cached_property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    def _is_open(self, moment: datetime) -> bool:
        local = moment.astimezone(self.zone)
        minute, today = _minutes(local), local.isoweekday()
        if self.start < self.end:
            return today in self.days and self.start <= minute < self.end
        yesterday = today - 1 or SUNDAY
        return (today in self.days and minute >= self.start) or (yesterday in self.days and minute < self.end)

    def _seconds_until_open(self, now: datetime) -> int | None:
        """Return the seconds until it opens, rounded up, or None if it does not open within eight days."""
        today = now.astimezone(self.zone).date()
        for day in (today + timedelta(days=days) for days in range(9)):
            waits = [start - now for start in self._starts(day) if start > now]
            if waits:
                return -(-min(waits) // timedelta(seconds=1))
        return None

    def _starts(self, day: date) -> list[datetime]:
        """Return when it opens on this day. A change of the clocks can repeat the start or skip it.

        A start that is skipped is the first moment after the change.
        """
        if day.isoweekday() not in self.days:
            return []
        start = datetime.combine(day, time(*divmod(self.start, 60)), self.zone)
        first, second = (start.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
        # Of a time that is skipped, the first reading is the later one (PEP 495).
        moments = [first, second] if first <= second else [_change_between(second, first, self.zone)]
        return [moment for moment in moments if self._is_open(moment)]

    def _end_in_words(self) -> str:
        if self.end == MIDNIGHT:
            return _("midnight")
        if self.start < self.end:
            return self.end_time_utc
        return _("%(time)s the next day") % {"time": self.end_time_utc}


def _change_between(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """Return the first second at which the clocks have changed."""
    offset = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) // 2
        is_before = middle.astimezone(zone).utcoffset() == offset
        before, after = (middle, after) if is_before else (before, middle)
    return after.replace(microsecond=0)


def _minutes(clock: time | datetime) -> int:
    return clock.hour * 60 + clock.minute


def _days_in_words(days: list[int]) -> str:
    """Return "Monday to Friday" for three or more days in a row, otherwise "on" and each day."""
    names = [str(WEEKDAYS[day - 1]) for day in days]
    if len(days) > 2 and days[-1] - days[0] == len(days) - 1:
        return _("%(first)s to %(last)s") % {"first": names[0], "last": names[-1]}
    return _("on %(days)s") % {"days": listed(names)}


def _zone_in_words(zone: str) -> str:
    """Return "Berlin time" for a zone of a place."""
    _area, has_place, place = zone.rpartition("/")
    return _("%(place)s time") % {"place": place.replace("_", " ")} if has_place else zone
