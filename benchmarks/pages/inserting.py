"""Bulk inserts on both databases, of rows that were made over the last days."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import batched
from typing import Any

from django.db import transaction
from django.db.models import Model

from benchmarks.pages.log import SPAN
from core import clock
from core.ids import lowest_id

CHUNK = 2_000


class Calendar:
    """Says when the rows of a table were made: evenly over the last days, in the order of their numbers."""

    def __init__(self, count: int) -> None:
        self.count, self.now = count, clock.now()

    def moment(self, number: int) -> datetime:
        return self.now - SPAN * ((self.count - number) / self.count)

    def ident(self, prefix: str, number: int) -> str:
        """Return the id of the row with this number, which sorts by its time."""
        return f"{lowest_id(prefix, self.moment(number))}7{number:019x}"


def insert[Row: Model](
    model: type[Row], count: int, make: Callable[[int, datetime], Row], prefix: str = ""
) -> Sequence[str]:
    """Insert `count` rows and return their ids. `make` gets the number of a row and the time when it was made."""
    calendar, ids = Calendar(count), []
    with _given_times(model):
        for numbers in batched(range(count), CHUNK):
            rows = [make(number, calendar.moment(number)) for number in numbers]
            for number, row in zip(numbers, rows, strict=True):
                row.pk = calendar.ident(prefix, number) if prefix else row.pk
            ids += [row.pk for row in insert_all(model, rows)]
    return ids


def insert_all[Row: Model](model: type[Row], rows: Iterable[Row]) -> list[Row]:
    with transaction.atomic():
        found: list[Row] = model._default_manager.bulk_create(list(rows), batch_size=CHUNK)
    return found


@contextmanager
def _given_times(model: type[Model]) -> Iterator[None]:
    """Let rows keep the times that they were given, which the fields would replace by the present."""
    fields: list[Any] = [field for field in model._meta.concrete_fields if getattr(field, "auto_now_add", False)]
    for field in fields:
        field.auto_now_add = False
    try:
        yield
    finally:
        for field in fields:
            field.auto_now_add = True
