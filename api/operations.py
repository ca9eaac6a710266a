"""Declares what an endpoint takes and answers: for the OpenAPI document, and for the handler that is called with it."""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from functools import wraps
from inspect import get_annotations
from typing import Any

from django.http import QueryDict
from pydantic import BaseModel
from rest_framework.request import Request
from rest_framework.response import Response

from core.errors import DomainError, FieldError, Invalid
from core.idempotency import Answer
from core.text import echo
from core.validation import parse

ErrorType = type[DomainError]
ModelType = type[BaseModel]


@dataclass(slots=True)
class operation:  # noqa: N801  it is a decorator
    """Decorates a handler. Its parameters `body` and `query` are annotated with the models that it takes.

    `answer` is the model that it returns, None for 204; `accepted` is the model that it may return for a 202, and
    `unavailable` what it answers with 503 instead of a problem. `errors` are those that are special to it; the common
    ones add themselves. `repeatable` says that it honours `Idempotency-Key`.
    """

    name: str
    summary: str
    _: KW_ONLY
    description: str = ""
    answer: ModelType | None = None
    status: int = 200
    accepted: ModelType | None = None
    unavailable: ModelType | None = None
    errors: tuple[ErrorType, ...] = ()
    repeatable: bool = False
    request_example: Any = None
    body: ModelType | None = field(init=False)
    query: ModelType | None = field(init=False)

    def __call__(self, handler: Callable[..., Any]) -> Callable[..., Response]:
        types = get_annotations(handler)
        self.body, self.query = types.get("body"), types.get("query")

        @wraps(handler)
        def handle(view: Any, request: Request, **ids: str) -> Response:
            view.operation = self
            return self.respond(handler(view, **ids, **self.read(view)))

        handle.operation = self  # type: ignore[attr-defined]
        return handle

    def read(self, view: Any) -> dict[str, BaseModel]:
        """Return the body and the query that the handler takes. Raises `Invalid`."""
        given: dict[str, BaseModel] = {}
        if self.body:
            given["body"] = parse(self.body, view.request.data or {})
        if self.query:
            given["query"] = read_query(self.query, view.query_parameters())
        return given

    def respond(self, shown: Any) -> Response:
        """Return the response with what the handler returned. One that is made already stays as it is."""
        if isinstance(shown, Response):
            return shown
        answer = shown if isinstance(shown, Answer) else self.show(shown)
        return Response(answer.body, status=answer.status)

    def show(self, shown: BaseModel | None) -> Answer:
        """Return the status and the JSON. Raises `TypeError` for what the document does not name."""
        if shown is None and self.answer is None:
            return Answer(self.status, None)
        for model, status in ((self.answer, self.status), (self.accepted, 202)):
            if model and isinstance(shown, model):
                return Answer(status, shown.model_dump(mode="json", exclude_unset=True))
        raise TypeError(f"{self.name} does not answer {type(shown).__name__}")


def read_query[Q: BaseModel](model: type[Q], parameters: QueryDict) -> Q:
    """Return the query parameters. Raises `Invalid`, also for one that appears twice."""
    twice = [name for name, values in parameters.lists() if len(values) > 1]
    if twice:
        errors = tuple(FieldError(echo(name), "Must appear only once.") for name in twice)
        raise Invalid("A field is not valid.", errors=errors)
    return parse(model, parameters.dict())
