"""What both the oracle and the engine are told: connections, services, policies and calls."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Rule = Mapping[str, Any]


@dataclass(frozen=True)
class Connection:
    """What a user allowed an agent. `broken` are the reasons that hold against every call."""

    name: str
    user: str
    agent: str
    organization: str
    scopes: tuple[str, ...]
    audience: tuple[str, ...]
    terms: Mapping[str, Any]
    broken: tuple[str, ...] = ()


@dataclass(frozen=True)
class Service:
    name: str
    identifier: str
    organization: str
    is_suspended: bool = False


@dataclass(frozen=True)
class Policy:
    organization: str
    agent: str | None
    mode: str
    rules: tuple[Rule, ...]


@dataclass(frozen=True)
class Call:
    """One verify. `asker` is the service that authenticates, or None for an anonymous caller with this `address`.

    `handed` is the task for which the work was handed on, or empty.
    """

    at: datetime
    connection: Connection
    asker: Service | None
    scopes: tuple[str, ...]
    action: str | None
    resource: str | None
    context: Mapping[str, Any]
    address: str | None
    handed: str = ""

    @property
    def actions(self) -> tuple[str, ...]:
        return self.scopes if self.action is None else (*self.scopes, self.action)

    def frame(self, **content: Any) -> str:
        """Return what an approval is bound to, with this content of the call."""
        asker = self.asker.name if self.asker else None
        bound = [self.connection.name, asker, sorted(set(self.scopes)), self.action, self.resource, content]
        return json.dumps(bound, sort_keys=True)


@dataclass(frozen=True)
class Reaction:
    """What the user does about a call that needs an approval: approve it once or for a target and a time, or deny."""

    answer: str
    seconds: int = 0
