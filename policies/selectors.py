"""Reads of policies. Reads for a tenant go through `policies_for_organization` only."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.db.models import QuerySet

from core.errors import NotFound
from policies.engine import CompiledPolicy, compile_policy
from policies.models import Policy

MAX_COMPILED = 10_000

_compiled: dict[tuple[str, int], CompiledPolicy] = {}


@dataclass(frozen=True, slots=True)
class PolicySet:
    """The enabled policies of some organizations, compiled, oldest first."""

    by_organization: Mapping[str, tuple[tuple[str | None, CompiledPolicy], ...]]

    def for_agent(self, organization_id: str | None, agent_id: str) -> list[CompiledPolicy]:
        """Return the policies that apply to this agent: its own, and those for every agent of the organization."""
        policies = self.by_organization.get(organization_id or "", ())
        return [policy for owner, policy in policies if owner is None or owner == agent_id]


def policies_for_organization(organization_id: str) -> QuerySet[Policy]:
    """Return the organization's policies, newest first."""
    return Policy.objects.filter(organization_id=organization_id).order_by("-id")


def policy_for_organization(organization_id: str, policy_id: str) -> Policy:
    """Return the organization's policy. Raises `NotFound`, even if another organization has it."""
    policy: Policy | None = policies_for_organization(organization_id).filter(id=policy_id).first()
    if policy is None:
        raise NotFound("No such policy.")
    return policy


def enabled_policies(organization_ids: Iterable[str]) -> PolicySet:
    """Return the enabled policies of these organizations, in one query. Compiled policies are cached per version."""
    wanted = sorted(set(organization_ids))
    if not wanted:
        return PolicySet({})
    rows = Policy.objects.filter(organization_id__in=wanted, enabled=True).order_by("id")
    grouped: dict[str, list[tuple[str | None, CompiledPolicy]]] = {}
    for policy in rows:
        grouped.setdefault(policy.organization_id, []).append((policy.agent_id, _compile(policy)))
    return PolicySet({owner: tuple(policies) for owner, policies in grouped.items()})


def _compile(policy: Policy) -> CompiledPolicy:
    key = (policy.id, policy.version)
    if key not in _compiled:
        if len(_compiled) >= MAX_COMPILED:
            _compiled.clear()
        _compiled[key] = compile_policy(policy.id, policy.name, policy.rules, policy.limit_history)
    return _compiled[key]
