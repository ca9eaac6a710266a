"""The newest rows of several models that belong to one row, all read by one query."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import Case, CharField, DateTimeField, F, Q, Value, When
from django.db.models.functions import Cast

from core.administration import list_url, row_url
from core.text import plain_text

SHOWN = 5
# The stop of an administrator is a second fact beside the status that the developer chooses.
AGENT_STATUS = Case(
    When(deleted_at__isnull=False, then=Value("deleted")),
    When(stopped_at__isnull=False, then=Value("stopped")),
    default=F("status"),
)
NEVER = Value(None, output_field=DateTimeField())


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
    has_page: bool = True


class Row(NamedTuple):
    url: str
    title: str
    other: str
    status: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Section:
    joined: Joined
    rows: Sequence[Row]
    all_url: str


def read_joined(wanted: Sequence[Joined]) -> list[Section]:
    """Return the newest rows of each, in order."""
    queries = [_query(number, one) for number, one in enumerate(wanted)]
    found = list(queries[0].union(*queries[1:], all=True).order_by()) if queries else []
    return [_section(one, [row for row in found if row[0] == number]) for number, one in enumerate(wanted)]


def _query(number: int, one: Joined) -> Any:
    """Return the newest rows. They are limited in a subquery, because SQLite limits no part of a union."""
    rows = one.model._default_manager
    newest = rows.filter(one.where).order_by("-pk").values("pk")[:SHOWN]
    columns = [_text(name) for name in ("pk", one.title, one.other, one.status)]
    at = F(one.at) if one.at else NEVER
    # A permanent order would be an error in a part of a union.
    return rows.filter(pk__in=newest).order_by().values_list(Value(number), *columns, at)


def _text(name: Any) -> Any:
    if not name:
        return Value("", output_field=CharField())
    return Cast(F(name) if isinstance(name, str) else name, CharField())


def _section(one: Joined, found: list[tuple[Any, ...]]) -> Section:
    rows = [
        Row(
            row_url(one.model, pk) if one.has_page else "",
            plain_text(title),
            plain_text(other),
            status or "",
            at,
        )
        for _number, pk, title, other, status, at in sorted(found, key=lambda row: row[1], reverse=True)
    ]
    return Section(one, rows, list_url(one.model, **one.filters) if one.filters else "")
