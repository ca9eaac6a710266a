"""The operations of docs/openapi.json, for the API reference."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from itertools import groupby
from typing import Any

from django.utils.translation import gettext

from web.public.docs.fields import Field, field_of
from web.public.docs.markdown import Section, render_text
from web.public.docs.openapi import document

METHODS = ("get", "post", "put", "patch", "delete")
ERROR = re.compile(r"`(\w+)`: ([^;]+)")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the path, the query or the header."""

    place: str
    field: Field


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful response. `content` is None if it has no body, and `field` is None if that is not JSON."""

    status: int
    phrase: str
    content: str | None
    field: Field | None


@dataclass(frozen=True, slots=True)
class ErrorCode:
    status: int
    code: str
    meaning: str


@dataclass(frozen=True)
class Operation:
    """An operation with its part of the document. Its fields are in words, so it belongs to one language."""

    id: str
    method: str
    path: str
    tag: str
    source: Mapping[str, Any]

    @property
    def summary(self) -> str:
        return str(self.source["summary"])

    @property
    def description(self) -> str:
        return render_text(self.source.get("description", ""))

    @cached_property
    def parameters(self) -> list[Parameter]:
        return [
            Parameter(each["in"], field_of(each["name"], each, is_required=each.get("required", False)))
            for each in self.source.get("parameters", ())
        ]

    @property
    def body(self) -> Mapping[str, Any] | None:
        """Return the media type object of the request body, or None if there is no body."""
        content = self.source.get("requestBody", {}).get("content", {})
        return next(iter(content.values()), None)

    @cached_property
    def body_field(self) -> Field | None:
        return field_of("", self.body) if self.body else None

    @property
    def answers(self) -> list[Answer]:
        """Return the successful responses."""
        return [_answer(int(status), each) for status, each in self.source["responses"].items() if status < "400"]

    @property
    def errors(self) -> list[ErrorCode]:
        responses = self.source["responses"].items()
        return [
            ErrorCode(int(status), code, meaning)
            for status, each in responses
            if status >= "400"
            for code, meaning in ERROR.findall(each["description"])
        ]


def introduction() -> str:
    """Return the conventions as HTML. The lists of codes, reasons and events that follow them have their own pages."""
    return render_text(document()["info"]["description"].partition("**Error codes**")[0])


def operations() -> Mapping[str, Operation]:
    """Return all operations by id, in the order of the document."""
    return {
        source["operationId"]: Operation(source["operationId"], method, path, source["tags"][0], source)
        for path, methods in document()["paths"].items()
        for method, source in methods.items()
        if method in METHODS
    }


def by_tag() -> list[tuple[str, list[Operation]]]:
    """Return the operations by tag."""
    found = sorted(operations().values(), key=lambda operation: operation.tag)
    return [(tag, list(group)) for tag, group in groupby(found, key=lambda operation: operation.tag)]


def credentials(operation: Operation) -> list[tuple[str, str]]:
    """Return the names and the descriptions of the credentials that the operation accepts. Empty if it takes none."""
    names = {
        "apiKey": gettext("API key"),
        "sessionToken": gettext("Session token"),
        "browserSession": gettext("Browser session"),
        "basic": gettext("Client credentials"),
    }
    schemes = document()["components"]["securitySchemes"]
    accepted = dict.fromkeys(name for kinds in operation.source.get("security", ()) for name in kinds)
    return [(names.get(name, name), render_text(schemes[name]["description"])) for name in accepted]


def callers(operation: Operation) -> str:
    """Return who may call the operation, as a sentence."""
    accepted = [*operation.source.get("security", [{}])]
    names = {name for kinds in accepted for name in kinds}
    if not names:
        return gettext("Anyone. No credential is required.")
    if "basic" in names:
        return _client(operation, is_optional={} in accepted)
    if {} in accepted:
        return gettext("Anyone. A credential makes more visible.")
    if "apiKey" in names:
        return gettext("Developers, with an API key or their session.")
    return gettext("The signed-in user, with a session.")


def sections() -> Iterator[tuple[Operation, Section]]:
    """Yield the title and the text of each operation, for the search."""
    for operation in operations().values():
        text = f"{operation.method.upper()} {operation.path} {operation.source.get('description', '')}"
        yield operation, Section("", operation.summary, 1, " ".join(text.replace("`", "").split()))


def _client(operation: Operation, *, is_optional: bool) -> str:
    if operation.body_field and any(field.name == "clientSecret" for field in operation.body_field.fields):
        return gettext("The agent, with its client credentials in the body or as HTTP Basic.")
    if is_optional:
        return gettext("Anyone. Client credentials are optional, unless the server requires them.")
    return gettext("The agent or the resource server, with its client credentials, and the signed-in user.")


def _answer(status: int, source: Mapping[str, Any]) -> Answer:
    kind, content = next(iter(source.get("content", {}).items()), (None, {}))
    is_json = kind == "application/json"
    return Answer(status, HTTPStatus(status).phrase, kind, field_of("", content) if is_json else None)
