"""The newest rows of several models that belong to one row, how many there are, and other numbers: by one query."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import (
    Case,
    CharField,
    DateTimeField,
    Expression,
    F,
    Func,
    IntegerField,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import Cast, Coalesce

from core.admin_lists import MAX_COUNT
from core.administration import list_url, row_url
from core.text import plain_text
from web.display.formats import number as localized

SHOWN = 5
# The stop of an administrator is a second fact beside the status that the developer chooses.
AGENT_STATUS = Case(
    When(deleted_at__isnull=False, then=Value("deleted")),
    When(stopped_at__isnull=False, then=Value("stopped")),
    default=F("status"),
)
NEVER = Value(None, output_field=DateTimeField())
NO_TEXT = Value("", output_field=CharField())


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """Rows of a model to join. `title`, `other` and `status` are lookups or expressions of texts.

    `at` is the lookup of the time to show. It is empty for rows without one. `filters` are the same for the list of all
    of them; a model without a list has none. `other_label` says what `other` is.
    """

    model: Any
    heading: Any
    where: Q
    filters: Mapping[str, str] = field(default_factory=dict)
    title: str
    other: str = ""
    other_label: Any = ""
    status: Any = ""
    at: str = "created_at"


class Figure(NamedTuple):
    """A number about a row. `number` is an expression until it is read, and `url` the list of what is counted."""

    label: Any
    number: Any
    url: str

    @property
    def words(self) -> str:
        return in_words(self.number)


class Row(NamedTuple):
    url: str
    title: str
    other: str
    status: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Section:
    """The newest rows, and how many there are in words."""

    joined: Joined
    rows: Sequence[Row]
    number: str
    all_url: str


class Bounded(Func):
    """Counts the rows of a subquery, which is limited."""

    template = "(SELECT COUNT(*) FROM %(expressions)s counted)"
    output_field = IntegerField()

    @classmethod
    def of(cls, rows: QuerySet[Any, Any]) -> "Bounded":
        return cls(Subquery(rows.order_by().values_list(Value(1))[: MAX_COUNT + 1]))


def in_words(number: int) -> str:
    """Return the number, or that there are more than lists count."""
    return f"{localized(min(number, MAX_COUNT))}{'+' if number > MAX_COUNT else ''}"


def read_joined(
    wanted: Sequence[Joined], figures: Sequence[Figure] = (), about: QuerySet[Any] | None = None
) -> tuple[list[Section], list[Figure]]:
    """Return the newest rows of each, and the figures, both in order. `about` selects the row that they are about."""
    queries = [_query(number, one) for number, one in enumerate(wanted)]
    queries += [_number(about, place, one) for place, one in enumerate(figures, len(wanted))]
    found = list(queries[0].union(*queries[1:], all=True).order_by()) if queries else []
    parts = [[row for row in found if row[0] == number] for number in range(len(queries))]
    return (
        [_section(one, part) for one, part in zip(wanted, parts, strict=False)],
        [one._replace(number=row[-1]) for one, (row,) in zip(figures, parts[len(wanted) :], strict=True)],
    )


def _number(about: Any, place: int, figure: Figure) -> Any:
    number: Expression = Coalesce(figure.number, 0)
    return about.order_by().values_list(Value(place), *[NO_TEXT] * 4, NEVER, number)


def _query(number: int, one: Joined) -> Any:
    """Return the newest rows. They are limited in a subquery, because SQLite limits no part of a union."""
    rows = one.model._default_manager
    newest = rows.filter(one.where).order_by("-pk").values("pk")[:SHOWN]
    columns = [_text(name) for name in ("pk", one.title, one.other, one.status)]
    at = F(one.at) if one.at else NEVER
    # An order would be an error in a part of a union.
    return (
        rows.filter(pk__in=newest)
        .order_by()
        .values_list(Value(number), *columns, at, Bounded.of(rows.filter(one.where)))
    )


def _text(name: Any) -> Any:
    if not name:
        return NO_TEXT
    return Cast(F(name) if isinstance(name, str) else name, CharField())


def _place(row: tuple[Any, ...]) -> tuple[int, str]:
    """Return the place of a row by its key, which the query returns as text even if it is a number."""
    pk: str = row[1]
    return (int(pk), "") if pk.isdecimal() else (0, pk)


def _section(one: Joined, found: list[tuple[Any, ...]]) -> Section:
    rows = [
        Row(
            row_url(one.model, pk),
            plain_text(title),
            plain_text(other),
            status or "",
            at,
        )
        for _place, pk, title, other, status, at, _total in sorted(found, key=_place, reverse=True)
    ]
    total = found[0][-1] if found else 0
    return Section(one, rows, in_words(total), list_url(one.model, **one.filters) if one.filters else "")
