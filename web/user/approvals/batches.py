"""Requests that were held back because their agent asks too often: one batch per connection, grouped by target."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from accounts.models import User
from agents.models import Agent
from approvals.models import Approval
from approvals.selectors import WaitingTarget, approvals_for_user
from decisions.approvals import MAX_PROMPTS
from web.user.approvals.asked import Outline

# The number of batches on the page, and the number of targets per batch.
MAX_BATCHES = 5
MAX_TARGETS = 5


@dataclass(frozen=True, slots=True)
class Target:
    """A number of requests with the same target, and the newest of them."""

    number: int
    newest: Outline


@dataclass(frozen=True, slots=True)
class Batch:
    """The held requests of one agent. `number` is their number, and `targets` are those with the most requests.

    `undecided` is the number of its pending requests, including those that were not held back.
    """

    agent: Agent
    number: int
    targets: list[Target]
    undecided: int

    @property
    def is_suspicious(self) -> bool:
        """Whether the number of pending requests suggests that something is wrong. Decided ones do not count."""
        return self.undecided > MAX_PROMPTS

    @property
    def not_summed_up(self) -> int:
        """The number of requests with other targets."""
        return self.number - sum(target.number for target in self.targets)


@dataclass(frozen=True, slots=True)
class Batches:
    """The batches with the most requests, and the number of further batches."""

    shown: list[Batch]
    left_out: int


def newest_held(user: User, targets: Iterable[WaitingTarget]) -> list[Approval]:
    """Return the requests that the batches of these targets show: the newest one of each target."""
    ids = [each.newest for held in _largest(_by_agent(targets)) for each in held[:MAX_TARGETS]]
    return list(approvals_for_user(user).in_bulk(ids).values())


def batches_of(targets: Iterable[WaitingTarget], newest: Iterable[Outline]) -> Batches:
    """Return the batches of these targets, from the outlines of their `newest_held`."""
    listed = list(targets)
    by_agent = _by_agent(listed)
    largest = _largest(by_agent)
    outlined = {one.approval.pk: one for one in newest}
    batches = [_batch(held, outlined, listed) for held in largest]
    return Batches([batch for batch in batches if batch], len(by_agent) - len(largest))


def _largest(by_agent: Mapping[str, list[WaitingTarget]]) -> list[list[WaitingTarget]]:
    return sorted(by_agent.values(), key=_number, reverse=True)[:MAX_BATCHES]


def _by_agent(targets: Iterable[WaitingTarget]) -> dict[str, list[WaitingTarget]]:
    """Return the targets of held requests by agent."""
    found: dict[str, list[WaitingTarget]] = {}
    for each in (target for target in targets if target.is_held):
        found.setdefault(each.agent_id, []).append(each)
    return found


def _number(held: Iterable[WaitingTarget]) -> int:
    return sum(each.number for each in held)


def _batch(
    held: list[WaitingTarget], outlined: Mapping[str, Outline], waiting: Iterable[WaitingTarget]
) -> Batch | None:
    """Return the batch of one agent, or None if it was deleted since the first query. `waiting` are all targets."""
    found = [Target(each.number, outlined[each.newest]) for each in held[:MAX_TARGETS] if each.newest in outlined]
    undecided = _number(each for each in waiting if each.agent_id == held[0].agent_id)
    return Batch(found[0].newest.approval.consent.agent, _number(held), found, undecided) if found else None
