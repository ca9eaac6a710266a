"""Time zones, by their IANA names."""

from datetime import UTC, datetime, tzinfo
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from django.utils.formats import date_format
from django.utils.translation import gettext as _

# Zones named after places. The others are kept for old programs, except UTC.
AREAS = ("Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific")


@cache
def zone_names() -> tuple[str, ...]:
    """Return the zones to choose from, sorted."""
    return ("UTC", *sorted(name for name in available_timezones() if name.partition("/")[0] in AREAS))


def is_zone(name: str) -> bool:
    """Return whether this is the name of a time zone. Any IANA name counts, even one that is not offered."""
    return name in available_timezones()


def zone_of(name: str) -> tzinfo:
    """Return the zone, or UTC for a blank name and for one that this system does not know."""
    return ZoneInfo(name) if name and is_zone(name) else UTC


def in_words(moment: datetime, name: str) -> str:
    """Return the date and the time to the minute in this zone, and which zone it is."""
    zone = zone_of(name)
    local = moment.astimezone(zone)
    facts = {"day": date_format(local, "j F Y"), "time": date_format(local, "H:i")}
    if zone is UTC:
        return _("%(day)s, %(time)s UTC") % facts
    return _("%(day)s, %(time)s (%(zone)s)") % {**facts, "zone": name.replace("_", " ")}
