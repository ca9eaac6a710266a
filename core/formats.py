"""Times, numbers and amounts of money as the user reads them (`core.local`).

Every time says its zone or has it in its title. Amounts keep every digit: rounding could show less than what is paid.
"""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from babel import dates, numbers
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from core import clock
from core.local import local_locale, local_zone
from core.money import read_amount

SOON = timedelta(seconds=45)
# `static/js/gate.js` counts down to times that are not further away.
COUNTED = timedelta(days=2)


def moment(value: datetime | None) -> SafeString | str:
    """Return `<time>` to the minute in the user's zone, with UTC on hover. "never" for None."""
    return _("never") if value is None else _time(value, exactly(value, "short"), _in_utc(value))


def ago(value: datetime | None) -> SafeString | str:
    """Return `<time>` relative to now, as in "2 hours ago" or "in 3 days". "never" for None.

    The exact time appears on hover, and screen readers read it too. A script counts down to a time that is near.
    """
    if value is None:
        return _("never")
    is_near = timedelta(0) < value - clock.now() <= COUNTED
    return _time_and_exact(value, relative(value), SafeString(" data-counted") if is_near else "")


def left(value: datetime) -> SafeString:
    """Return `<time>` with how long it is until then, as in "60 minutes", and the exact time as `ago` does."""
    return _time_and_exact(value, duration(max(int((value - clock.now()).total_seconds()), 1)))


def day(value: datetime) -> SafeString:
    """Return `<time>` with the date in the user's zone."""
    return _time(value, day_in_words(value), exactly(value))


def day_in_words(value: datetime) -> str:
    """Return the date in the user's zone, where no markup is possible."""
    return dates.format_date(date_of(value), "long", local_locale())


def short_day(value: datetime) -> str:
    """Return the date in the user's zone where there is little room."""
    return dates.format_date(date_of(value), "medium", local_locale())


def date_of(value: datetime) -> date:
    """Return the date in the user's zone, by which lists are grouped."""
    return value.astimezone(local_zone()).date()


def clock_time(value: datetime) -> SafeString:
    """Return `<time>` with only the time of day in the user's zone, for lists that are grouped by day.

    The exact time appears on hover, and screen readers read it too.
    """
    text = dates.format_time(value, "short", tzinfo=local_zone(), locale=local_locale())
    return _time_and_exact(value, text)


def stamp(value: datetime) -> SafeString:
    """Return `<time>` with the day, without its year, and the time with seconds, for dense lists."""
    local, locale = value.astimezone(local_zone()), local_locale()
    text = _("%(day)s, %(time)s") % {
        "day": dates.format_skeleton("MMMd", local, locale=locale),
        "time": dates.format_time(local, "medium", tzinfo=local_zone(), locale=locale),
    }
    return _time(value, text, exactly(value))


def duration(seconds: int) -> str:
    """Return a duration, rounded up, in the largest unit that it has at least two of."""
    size = next((size for size in (86_400, 3600, 60) if seconds >= 2 * size), 1)
    rounded = timedelta(seconds=-(-seconds // size) * size)
    return str(dates.format_timedelta(rounded, threshold=2, locale=local_locale()))


def exactly(value: datetime, style: str = "medium") -> str:
    """Return the date, the time and the zone. The style "medium" has seconds, "short" has none."""
    local, locale = value.astimezone(local_zone()), local_locale()
    text = _("%(day)s, %(time)s %(zone)s") % {
        "day": dates.format_date(local, "medium", locale),
        "time": dates.format_time(local, style, tzinfo=local_zone(), locale=locale),
        "zone": _zone_name(local),
    }
    return str(text)


def relative(value: datetime) -> str:
    """Return how far the time is from now, in one unit."""
    delta = value - clock.now()
    if abs(delta) < SOON:
        return pgettext("time", "just now") if delta <= timedelta(0) else pgettext("time", "in a moment")
    return dates.format_timedelta(delta, "minute", threshold=1, add_direction=True, locale=local_locale())


def money(amount: Any) -> str:
    """Return `{"value", "currency"}` in the user's locale, every digit of it. Anything else as it is."""
    found = read_amount(amount)
    if found is None:
        return str(amount)
    locale = local_locale()
    return numbers.format_currency(Decimal(found.value), found.currency, locale=locale, decimal_quantization=False)


def number(value: float | Decimal) -> str:
    """Return the number in the user's locale."""
    return numbers.format_decimal(value, locale=local_locale(), decimal_quantization=False)


def percent(share: float) -> str:
    """Return a share from 0 to 1 as a percentage in the user's locale, with at most one decimal."""
    return numbers.format_percent(share, "#,##0.#%", locale=local_locale())


def _time_and_exact(value: datetime, text: str, mark: str = "") -> SafeString:
    """Return `<time>` with the text, and the exact time on hover and for screen readers."""
    exact = exactly(value)
    return _time(value, format_html('{}<span class="visually-hidden"> ({})</span>', text, exact), exact, mark)


def _time(value: datetime, text: str, title: str, mark: str = "") -> SafeString:
    """Return `<time>`. `mark` is an attribute for scripts."""
    iso = value.isoformat(timespec="seconds")
    return format_html('<time datetime="{}" title="{}"{}>{}</time>', iso, title, mark, text)


def _in_utc(value: datetime) -> str:
    return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _zone_name(local: datetime) -> str:
    """Return the zone's abbreviation. The names of zones without one are offsets, as in "+03"."""
    name = local.tzname() or ""
    return f"UTC{name}" if name[:1] in "+-" else name
