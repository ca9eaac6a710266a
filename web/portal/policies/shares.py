"""How many of all calls a policy would have decided otherwise, in words, with the calls behind each number."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.translation import ngettext

from audit.events import Event
from decisions.whatif.replaying import Change
from web.display.formats import number

SHOWN = {Change.NEWLY_DENIED: "denied", Change.NEWLY_ASKED: "asked", Change.NEWLY_ALLOWED: "allowed"}


class Count(NamedTuple):
    """A number, and the URL of the calls behind it. The URL is empty if they are only counted."""

    number: int
    url: str


def share(change: Change, changed: int, calls: int) -> str:
    """Return how many of the calls changed like this, without a full stop."""
    return _sentence(change, calls) % in_numbers(changed, calls)


def in_numbers(changed: int, calls: int) -> Mapping[str, str]:
    return {"number": number(changed), "total": number(calls)}


def _sentence(change: Change, calls: int) -> str:
    if change is Change.NEWLY_DENIED:
        return ngettext(
            "Would have denied %(number)s of %(total)s call",
            "Would have denied %(number)s of %(total)s calls",
            calls,
        )
    if change is Change.NEWLY_ASKED:
        return ngettext(
            "Would have asked the user about %(number)s of %(total)s call",
            "Would have asked the user about %(number)s of %(total)s calls",
            calls,
        )
    return ngettext(
        "Would have allowed %(number)s of %(total)s call that was denied",
        "Would have allowed %(number)s of %(total)s calls that were denied",
        calls,
    )


def log_url(event: Event, since: datetime, until: datetime | None = None, **more: str | None) -> str:
    """Return the URL of the log with exactly these entries. `until` is exclusive."""
    ends = {"from": since.isoformat(), "to": until.isoformat() if until else None}
    wanted = {"event": event.value, **ends, **more}
    return f"{reverse('web:logs')}?{urlencode({name: text for name, text in wanted.items() if text})}"
