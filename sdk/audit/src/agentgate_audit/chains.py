"""Chains of agents: the first one, to which a user granted, hands work to another, and so on."""

from __future__ import annotations

from typing import Any, NamedTuple

from .errors import Broken
from .strict_json import read_object

# Records of this version have a chain, and all others have none.
VERSION = 2
_MEMBERS = {"agentId", "delegationId", "organizationId"}


class Link(NamedTuple):
    """An agent of a chain and its organization. It acts by the delegation, which is None for the first agent."""

    agent: str
    delegation: str | None
    organization: str | None


Chain = tuple[Link, ...]


def read_chain(value: Any, agent: str | None) -> Chain:
    """Return the chain of a record, which leads to the agent. Raises `Broken`."""
    if not isinstance(value, list) or len(value) < 2:
        raise Broken("chain is not a list of several agents")
    chain = tuple(_read_link(link) for link in value)
    if chain[0].delegation is not None or None in [link.delegation for link in chain[1:]]:
        raise Broken("the chain has a delegation for its first agent, or none for another one")
    if chain[-1].agent != agent:
        raise Broken("the chain does not lead to the agent of the entry")
    return chain


def _read_link(value: Any) -> Link:
    found = read_object(value, "a link of the chain", _MEMBERS)
    for name, one in found.items():
        if not isinstance(one, str) and (name == "agentId" or one is not None):
            raise Broken(f"{name} of a link of the chain is not a string")
    return Link(found["agentId"], found["delegationId"], found["organizationId"])
