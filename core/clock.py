"""The current time: aware UTC in Python, RFC 3339 on the wire."""

from datetime import UTC, datetime

from django.utils import timezone


def now() -> datetime:
    """Return the current time, aware and in UTC. Services read it once and pass it on."""
    return timezone.now()


def rfc3339(moment: datetime) -> str:
    """Return `moment` as RFC 3339 in UTC with `Z` and microseconds."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
