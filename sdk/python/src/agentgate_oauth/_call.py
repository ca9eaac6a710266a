"""One API call as a value, and helpers that build it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from ._effects import Send

T = TypeVar("T")


class Unset(Enum):
    """The default of a field that a PATCH does not change, since None means null there."""

    UNSET = "unset"


UNSET = Unset.UNSET


@dataclass(frozen=True)
class Credential:
    """The headers that authenticate the caller. The class hides them from tracebacks that print variables."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Call(Generic[T]):
    """An API call and how to parse its response.

    `replayable`: sending it twice has the same effect as once, so it is repeated if the response is lost.
    A call with an `Idempotency-Key` is replayable, because the server stores the first response.
    `patience`: how many seconds longer than usual the response may take.
    """

    method: str
    path: str
    parse: Callable[[Any], T]
    json: object = field(default=None, repr=False)
    form: Mapping[str, str] | None = field(default=None, repr=False)
    params: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    replayable: bool = False
    patience: float = 0.0

    def as_send(self, credential: Credential) -> Send:
        return Send(
            self.method,
            self.path if self.path.startswith("/oauth/") else f"/api/v1{self.path}",
            headers={**credential.headers, **self.headers},
            params=self.params,
            json=self.json,
            form=self.form,
            patience=self.patience,
        )


def get(path: str, parse: Callable[[Any], T], **params: object) -> Call[T]:
    return Call("GET", path, parse, params=_query(params), replayable=True)


def create(path: str, parse: Callable[[Any], T], body: object, idempotency_key: str | None = None) -> Call[T]:
    """A POST that creates or rotates. Repeated with the same key, it gets the first response again."""
    headers = {"Idempotency-Key": idempotency_key or new_idempotency_key()}
    return Call("POST", path, parse, json=body, headers=headers, replayable=True)


def patch(path: str, parse: Callable[[Any], T], body: object) -> Call[T]:
    return Call("PATCH", path, parse, json=body, replayable=True)


def delete(path: str) -> Call[None]:
    # Not replayable: a second DELETE gets 404, which would look like a wrong id.
    return Call("DELETE", path, parse=lambda _: None)


def new_idempotency_key() -> str:
    return uuid.uuid4().hex


def segment(identifier: str) -> str:
    """Return an id as a path segment. Raises ValueError for an empty id, which would address the list."""
    if not identifier:
        raise ValueError("an id must not be empty")
    return quote(identifier, safe="")


def given(**fields: object) -> dict[str, object]:
    """Return a JSON body of the arguments that are not None, with camelCase names."""
    return {camel(name): value for name, value in fields.items() if value is not None}


def changed(**fields: object) -> dict[str, object]:
    """Return a PATCH body of the arguments that are set; None is sent as null."""
    return {camel(name): value for name, value in fields.items() if value is not UNSET}


def camel(name: str) -> str:
    head, *rest = name.rstrip("_").split("_")
    return head + "".join(word.capitalize() for word in rest)


def _query(params: Mapping[str, object]) -> dict[str, str]:
    return {camel(name): str(value) for name, value in params.items() if value is not None}
