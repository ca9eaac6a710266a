"""The agents of chains: the first one, to which the user granted something, and those to which it was handed on."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from agents.models import Agent
from core.text import plain_text


@dataclass(frozen=True, slots=True)
class ChainedAgent:
    """An agent of a chain. `row` is None if it was deleted. Then its name is its id."""

    id: str
    name: str
    row: Agent | None


def describe_agents(chains: Iterable[Sequence[str]]) -> list[list[ChainedAgent]]:
    """Return the agents with these ids, with their developers. One query reads them all, or none if there are none."""
    listed = list(chains)
    ids = {one for chain in listed for one in chain}
    rows = Agent.objects.select_related("organization").in_bulk(ids) if ids else {}
    return [[_describe(one, rows) for one in chain] for chain in listed]


def _describe(agent_id: str, rows: Mapping[str, Agent]) -> ChainedAgent:
    row = rows.get(agent_id)
    return ChainedAgent(agent_id, plain_text(row.name) if row else agent_id, row)
