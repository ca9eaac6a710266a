"""What an endpoint says of itself for the OpenAPI document; `api/schema.py` reads it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from rest_framework import serializers

from core.errors import DomainError

ErrorType = type[DomainError]
SerializerType = type[serializers.BaseSerializer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one endpoint. `errors` are those that are special to it; the common ones add themselves."""

    name: str
    summary: str
    description: str
    body: SerializerType | None
    query: SerializerType | None
    answer: SerializerType | None
    status: int
    accepted: SerializerType | None
    errors: tuple[ErrorType, ...]
    repeatable: bool
    unavailable: SerializerType | None
    request_example: Any


def operation(
    name: str,
    summary: str,
    *,
    body: SerializerType | None = None,
    query: SerializerType | None = None,
    answer: SerializerType | None = None,
    status: int = 200,
    accepted: SerializerType | None = None,
    errors: tuple[ErrorType, ...] = (),
    repeatable: bool = False,
    description: str = "",
    unavailable: SerializerType | None = None,
    request_example: Any = None,
) -> Callable[[Any], Any]:
    """Return a decorator that gives a handler its place in the OpenAPI document.

    `repeatable` says that it honours `Idempotency-Key`; `unavailable` is what it answers with 503 instead of a problem;
    `accepted` is what it may answer with 202 instead.
    """
    described = Operation(
        name=name,
        summary=summary,
        description=description,
        body=body,
        query=query,
        answer=answer,
        status=status,
        accepted=accepted,
        errors=errors,
        repeatable=repeatable,
        unavailable=unavailable,
        request_example=request_example,
    )

    def decorate(handler: Any) -> Any:
        handler.operation = described
        return handler

    return decorate


@cache
def page_of(item: SerializerType) -> SerializerType:
    """Return the shape of a page of such items."""
    fields = {
        "__doc__": "One page. `nextCursor` is null on the last.",
        "items": item(many=True),
        "nextCursor": serializers.CharField(allow_null=True),
    }
    return type(f"{item.__name__}Page", (serializers.Serializer,), fields)
