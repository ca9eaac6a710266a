"""Requests that were held back because their agent asks too often: one batch per agent, summed up by target."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from accounts.models import User
from agents.models import Agent
from consent.approval_selectors import WaitingTarget, approvals_for_user
from web.approving.asked import Outline, outlines

# The page shows so many batches, and so many targets of each.
MAX_BATCHES = 5
MAX_TARGETS = 5


@dataclass(frozen=True, slots=True)
class Target:
    """So many requests with the same target, of which this is the newest."""

    number: int
    newest: Outline


@dataclass(frozen=True, slots=True)
class Batch:
    """The held requests of one agent. `number` is how many there are, `targets` are those with most requests."""

    agent: Agent
    number: int
    targets: list[Target]

    @property
    def not_summed_up(self) -> int:
        """How many requests have none of these targets."""
        return self.number - sum(target.number for target in self.targets)


@dataclass(frozen=True, slots=True)
class Batches:
    """The batches with most requests, and how many more there are."""

    shown: list[Batch]
    left_out: int


def batches_of(user: User, targets: Iterable[WaitingTarget], now: datetime) -> Batches:
    """Return the batches of these targets of the user, of which those that were not held back are ignored."""
    by_agent = _by_agent(target for target in targets if target.is_held)
    largest = sorted(by_agent.values(), key=_number, reverse=True)[:MAX_BATCHES]
    newest = approvals_for_user(user).in_bulk([each.newest for held in largest for each in held[:MAX_TARGETS]])
    outlined = {one.approval.pk: one for one in outlines(newest.values(), now)}
    batches = [_batch(held, outlined) for held in largest]
    return Batches([batch for batch in batches if batch], len(by_agent) - len(largest))


def _by_agent(held: Iterable[WaitingTarget]) -> dict[str, list[WaitingTarget]]:
    found: dict[str, list[WaitingTarget]] = {}
    for each in held:
        found.setdefault(each.agent_id, []).append(each)
    return found


def _number(held: Iterable[WaitingTarget]) -> int:
    return sum(each.number for each in held)


def _batch(held: list[WaitingTarget], outlined: Mapping[str, Outline]) -> Batch | None:
    """Return the batch of one agent, or None if it was deleted since the first query."""
    found = [Target(each.number, outlined[each.newest]) for each in held[:MAX_TARGETS] if each.newest in outlined]
    return Batch(found[0].newest.approval.agent, _number(held), found) if found else None
