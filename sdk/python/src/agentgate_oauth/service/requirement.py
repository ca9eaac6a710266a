"""The requirements of a handler: scopes, and a description of the action."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Generic, TypeVar

from .._checks import listed, separate

SubjectT = TypeVar("SubjectT")
Details = Mapping[str, Any]


@dataclass(frozen=True)
class Question:
    """One question about a token."""

    scopes: tuple[str, ...]
    action: str | None
    resource: str | None
    context: Details


@dataclass(frozen=True)
class Requirement(Generic[SubjectT]):
    """The arguments of `require_scopes`. Each is a value, or a function of the request."""

    scopes: tuple[str, ...]
    action: str | Callable[[SubjectT], str | None] | None = None
    resource: str | Callable[[SubjectT], str | None] | None = None
    context: Details | Callable[[SubjectT], Any] | None = None

    def __post_init__(self) -> None:
        if not self.scopes:
            raise ValueError("require_scopes needs at least one scope")
        separate("scopes", tuple(listed("scopes", self.scopes, "scopes")))

    def question(self, subject: SubjectT, caller_ip: str | None) -> Question:
        """Return the question about a request. `context["ip"]` defaults to the caller's address."""
        return self.question_about(subject, caller_ip, self.details(subject))

    def details(self, subject: SubjectT) -> Any:
        """Return the request's `context`: a mapping, None, or an awaitable of these."""
        return self.context(subject) if callable(self.context) else self.context

    def question_about(self, subject: SubjectT, caller_ip: str | None, details: Details | None) -> Question:
        address = _address(caller_ip)
        return Question(
            scopes=self.scopes,
            action=self.action(subject) if callable(self.action) else self.action,
            resource=self.resource(subject) if callable(self.resource) else self.resource,
            context={**({"ip": address} if address else {}), **(details or {})},
        )


def _address(caller: str | None) -> str | None:
    """Return the IP address without its zone, None for other names, such as that of a Unix socket."""
    try:
        return str(ip_address((caller or "").partition("%")[0]))
    except ValueError:
        return None
