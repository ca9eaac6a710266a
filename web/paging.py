"""One page of a long list. Ids sort by time, so the last id shown is where the next page starts."""

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest

PAGE_SIZE = 50
MAX_CURSOR_LENGTH = 64


@dataclass(frozen=True, slots=True)
class Page:
    """`next_cursor` is empty on the last page; `cursor` on the first."""

    items: list[Any]
    cursor: str
    next_cursor: str


def paginate(request: HttpRequest, rows: QuerySet[Any]) -> Page:
    """Return the page that `?cursor=` asks for of rows that are sorted by falling id."""
    cursor = request.GET.get("cursor", "")[:MAX_CURSOR_LENGTH]
    if not cursor.isascii() or not cursor.isprintable():
        cursor = ""
    if cursor:
        rows = rows.filter(pk__lt=cursor)
    items = list(rows[: PAGE_SIZE + 1])
    return Page(items[:PAGE_SIZE], cursor, items[PAGE_SIZE - 1].pk if len(items) > PAGE_SIZE else "")
