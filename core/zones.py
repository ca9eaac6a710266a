"""Time zones, by their IANA names."""

from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

# Zones named after places. The others are kept for old programs, except UTC.
AREAS = ("Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific")


@lru_cache(maxsize=1000)
def find_zone(name: str) -> ZoneInfo | None:
    """Return the zone with this name, or None."""
    return ZoneInfo(name) if name in _all_names() else None


@lru_cache(maxsize=1)
def zone_names() -> tuple[str, ...]:
    """Return the zones to choose from, sorted."""
    return ("UTC", *sorted(name for name in _all_names() if name.partition("/")[0] in AREAS))


def match_zone(text: str) -> str | None:
    """Return the zone that a user means, by its name or its city in any case, or None unless exactly one matches."""
    wanted = "_".join(text.split()).casefold()
    exact = [name for name in _all_names() if name.casefold() == wanted]
    cities = [name for name in zone_names() if name.rpartition("/")[2].casefold() == wanted]
    found = exact or cities
    return found[0] if len(found) == 1 else None


@lru_cache(maxsize=1)
def _all_names() -> frozenset[str]:
    return frozenset(available_timezones())
