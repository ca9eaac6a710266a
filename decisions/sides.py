"""The sides of a decision: each organization whose policies apply, and the agent whose call it is to them.

A call that was handed on is a call of each agent of the chain: to the policies of that agent's organization, and to
those of the service. So no agent gets more than its own quota by handing work on.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from core.chains import Link
from decisions.facts import TokenFacts
from policies.engine import CompiledPolicy
from policies.policy_sets import PolicySet


class Side(NamedTuple):
    """The policies of an organization about the agent of `link`, and its `shadows`, which only record.

    `is_others` is whether the agent belongs to another organization. `all` are the policies, and what the user and
    delegations set for the first agent.
    """

    organization_id: str | None
    link: Link
    policies: tuple[CompiledPolicy, ...] = ()
    shadows: tuple[CompiledPolicy, ...] = ()
    all: tuple[CompiledPolicy, ...] = ()
    is_others: bool = False

    @property
    def policies_of(self) -> str | None:
        return self.organization_id if self.is_others else None


def sides_of(
    links: Sequence[Link],
    policies: Sequence[PolicySet | None],
    service: PolicySet | None,
    affected: str | None,
    bounds: tuple[CompiledPolicy, ...],
) -> tuple[Side, ...]:
    """Return the sides of a decision about these agents, from the first one to the one that acts.

    `policies` are those of their organizations, in the same order, and `service` those of the organization `affected`.
    The bounds belong to the first agent, to which the user granted.
    """
    own = [_side(link.organization_id, link, found) for link, found in zip(links, policies, strict=True)]
    sides = (*own, *_others(links, service, affected))
    first, *others = sides if len(links) == 1 else _without_repeats(sides)
    return first._replace(all=(*first.policies, *bounds)), *(side._replace(all=side.policies) for side in others)


def only_link(token: TokenFacts) -> tuple[Link, ...]:
    """Return the link of the agent of a token that was not handed on."""
    return (Link(token.agent_id, None, token.organization_id),)


def _others(links: Sequence[Link], service: PolicySet | None, affected: str | None) -> Iterator[Side]:
    if service is None or affected is None:
        return
    for link in links:
        if link.organization_id != affected:
            yield _side(affected, link, service)._replace(is_others=True)


def _without_repeats(sides: Sequence[Side]) -> Iterator[Side]:
    """Yield the sides, without rules of the same policy that say the same of each agent."""
    seen: set[str] = set()
    for side in sides:
        policies, shadows = (
            tuple(policy for policy in _not_seen(each, seen) if policy.rules) for each in (side.policies, side.shadows)
        )
        yield side._replace(policies=policies, shadows=shadows)
        seen.update(policy.id for policy in (*side.policies, *side.shadows))


def _not_seen(policies: Sequence[CompiledPolicy], seen: Collection[str]) -> Iterator[CompiledPolicy]:
    return (policy.by_agent() if policy.id in seen else policy for policy in policies)


def _side(organization_id: str | None, link: Link, found: PolicySet | None) -> Side:
    if found is None:
        return Side(organization_id, link)
    return Side(organization_id, link, found.for_agent(link.agent_id), found.shadow_for_agent(link.agent_id))
