"""The layout of the ledger: in each day the agents, and what each of them did in lines. Newest first."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from babel import dates
from django.utils.translation import pgettext

from core import clock
from core.formats import date_of
from core.local import local_locale
from web.user.activity.items import Item

MAX_LINES = 50


@dataclass(frozen=True, slots=True)
class Line:
    """One entry, or several that say the same. The entries of a group can be listed."""

    items: list[Item]

    @property
    def item(self) -> Item:
        """The newest."""
        return self.items[0]

    @property
    def has_targets(self) -> bool:
        """Whether the entries of a group differ in more than their times."""
        return any(item.touched.what for item in self.items)

    @property
    def number(self) -> int:
        return len(self.items)


@dataclass(frozen=True, slots=True)
class Run:
    """What one agent did on a day, or what happened to the account if `agent_id` is None."""

    agent_id: str | None
    agent_name: str
    lines: list[Line]

    @property
    def newest(self) -> Item:
        return self.lines[0].item


@dataclass(frozen=True, slots=True)
class Day:
    date: date
    runs: list[Run]

    @property
    def title(self) -> str:
        """Return "Today", "Yesterday", or the weekday and the date."""
        today = date_of(clock.now())
        if self.date == today:
            return pgettext("day", "Today")
        if self.date == today - timedelta(days=1):
            return pgettext("day", "Yesterday")
        return str(dates.format_date(self.date, "full", local_locale()))


def lay_out(items: Sequence[Item]) -> tuple[list[Day], int]:
    """Return the days of the first items, with at most `MAX_LINES` lines, and how many items these are."""
    days: dict[date, dict[str | None, Run]] = {}
    lines: dict[tuple[object, ...], Line] = {}
    number = 0
    for item in items:
        when = date_of(item.at)
        key = (when, item.agent_id, item.group or item.id)
        if key in lines:
            lines[key].items.append(item)
        elif len(lines) == MAX_LINES:
            break
        else:
            lines[key] = Line([item])
            runs = days.setdefault(when, {})
            runs.setdefault(item.agent_id, Run(item.agent_id, item.content["agentName"], [])).lines.append(lines[key])
        number += 1
    return [Day(when, list(runs.values())) for when, runs in days.items()], number
