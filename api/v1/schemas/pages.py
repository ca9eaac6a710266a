"""Pages of lists."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from typing import Annotated, Any

from django.db.models import Model, QuerySet
from pydantic import AfterValidator, Field

from api.v1.schemas.base import Omittable, Out, Query, Text
from core.http import page_after
from core.validation import invalid_value

DEFAULT_LIMIT, MAX_LIMIT = 50, 200
INVALID_CURSOR = "Must be the nextCursor of an earlier response."
ID = re.compile(r"[a-z]{3}_[0-9a-f]{32,64}")


def encode_cursor(last_id: str) -> str:
    return urlsafe_b64encode(last_id.encode()).rstrip(b"=").decode()


def _read_cursor(cursor: str) -> str:
    try:
        last_id = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except ValueError:
        last_id = ""
    # Several base64 strings decode to the same text. Accept only the canonical one.
    if not ID.fullmatch(last_id) or encode_cursor(last_id) != cursor:
        raise invalid_value(INVALID_CURSOR)
    return last_id


Cursor = Annotated[Text, Field(max_length=200), AfterValidator(_read_cursor)]


class PageQuery(Query):
    """The number of items per page, and where the page starts."""

    # Query parameters are strings.
    limit: int = Field(DEFAULT_LIMIT, ge=1, le=MAX_LIMIT, strict=False)
    cursor: Omittable[Cursor] = None


class Page[Item: Out](Out):
    """One page. `nextCursor` is null on the last page."""

    items: list[Item]
    next_cursor: str | None

    @classmethod
    def model_parametrized_name(cls, params: tuple[type[Any], ...]) -> str:
        """Return the name in the OpenAPI document, such as `AgentOutPage`."""
        return f"{params[0].__name__}Page"


def paginate[Row: Model, Item: Out](
    page: type[Page[Item]], rows: QuerySet[Row], query: PageQuery, show: Callable[[Sequence[Row]], list[Item]]
) -> Page[Item]:
    """Return the page that `query` asks for."""
    shown, last_id = page_after(rows, query.cursor or "", query.limit)
    return page(items=show(shown), next_cursor=encode_cursor(last_id) if last_id else None)
