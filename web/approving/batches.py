"""Requests that were held back because their agent asks too often: one batch per agent, grouped by target."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from agents.models import Agent
from web.approving.asked import Outline

# The page lists so many one by one, and so many targets.
MAX_LISTED = 20
MAX_TARGETS = 10


@dataclass(frozen=True, slots=True)
class Target:
    """The requests of a batch that have the same target, newest first."""

    items: list[Outline]

    @property
    def newest(self) -> Outline:
        return self.items[0]


@dataclass(frozen=True, slots=True)
class Batch:
    """The requests of one agent that were held back, newest first. `targets` are those with most requests first.

    `number` is how many there are, which can be more than were read.
    """

    agent: Agent
    items: list[Outline]
    targets: list[Target]
    number: int

    @property
    def listed(self) -> list[Outline]:
        """The requests that the page lists one by one."""
        return self.items[:MAX_LISTED]

    @property
    def left_out(self) -> int:
        """How many requests the page does not list one by one yet."""
        return self.number - len(self.listed)

    @property
    def summed_up(self) -> list[Target]:
        """The targets that the page names."""
        return self.targets[:MAX_TARGETS]

    @property
    def not_summed_up(self) -> int:
        """How many requests are not among those for the targets that the page names."""
        return self.number - sum(len(target.items) for target in self.summed_up)


def batches_of(held: Iterable[Outline], numbers: Mapping[str, int]) -> list[Batch]:
    """Return a batch per agent. `numbers` has how many requests there are, by agent, if not all were read."""
    by_agent = _grouped(held, lambda asked: str(asked.approval.agent_id))
    return [_batch(items, numbers) for items in by_agent]


def _batch(items: list[Outline], numbers: Mapping[str, int]) -> Batch:
    agent = items[0].approval.agent
    return Batch(agent, items, _targets(items), max(len(items), numbers.get(agent.id, 0)))


def _targets(items: Iterable[Outline]) -> list[Target]:
    by_target = _grouped(items, lambda asked: str(asked.approval.target_digest))
    return [Target(group) for group in sorted(by_target, key=len, reverse=True)]


def _grouped(items: Iterable[Outline], key: Callable[[Outline], str]) -> list[list[Outline]]:
    groups: dict[str, list[Outline]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return list(groups.values())
