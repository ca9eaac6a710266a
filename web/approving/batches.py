"""Requests that were held back because their agent asks too often: one batch per agent, grouped by target."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from agents.models import Agent
from web.approving.asked import Outline

# The page lists so many one by one.
MAX_LISTED = 20


@dataclass(frozen=True, slots=True)
class Target:
    """The requests of a batch that have the same target, newest first."""

    items: list[Outline]

    @property
    def newest(self) -> Outline:
        return self.items[0]


@dataclass(frozen=True, slots=True)
class Batch:
    """The requests of one agent that were held back, newest first. `targets` are those with most requests first."""

    agent: Agent
    items: list[Outline]
    targets: list[Target]

    @property
    def left_out(self) -> int:
        """How many requests the page does not list one by one yet."""
        return max(0, len(self.items) - MAX_LISTED)


def batches_of(held: Iterable[Outline]) -> list[Batch]:
    by_agent = _grouped(held, lambda asked: str(asked.approval.agent_id))
    return [Batch(items[0].approval.agent, items, _targets(items)) for items in by_agent]


def _targets(items: Iterable[Outline]) -> list[Target]:
    by_target = _grouped(items, lambda asked: str(asked.approval.target_digest))
    return [Target(group) for group in sorted(by_target, key=len, reverse=True)]


def _grouped(items: Iterable[Outline], key: Callable[[Outline], str]) -> list[list[Outline]]:
    groups: dict[str, list[Outline]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return list(groups.values())
