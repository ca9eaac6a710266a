"""Parse lists: `{"items": [...], "nextCursor": ...}`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ._decode import reader
from .errors import UnexpectedResponseError
from .models import Page

T = TypeVar("T")


def page_of(model: type[T]) -> Callable[[Any], Page[T]]:
    read_item = reader(model)

    def parse(document: Any) -> Page[T]:
        items = document.get("items") if isinstance(document, dict) else None
        if not isinstance(items, list):
            raise UnexpectedResponseError("expected a list with items")
        cursor = document.get("nextCursor")
        return Page(tuple(read_item(item) for item in items), cursor if isinstance(cursor, str) else None)

    return parse
