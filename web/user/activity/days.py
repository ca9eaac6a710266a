"""The layout of the ledger: in each day a line for each act, or for several that say the same. Newest first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from babel import dates
from django.utils.safestring import SafeString
from django.utils.translation import pgettext

from agents.models import Agent
from audit.events import Event
from core import clock
from core.formats import date_of
from core.local import local_locale
from web.user.activity.items import DECISIONS, Item
from web.wording.sentences import decisions_in_html

MAX_LINES = 50
# Entries that follow from another one of the same request, which says more. They are read with it.
FOLDED = {Event.CONSENT_REPLACED: Event.CONSENT_APPROVED, Event.USER_SIGNED_IN: Event.USER_DEVICE_ADDED}


@dataclass(frozen=True, slots=True)
class Line:
    """One entry, or several that say the same, of an agent if that is known."""

    items: list[Item]
    agent: Agent | None

    @property
    def item(self) -> Item:
        """The newest."""
        return self.items[0]

    @property
    def is_decided(self) -> bool:
        """Whether it is about requests for the user's approval."""
        return self.item.event in DECISIONS

    @property
    def has_parts(self) -> bool:
        """Whether the entries of a group differ in more than their times."""
        return self.is_decided or any(item.touched.what for item in self.items)

    @property
    def title(self) -> str | SafeString:
        if self.number == 1:
            return self.item.html.title
        if self.is_decided:
            return decisions_in_html(self.item.event, self.number, self.item.agent_names)
        return self.item.what_of_group if self.item.is_call else self.item.html.title

    @property
    def number(self) -> int:
        return len(self.items)


@dataclass(frozen=True, slots=True)
class Day:
    date: date
    lines: list[Line]

    @property
    def title(self) -> str:
        """Return "Today", "Yesterday", or the weekday and the date."""
        today = date_of(clock.now())
        if self.date == today:
            return pgettext("day", "Today")
        if self.date == today - timedelta(days=1):
            return pgettext("day", "Yesterday")
        return str(dates.format_date(self.date, "full", local_locale()))


def lay_out(items: Sequence[Item], agents: Mapping[str, Agent], *, is_folded: bool = True) -> tuple[list[Day], int]:
    """Return the days of the first items, with at most `MAX_LINES` lines, and how many items these are.

    Unless `is_folded`, entries that another one of the same request implies have lines of their own.
    """
    days: dict[date, list[Line]] = {}
    lines: dict[tuple[object, ...], Line] = {}
    told = {(item.event, item.request_id) for item in items if is_folded and item.request_id}
    number = 0
    for item in items:
        if (FOLDED.get(item.event), item.request_id) in told:  # type: ignore[call-overload]
            number += 1
            continue
        when = date_of(item.at)
        key = (when, item.agent_id, item.group or item.id)
        if key in lines:
            lines[key].items.append(item)
        elif len(lines) == MAX_LINES:
            break
        else:
            lines[key] = Line([item], agents.get(item.agent_id or ""))
            days.setdefault(when, []).append(lines[key])
        number += 1
    return [Day(when, found) for when, found in days.items()], number
