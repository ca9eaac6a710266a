"""How an edit of the actions of a guard against data flows carries over what it remembers (docs/adr/0040).

Guards remember calls in rows that belong to their `actions`. A guard with other actions than any before starts from the
rows of all guards that the policy had: it remembers all that they do, even if it concerns less.
"""

from collections.abc import Collection, Iterator
from typing import Any

from agents.models import Agent
from limits.counters import load_flows, put_flows
from limits.flows import LoadedFlow
from policies.models import Policy
from policies.rules import readable_rules
from policies.rules.data_flow import DataFlow, guard_prefix

Actions = tuple[str, ...]


def guarded_actions(raw_rules: Any) -> frozenset[Actions]:
    """Return the actions of each guard among stored rules. Rules that cannot be read are skipped."""
    return frozenset(tuple(sorted(rule.actions)) for rule in readable_rules(raw_rules) if isinstance(rule, DataFlow))


def must_carry_flows(before: Collection[Actions], after: Collection[Actions]) -> bool:
    """Return whether an edit adds a guard to a policy that had others."""
    return bool(before) and not set(after) <= set(before)


def carry_flows(policy: Policy, before: Collection[Actions], after: Collection[Actions]) -> None:
    """Let the added guards remember what the guards `before` the edit do.

    Danger: call this in the edit's transaction, after `hold_decisions`. What a concurrent decision has remembered would
    otherwise be lost.
    """
    for added in set(after) - set(before):
        for owner, rest in _places(policy):
            target = guard_prefix(added, owner)
            rows = {flow.key: flow for flow in load_flows(target + rest)}
            for actions in before:
                _absorb(rows, guard_prefix(actions, owner), target, rest)
            put_flows(flow for flow in rows.values() if flow.changed)


def _absorb(rows: dict[str, LoadedFlow], source: str, target: str, rest: str) -> None:
    for flow in load_flows(source + rest):
        key = target + flow.key.removeprefix(source)
        rows.setdefault(key, LoadedFlow(key)).absorb(flow)


def _places(policy: Policy) -> Iterator[tuple[str | None, str]]:
    """Yield whose guards the policy's rows belong to (`RuleContext.policies_of`), and how their keys go on.

    They are those of the organization's own agents and, if the policy is for every agent, of those that call it.
    """
    own = Agent.objects.filter(organization_id=policy.organization_id).values_list("id", flat=True)
    for agent_id in own if policy.agent_id is None else [policy.agent_id]:
        yield None, f"{agent_id}|"
    if policy.agent_id is None:
        yield policy.organization_id, ""
