"""Times as in RFC 3339, always in UTC, as microseconds since 1970. Integers compare exactly."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta, timezone

from .errors import Broken, quote

SECOND = 1_000_000  # microseconds

_SHAPE = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?Z", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)


def parse_time(value: object, what: str) -> int:
    """Return the microseconds since 1970. Raises `Broken`."""
    found = _SHAPE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise Broken(f"{what} is not a time in UTC: {quote(value)}")
    year, month, day, hour, minute, second, fraction = found.groups()
    microsecond = int((fraction or "").ljust(6, "0"))
    try:
        calendar_day = date(int(year), int(month), int(day))
        clock = time(int(hour), int(minute), int(second), microsecond, timezone.utc)
    except ValueError:
        raise Broken(f"{what} is not a time: {quote(value)}") from None
    return (datetime.combine(calendar_day, clock) - _EPOCH) // _MICROSECOND


def write_time(microseconds: int) -> str:
    """Return a time as in RFC 3339."""
    return (_EPOCH + timedelta(microseconds=microseconds)).isoformat().replace("+00:00", "Z")


def format_time(microseconds: int) -> str:
    """Return a time to the second, to be read by people."""
    return (_EPOCH + timedelta(microseconds=microseconds)).strftime("%Y-%m-%d %H:%M:%S UTC")
