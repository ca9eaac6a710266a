"""Requests that wait for news of the log. The front asks twice a second, for all of its process together
(`server.front.parking`).

What such a request waits for is JSON: `after` is the index of the newest entry that its answer could have had, or -1,
and the rest is for those who watch. So what is committed between the answer and the parking is news.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, NamedTuple

import orjson
from django.db.models import Max

from audit.models import Entry

# The most entries that are looked at at once. Those after them follow half a second later.
MAX_ENTRIES = 20_000


class News(NamedTuple):
    """What entries have in common. `newest` is the index of the newest of them, or None for one of the journal."""

    event: str
    agent_id: str | None
    organization_ids: Collection[str]
    newest: int | None


type About = dict[str, Any]
# Whether what seemed to be news for a request that has looked at all up to an index is: reading that can be costly.
type Confirm = Callable[[About, int, Sequence[News]], bool]


class Watch:
    """The requests of one process that wait for one kind of news. Called by one thread.

    Entries of the log are looked at once, however long a request waits.
    """

    def __init__(
        self,
        concerns: Callable[[About, News], bool],
        more: Callable[[], Iterable[News]] = tuple,
        start_confirming: Callable[[], Confirm] | None = None,
    ) -> None:
        """`more` returns what is not in the log yet. It is asked first, because entries move from there to the log.

        `start_confirming` returns what confirms news in one call.
        """
        self._concerns = concerns
        self._more = more
        self._start_confirming = start_confirming
        self._waiting: dict[str, tuple[About, int]] = {}

    def __call__(self, abouts: Collection[str]) -> set[str]:
        """Return those that must go on waiting."""
        waiting = {one: self._waiting.get(one) or _parse(one) for one in abouts}
        more = list(self._more())
        found, end = news_after(min(after for _, after in waiting.values()))
        confirm = self._start_confirming() if self._start_confirming else None
        self._waiting = {
            one: (about, max(after, end))
            for one, (about, after) in waiting.items()
            if not self._has_news(about, after, [*more, *found], confirm)
        }
        return set(self._waiting)

    def _has_news(self, about: About, after: int, news: Sequence[News], confirm: Confirm | None) -> bool:
        found = (each for each in news if self._is_news(each, about, after))
        if confirm is None:
            return next(found, None) is not None
        concerned = list(found)
        return bool(concerned) and confirm(about, after, concerned)

    def _is_news(self, news: News, about: About, after: int) -> bool:
        return (news.newest is None or news.newest > after) and self._concerns(about, news)


def news_after(index: int) -> tuple[list[News], int]:
    """Return what the entries after this index are about, and the index of the last one, by one query."""
    rows = Entry.objects.filter(leaf_index__gt=index, leaf_index__lte=index + MAX_ENTRIES).order_by()
    grouped = rows.values_list("event", "agent_id", "organizations").annotate(newest=Max("leaf_index"))
    found = [News(event, agent, organizations.split(), newest) for event, agent, organizations, newest in grouped]
    return found, max((each.newest or 0 for each in found), default=index)


def _parse(about: str) -> tuple[About, int]:
    parsed: About = orjson.loads(about)
    return parsed, parsed["after"]
