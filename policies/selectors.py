"""Reads of policies. Reads for a tenant go through `policies_for_organization` only."""

import json

from django.db.models import Q, QuerySet

from core.errors import NotFound
from policies.models import Policy
from policies.policy_sets import PolicyRow, PolicySet, compile_policy_set
from resources.selectors import actions_of


def policies_for_organization(organization_id: str) -> QuerySet[Policy]:
    """Return the organization's policies, newest first."""
    return Policy.objects.filter(organization_id=organization_id).order_by("-id")


def policies_in_force(organization_id: str, *agent_ids: str) -> QuerySet[Policy]:
    """Return the policies of the organization that calls of these agents must pass, oldest first."""
    of_agent = Q(agent_id__in=agent_ids) | Q(agent_id=None)
    enforced = policies_for_organization(organization_id).filter(of_agent, enabled=True, mode=Policy.Mode.ENFORCE)
    return enforced.order_by("id")


def policies_without_history(organization_id: str) -> PolicySet:
    """Return the enabled policies of the organization, compiled for counters that begin empty."""
    rows = (
        PolicyRow(policy.id, policy.name, policy.agent_id, policy.mode, json.dumps(policy.rules), "{}")
        for policy in policies_for_organization(organization_id).filter(enabled=True)
    )
    return compile_policy_set(rows, actions=actions_of(organization_id))


def policy_for_organization(organization_id: str, policy_id: str) -> Policy:
    """Return the organization's policy. Raises `NotFound`, even if another organization has it."""
    rows = policies_for_organization(organization_id).select_related("agent")
    policy: Policy | None = rows.filter(id=policy_id).first()
    if policy is None:
        raise NotFound("No such policy.")
    return policy
