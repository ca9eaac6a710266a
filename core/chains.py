"""Chains of agents: the first one, which a user allowed something, hands some of it to another, and so on."""

from typing import NamedTuple

# The most delegations in a chain.
MAX_DEPTH = 4


class Link(NamedTuple):
    """An agent of a chain and its organization. It acts by the delegation, which is None for the first agent."""

    agent_id: str
    delegation_id: str | None
    organization_id: str | None
