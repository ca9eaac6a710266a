"""The periods that the analytics can show, and the names of their steps."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from babel import dates
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from core.formats import exactly
from core.local import local_locale, local_zone
from insights.windows import DAY, HOUR, Window, floor_day, floor_hour


@dataclass(frozen=True, slots=True)
class Period:
    """A period in the URL. It ends with the current, unfinished hour. Its steps begin at full hours of UTC."""

    name: str
    label: Any
    length: timedelta
    step: timedelta

    def window(self, now: datetime) -> Window:
        """Return the period that ends now. Its last step may not be over."""
        end = floor_hour(now.astimezone(UTC)) + HOUR
        return Window(_end_of_step(end - HOUR, self.step) - self.length, end, self.step)


PERIODS = (
    Period("24h", gettext_lazy("24 hours"), DAY, HOUR),
    Period("7d", gettext_lazy("7 days"), 7 * DAY, 6 * HOUR),
    Period("30d", gettext_lazy("30 days"), 30 * DAY, DAY),
    Period("90d", gettext_lazy("90 days"), 90 * DAY, 3 * DAY),
)
DAY_ALONE, DEFAULT = PERIODS[:2]


def find_period(name: str) -> Period | None:
    return next((period for period in PERIODS if period.name == name), None)


def step_name(start: datetime, step: timedelta) -> str:
    """Return the long name of a step: when it begins or, if it consists of UTC days, which days."""
    if step < DAY:
        return exactly(start, "short")
    locale, last = local_locale(), start + step - DAY
    if step == DAY:
        return _("%(day)s UTC") % {"day": dates.format_date(start, "medium", locale)}
    return _("%(day)s UTC") % {"day": dates.format_interval(start.date(), last.date(), "yMMMd", locale=locale)}


def short_step_name(start: datetime, step: timedelta) -> str:
    """Return the short name of a step, for the axis of a chart."""
    if step >= DAY:
        return str(dates.format_skeleton("MMMd", start, locale=local_locale()))
    local = start.astimezone(local_zone())
    if step == HOUR:
        return str(dates.format_time(local, "short", tzinfo=local_zone(), locale=local_locale()))
    return str(dates.format_skeleton("EHm", local, locale=local_locale()))


def _end_of_step(hour: datetime, step: timedelta) -> datetime:
    """Return the end of the step that contains the hour. Steps of several days end with the current day."""
    day = floor_day(hour)
    return day + DAY if step >= DAY else day + (((hour - day) // step) + 1) * step
