"""Reads of policies. Reads for a tenant go through `policies_for_organization` only."""

from django.db.models import QuerySet

from core.errors import NotFound
from policies.models import Policy


def policies_for_organization(organization_id: str) -> QuerySet[Policy]:
    """Return the organization's policies, newest first."""
    return Policy.objects.filter(organization_id=organization_id).order_by("-id")


def policy_for_organization(organization_id: str, policy_id: str) -> Policy:
    """Return the organization's policy. Raises `NotFound`, even if another organization has it."""
    policy: Policy | None = policies_for_organization(organization_id).filter(id=policy_id).first()
    if policy is None:
        raise NotFound("No such policy.")
    return policy
