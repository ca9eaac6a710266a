"""The ledger's layout: days, runs of agents within a day, and lines within a run. Newest first."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import groupby

from babel import dates
from django.utils.translation import pgettext

from core import clock
from core.formats import date_of
from core.local import local_locale
from web.user.activity.items import Item

MAX_LINES = 50
# An agent's run ends when the agent is idle for longer than this.
BREAK = timedelta(minutes=15)
# The weekday in a Unicode CLDR pattern, outside quoted text.
WEEKDAY = re.compile(r"E+(?=(?:[^']*'[^']*')*[^']*$)")


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


@dataclass(slots=True)
class Run:
    """What one agent did without a break, or what happened to the account if `agent_id` is None.

    Agents that work at the same time each have their own run, so that they do not alternate line by line.
    """

    day: date
    agent_id: str | None
    agent_name: str
    lines: list[Line] = field(default_factory=list)
    oldest: datetime | None = None
    groups: dict[tuple[object, ...], Line] = field(default_factory=dict)

    @property
    def newest(self) -> Item:
        return self.lines[0].item

    def goes_on_to(self, item: Item) -> bool:
        """Return whether the agent took no break since `item`, which is older than the run's other items."""
        return self.oldest is not None and self.oldest - item.at <= BREAK

    def find_line(self, item: Item) -> Line | None:
        """Return the line that says the same, or None."""
        return self.groups.get(item.group) if item.group else None

    def add_line(self, item: Item) -> None:
        line = Line([item])
        self.lines.append(line)
        if item.group:
            self.groups[item.group] = line


@dataclass(frozen=True, slots=True)
class Day:
    date: date
    runs: list[Run]

    @property
    def title(self) -> str:
        """Return "Today", "Yesterday", or the weekday and the date, with the year if it is not the current one."""
        today = date_of(clock.now())
        if self.date == today:
            return pgettext("day", "Today")
        if self.date == today - timedelta(days=1):
            return pgettext("day", "Yesterday")
        return _in_words(self.date, has_year=self.date.year != today.year)


def _in_words(day: date, *, has_year: bool) -> str:
    """Return the full name of the weekday, the day and the month."""
    locale = local_locale()
    short = None if has_year else locale.datetime_skeletons.get("MMMMEd")
    if short is None:
        return str(dates.format_date(day, "full", locale))
    return str(dates.format_date(day, WEEKDAY.sub("EEEE", short.pattern), locale))


def lay_out(items: Sequence[Item]) -> tuple[list[Day], int]:
    """Return the days of the first items, with at most `MAX_LINES` lines, and the number of these items."""
    sheet, number = _Sheet(MAX_LINES), 0
    for item in items:
        if not sheet.write(date_of(item.at), item):
            break
        number += 1
    return [Day(when, list(runs)) for when, runs in groupby(sheet.runs, key=lambda run: run.day)], number


class _Sheet:
    """Lines as they are added, starting with the newest."""

    def __init__(self, max_lines: int) -> None:
        self.runs: list[Run] = []
        self._left = max_lines
        self._latest: dict[str | None, Run] = {}

    def write(self, when: date, item: Item) -> bool:
        """Add the item to the line in its run that says the same, or to a new line. Return False if none is left."""
        run = self._find_run(when, item)
        line = run.find_line(item) if run else None
        if line is None and not self._left:
            return False
        run = run or self._begin(when, item)
        run.oldest = item.at
        if line is not None:
            line.items.append(item)
        else:
            run.add_line(item)
            self._left -= 1
        return True

    def _find_run(self, when: date, item: Item) -> Run | None:
        """Return the run that the item belongs to: the newest one, or the agent's latest if there was no break."""
        run = self._latest.get(item.agent_id)
        if run is None or run.day != when:
            return None
        is_newest = run is self.runs[-1]
        return run if is_newest or run.goes_on_to(item) else None

    def _begin(self, when: date, item: Item) -> Run:
        run = self._latest[item.agent_id] = Run(when, item.agent_id, item.content["agentName"])
        self.runs.append(run)
        return run
