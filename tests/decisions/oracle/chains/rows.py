"""What the model knows: plain rows that change, with the ids that the product gave them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.decisions.oracle.calls import Rule, Service


@dataclass(eq=False)
class Organization:
    id: str
    is_verified: bool = False
    is_suspended: bool = False
    is_stopped: bool = False


@dataclass(eq=False)
class Agent:
    id: str
    organization: Organization
    scopes: set[str]
    is_suspended: bool = False
    is_stopped: bool = False

    @property
    def may_act(self) -> bool:
        return not (
            self.is_suspended or self.is_stopped or self.organization.is_suspended or self.organization.is_stopped
        )


@dataclass(eq=False)
class Person:
    id: str
    is_active: bool = True
    is_paused: bool = False


@dataclass(eq=False)
class Connection:
    """What a person allows an agent. `id` is that of the consent in force. `mode` is to whom work may be handed on."""

    id: str
    person: Person
    agent: Agent
    scopes: list[str]
    terms: Mapping[str, Any]
    ends: datetime
    mode: str = "none"
    is_revoked: bool = False
    is_paused: bool = False


@dataclass(eq=False)
class Family:
    """The tokens of one device of an agent or, if there is a `delegation`, those by which an agent acts for another."""

    agent: Agent
    connection: Connection
    scopes: Sequence[str]
    audience: Sequence[str]
    delegation: "Delegation | None" = None
    removed: set[str] = field(default_factory=set)
    is_revoked: bool = False

    @property
    def chain(self) -> list["Delegation"]:
        """The delegations from the first agent to this one."""
        return [*self.delegation.source.chain, self.delegation] if self.delegation else []

    @property
    def agents(self) -> list[Agent]:
        return [*(each.source.agent for each in self.chain), self.agent]


@dataclass(eq=False)
class Delegation:
    """What the agent of the family `source` has handed to `agent`. `most` is the longest chain that it allows."""

    id: str
    source: Family
    agent: Agent
    scopes: Sequence[str]
    targets: Mapping[str, set[str]]
    limits: Mapping[str, Sequence[Rule]]
    task: str
    ends: datetime
    most: int
    is_ended: bool = False


@dataclass(eq=False)
class Token:
    text: str
    family: Family
    scopes: Sequence[str]
    ends: datetime


@dataclass(frozen=True)
class Question:
    """One verify. `asker` is the service that authenticates, or None for an anonymous caller."""

    at: datetime
    token: Token
    asker: Service | None
    scopes: tuple[str, ...]
    action: str | None
    resource: str | None
    context: Mapping[str, Any]
