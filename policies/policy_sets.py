"""The compiled policies of an organization, and the actions of its scopes, until its `policy_version` changes.

Independent of the database: the caller reads the rows.
"""

import json
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import NamedTuple

from policies.engine import CompiledPolicy, compile_policy, deny_all
from resources.covers import NO_ACTIONS, Actions

logger = logging.getLogger(__name__)

ENFORCE, SHADOW = "enforce", "shadow"

_OLDEST_FIRST = attrgetter("id")


class PolicyRow(NamedTuple):
    """An enabled policy as stored. `rules` and `limit_history` are JSON text. `agent_id` None means every agent."""

    id: str
    name: str
    agent_id: str | None
    mode: str
    rules: str
    limit_history: str


@dataclass(frozen=True, slots=True)
class PoliciesOfMode:
    """Policies of one mode."""

    shared: tuple[CompiledPolicy, ...] = ()
    by_agent: Mapping[str, tuple[CompiledPolicy, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, compiled: Mapping[PolicyRow, CompiledPolicy], mode: str) -> "PoliciesOfMode":
        own: defaultdict[str, list[CompiledPolicy]] = defaultdict(list)
        chosen = {row: policy for row, policy in compiled.items() if (row.mode == SHADOW) == (mode == SHADOW)}
        for row, policy in chosen.items():
            if row.agent_id is not None:
                own[row.agent_id].append(policy)
        shared = tuple(policy for row, policy in chosen.items() if row.agent_id is None)
        return cls(shared, {agent: tuple(policies) for agent, policies in own.items()})

    def for_agent(self, agent_id: str) -> tuple[CompiledPolicy, ...]:
        own = self.by_agent.get(agent_id, ())
        if not own or not self.shared:
            return own or self.shared
        return tuple(sorted(self.shared + own, key=_OLDEST_FIRST))


NO_POLICIES_OF_MODE = PoliciesOfMode()


@dataclass(frozen=True, slots=True, eq=False)
class PolicySet:
    """The enabled policies of one organization at one version. Immutable, so that threads can share it.

    Compared by identity, because comparing the rules of two would take long.

    `actions` are those of the organization's own scopes.
    """

    enforced: PoliciesOfMode = NO_POLICIES_OF_MODE
    shadow: PoliciesOfMode = NO_POLICIES_OF_MODE
    compiled: Mapping[PolicyRow, CompiledPolicy] = field(default_factory=dict)
    has_flows: bool = False
    """Whether a rule needs the labels of scopes."""
    has_shadows: bool = False
    actions: Actions = NO_ACTIONS

    def for_agent(self, agent_id: str) -> tuple[CompiledPolicy, ...]:
        """Return the policies that decide about this agent, oldest first: its own, and those for every agent."""
        return self.enforced.for_agent(agent_id)

    def shadow_for_agent(self, agent_id: str) -> tuple[CompiledPolicy, ...]:
        """Return the policies that only record what they would decide about this agent."""
        return self.shadow.for_agent(agent_id)


NO_POLICIES = PolicySet()


def compile_policy_set(
    rows: Iterable[PolicyRow], *, previous: PolicySet = NO_POLICIES, actions: Actions = NO_ACTIONS
) -> PolicySet:
    """Return the policy set of an organization. Rows that `previous` has are not parsed again.

    A row that cannot be read becomes a policy that denies all requests.
    Danger: read the rows and the version in one statement, or the version may be that of other rows.
    """
    compiled = {row: previous.compiled.get(row) or _compile(row) for row in sorted(rows, key=_OLDEST_FIRST)}
    has_flows = any(policy.has_flows for policy in compiled.values())
    has_shadows = any(row.mode == SHADOW for row in compiled)
    modes = PoliciesOfMode.of(compiled, ENFORCE), PoliciesOfMode.of(compiled, SHADOW)
    return PolicySet(*modes, compiled, has_flows, has_shadows, actions)


def _compile(row: PolicyRow) -> CompiledPolicy:
    try:
        rules, limit_history = json.loads(row.rules), json.loads(row.limit_history)
    except Exception:
        logger.exception("Policy %s cannot be read and denies", row.id)
        return deny_all(row.id, row.name)
    return compile_policy(row.id, row.name, rules, limit_history)
