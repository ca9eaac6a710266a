"""One page of a list. Ids sort by time, so the last id shown is where the next page starts."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from typing import Any

from django.db.models import QuerySet
from django.http import QueryDict
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from api.strict import StrictSerializer
from core.http import page_after

DEFAULT_LIMIT, MAX_LIMIT = 50, 200
ID = re.compile(r"[a-z]{3}_[0-9a-f]{32,64}")


class PageQuery(StrictSerializer):
    """`?limit=` and `?cursor=`; a list with filters adds its own."""

    limit = serializers.IntegerField(min_value=1, max_value=MAX_LIMIT, default=DEFAULT_LIMIT)
    cursor = serializers.CharField(required=False, max_length=200)

    def validate_cursor(self, cursor: str) -> str:
        last_id = decode_cursor(cursor)
        if last_id is None:
            raise serializers.ValidationError("Must be the nextCursor of an earlier response.")
        return last_id


def read_query(request: Request, query_type: type[StrictSerializer]) -> dict[str, Any]:
    """Return the query parameters, checked. Raises the framework's `ValidationError`, naming each wrong one."""
    query: QueryDict = request.query_params
    twice = [name for name, values in query.lists() if len(values) > 1]
    if twice:
        raise serializers.ValidationError({name: ["Must appear only once."] for name in twice})
    serializer = query_type(data=query.dict())
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


def paginate(rows: QuerySet[Any], query: dict[str, Any], render: Callable[[Sequence[Any]], Any]) -> Response:
    """Return the page of `rows`, which are sorted by falling id, that `query` asks for."""
    shown, last_id = page_after(rows, query.get("cursor") or "", query["limit"])
    return Response({"items": render(shown), "nextCursor": encode_cursor(last_id) if last_id else None})


def encode_cursor(last_id: str) -> str:
    return urlsafe_b64encode(last_id.encode()).rstrip(b"=").decode()


def decode_cursor(cursor: str) -> str | None:
    try:
        text = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except ValueError:
        return None
    return text if ID.fullmatch(text) and encode_cursor(text) == cursor else None
