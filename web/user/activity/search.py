"""Pages of the user's ledger, with filters and a search in the texts of entries."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.http import HttpRequest

from agents.models import Agent
from audit.readers.search import Listing
from audit.selectors import Filters, entries_for_user
from core.text import plain_text
from web.requests.paging import paginate_log
from web.user.activity.days import Day, lay_out
from web.user.activity.items import Item, read_items

# A page reads more entries than it has lines, because entries that say the same share a line.
READ = 200
# The log has no index of texts, so a search reads this many entries, and the user decides whether to continue.
SEARCHED = 500


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to show: the filters of the log, lowercase words that must all occur, and events that are hidden."""

    filters: Filters
    words: Sequence[str] = ()
    hidden: frozenset[str] = frozenset()

    def listing(self, user_id: str) -> Listing:
        return entries_for_user(user_id, self.filters, hidden=self.hidden)

    def accepts(self, item: Item) -> bool:
        return item.has(self.words)


@dataclass(frozen=True, slots=True)
class Sheet:
    """A page of the ledger. `searched_to` is how far an unfinished search got, else None."""

    days: list[Day]
    cursor: str
    next_cursor: str
    searched_to: datetime | None


def read_sheet(request: HttpRequest, user_id: str, wanted: Wanted, agents: Mapping[str, Agent]) -> Sheet:
    """Return the page of the user's ledger that `?cursor=` asks for."""
    listing = wanted.listing(user_id)
    page = paginate_log(request, listing, SEARCHED if wanted.words else READ)
    names = {agent.id: plain_text(agent.name) for agent in agents.values()}
    read = read_items(page.items, user_id, agent_names=names, with_services=bool(wanted.words))
    items = [item for item in read if wanted.accepts(item)]
    days, number = lay_out(items, agents, is_folded=bool(wanted.hidden))
    if number < len(items):
        return Sheet(days, page.cursor, items[number - 1].id, None)
    goes_on = bool(wanted.words and page.next_cursor)
    return Sheet(days, page.cursor, page.next_cursor, page.items[-1].timestamp if goes_on else None)


def read_all(user_id: str, wanted: Wanted) -> Iterator[list[Item]]:
    """Yield all matching entries, newest first, in batches."""
    for entries in wanted.listing(user_id).pages(READ):
        yield [item for item in read_items(entries, user_id) if wanted.accepts(item)]
