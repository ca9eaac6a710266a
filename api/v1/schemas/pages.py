"""Pages of lists."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

from django.db.models import Model, QuerySet
from pydantic import AfterValidator, Field

from api.pagination import decode_cursor, encode_cursor
from api.v1.schemas.base import Omittable, Out, Query, Text
from core.http import page_after
from core.validation import wrong

DEFAULT_LIMIT, MAX_LIMIT = 50, 200


def _read_cursor(cursor: str) -> str:
    last_id = decode_cursor(cursor)
    if last_id is None:
        raise wrong("Must be the nextCursor of an earlier response.")
    return last_id


Cursor = Annotated[Text, Field(max_length=200), AfterValidator(_read_cursor)]


class PageQuery(Query):
    """The number of items per page, and where the page starts."""

    # A parameter of a query arrives as a string.
    limit: int = Field(DEFAULT_LIMIT, ge=1, le=MAX_LIMIT, strict=False)
    cursor: Omittable[Cursor] = None


class Page[Item: Out](Out):
    """One page. `nextCursor` is null on the last."""

    items: list[Item]
    next_cursor: str | None

    @classmethod
    def model_parametrized_name(cls, params: tuple[type[Any], ...]) -> str:
        """Name the page after its items in the OpenAPI document."""
        return f"{params[0].__name__}Page"


def paginate[Row: Model, Item: Out](
    page: type[Page[Item]], rows: QuerySet[Row], query: PageQuery, show: Callable[[Sequence[Row]], list[Item]]
) -> Page[Item]:
    """Return the page that `query` asks for."""
    shown, last_id = page_after(rows, query.cursor or "", query.limit)
    return page(items=show(shown), next_cursor=encode_cursor(last_id) if last_id else None)
