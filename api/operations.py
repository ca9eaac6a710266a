"""Declare what an endpoint accepts and returns: for the OpenAPI document, and to parse and serialize it.

A handler that returns another model than it declares raises, so the document and the behavior cannot differ. Models are
pydantic's: DRF's serializers accept numbers for strings and ignore unknown fields.
"""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from functools import wraps
from inspect import get_annotations
from typing import Any, Literal

from django.http import QueryDict
from django.http.response import HttpResponseBase
from pydantic import BaseModel
from rest_framework.request import Request
from rest_framework.response import Response

from core.errors import DomainError, FieldError, Invalid
from core.http import django_response
from core.idempotency import Answer
from core.messages import Reply
from core.text import echo
from core.validation import parse
from developers.roles import Right

ErrorType = type[DomainError]
ModelType = type[BaseModel]


@dataclass(slots=True)
class operation:  # noqa: N801  it is a decorator
    """Decorate a handler. The annotations of its parameters `body` and `query` are the models to parse.

    `answer` is the model that it returns, or None for 204 or for a response of another `media_type` than JSON.
    `is_event_stream` means that clients which prefer `text/event-stream` get that. `accepted` is the model of a 202,
    `unavailable` that of a 503 that is not a problem. `errors` are its specific errors; common ones are added.
    `repeatable` means that it honours `Idempotency-Key`. Those of a developer's endpoint say which `right` the caller
    needs, and whether it is `about_agents`, so that keys limited to some agents reach it. `while_deleting` means that
    one that is not a GET also works in an organization that is being deleted. `agents` says whether agents with client
    credentials call it, too, or only they.
    """

    name: str
    summary: str
    _: KW_ONLY
    description: str = ""
    answer: ModelType | None = None
    media_type: str | None = None
    is_event_stream: bool = False
    status: int = 200
    accepted: ModelType | None = None
    unavailable: ModelType | None = None
    errors: tuple[ErrorType, ...] = ()
    repeatable: bool = False
    right: Right | None = None
    about_agents: bool = False
    while_deleting: bool = False
    agents: Literal["", "also", "only"] = ""
    request_example: Any = None
    body: ModelType | None = field(init=False)
    query: ModelType | None = field(init=False)

    @property
    def required_right(self) -> Right:
        """The right that the caller needs. Raises `TypeError` if the operation does not say which."""
        if self.right is None:
            raise TypeError(f"{self.name} does not say which right it needs.")
        return self.right

    def __call__(self, handler: Callable[..., Any]) -> Callable[..., HttpResponseBase]:
        types = get_annotations(handler)
        self.body, self.query = types.get("body"), types.get("query")

        @wraps(handler)
        def handle(view: Any, request: Request, **ids: str) -> HttpResponseBase:
            view.operation = self
            return self.respond(handler(view, **ids, **self.read(view)))

        handle.operation = self  # type: ignore[attr-defined]
        return handle

    def read(self, view: Any) -> dict[str, BaseModel]:
        """Return the parsed body and query, if the handler takes them. Raises `Invalid`."""
        given: dict[str, BaseModel] = {}
        if self.body:
            given["body"] = parse(self.body, view.request.data or {})
        if self.query:
            given["query"] = read_query(self.query, view.query_parameters())
        return given

    def respond(self, result: Any) -> HttpResponseBase:
        """Return the response for a handler's result: a model, None, an `Answer`, a `Reply`, or a `Response`."""
        if isinstance(result, HttpResponseBase):
            return result
        if isinstance(result, Reply):
            return django_response(result)
        answer = result if isinstance(result, Answer) else self.serialize(result)
        return Response(answer.body, status=answer.status)

    def serialize(self, result: BaseModel | None) -> Answer:
        """Return the status and the JSON. Raises `TypeError` for a model that the operation does not declare."""
        if result is None and self.answer is None:
            return Answer(self.status, None)
        for model, status in ((self.answer, self.status), (self.accepted, 202)):
            if model and isinstance(result, model):
                return Answer(status, result.model_dump(mode="json", exclude_unset=True))
        raise TypeError(f"{self.name} does not declare {type(result).__name__}")


def read_query[Q: BaseModel](model: type[Q], parameters: QueryDict) -> Q:
    """Return the parsed query parameters. Raises `Invalid`, including for repeated ones."""
    repeated = [name for name, values in parameters.lists() if len(values) > 1]
    if repeated:
        errors = tuple(FieldError(echo(name), "Must appear only once.") for name in repeated)
        raise Invalid("A field is not valid.", errors=errors)
    return parse(model, parameters.dict())
