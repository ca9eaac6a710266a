"""Cursor pagination for pages. Ids sort by time, so the last id shown is the cursor of the next page."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, QueryDict

from audit.readers.search import Listing, UnknownCursor
from core.http import page_after

PAGE_SIZE = 50
MAX_CURSOR_LENGTH = 64
NUMBER = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Page:
    """`cursor` is empty on the first page, `next_cursor` on the last."""

    items: list[Any]
    cursor: str
    next_cursor: str


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a list in memory. `more` is the `?after=` of the next part, or None on the last."""

    items: Sequence[Any]
    start: int
    more: int | None


def read_cursor(request: HttpRequest) -> str:
    """Return the id after which the page starts. Empty for the first page or if the parameter is invalid."""
    cursor = request.GET.get("cursor", "")[:MAX_CURSOR_LENGTH]
    return cursor if cursor.isascii() and cursor.isprintable() else ""


def read_number(parameters: QueryDict, name: str) -> int | None:
    """Return the parameter as a number. None if it is missing or not a whole number of at most nine digits."""
    text = parameters.get(name, "")
    return int(text) if NUMBER.fullmatch(text) else None


def paginate(request: HttpRequest, rows: QuerySet[Any], size: int = PAGE_SIZE) -> Page:
    """Return the page that `?cursor=` asks for. `rows` must be sorted by descending id."""
    cursor = read_cursor(request)
    items, next_cursor = page_after(rows, cursor, size)
    return Page(items, cursor, next_cursor)


def paginate_log(request: HttpRequest, listing: Listing, size: int | None = None) -> Page:
    """Return the page of the log that `?cursor=` asks for, or the first page if the cursor is not an entry."""
    cursor, size = read_cursor(request), size or PAGE_SIZE
    try:
        items, next_cursor = listing.page(cursor, size)
    except UnknownCursor:
        cursor = ""
        items, next_cursor = listing.page(cursor, size)
    return Page(items, cursor, next_cursor)


def part_of(request: HttpRequest, items: Sequence[Any], size: int | None = None) -> Part:
    """Return the part of the items that `?after=` asks for, or the first part if it is not a number."""
    start = min(read_number(request.GET, "after") or 0, len(items))
    end = start + (size or PAGE_SIZE)
    return Part(items[start:end], start, end if end < len(items) else None)
