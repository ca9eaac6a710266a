"""The history of a policy: its content after each change, who made the change, and restoring an earlier version.

The log proves that a policy was changed, when and by whom. Its content serves only its owner and is deleted with the
policy, so it is in rows beside the policy instead.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext_noop

from agents.selectors import agents_for_organization
from core import clock
from core.actor import Actor
from core.errors import Invalid, NotFound
from policies.models import Policy, PolicyVersion

# What a policy decides depends on these. Its name and its description do not matter.
DECIDING = frozenset({"rules", "enabled", "mode", "agentId"})
MOST_COMPARED = 50
# Of each policy.
MAX_VERSIONS = 100


def keep_version(policy: Policy, actor: Actor, *, restored_from: int | None = None) -> None:
    """Keep the policy as it is now, and only its newest versions. Call it in the transaction of the change."""
    PolicyVersion.objects.create(
        policy=policy,
        number=policy.version,
        content=content_of(policy),
        actor_kind=actor.kind,
        actor_id=actor.id or "",
        restored_from=restored_from,
        created_at=clock.now(),
    )
    PolicyVersion.objects.filter(pk__in=list(versions_of(policy).values_list("pk", flat=True)[MAX_VERSIONS:])).delete()


def content_of(policy: Policy) -> dict[str, Any]:
    """Return what a version keeps of a policy, with the names that the API uses."""
    return {
        "name": policy.name,
        "description": policy.description,
        "agentId": policy.agent_id,
        "enabled": policy.enabled,
        "mode": policy.mode,
        "rules": policy.rules,
    }


def versions_of(policy: Policy) -> QuerySet[PolicyVersion]:
    """Return the versions of the policy that are kept, newest first."""
    return PolicyVersion.objects.filter(policy=policy).order_by("-number")


def deciding_since(policy: Policy) -> datetime:
    """Return since when the policy decides as it does now: the last change of its rules, status or agent.

    Of long histories, only the newest `MOST_COMPARED` versions are read.
    """
    since: datetime = policy.updated_at
    now = _deciding(content_of(policy))
    for version in versions_of(policy)[:MOST_COMPARED]:
        if _deciding(version.content) != now:
            break
        since = version.created_at
    return since


def _deciding(content: Mapping[str, Any]) -> dict[str, Any]:
    return {name: content.get(name) for name in DECIDING}


def version_of(policy: Policy, number: int) -> PolicyVersion:
    """Return a version of the policy. Raises `NotFound`."""
    found: PolicyVersion | None = versions_of(policy).select_related("policy").filter(number=number).first()
    if found is None:
        raise NotFound("No such version.")
    return found


def changes_to(version: PolicyVersion) -> Mapping[str, Any]:
    """Return the changes that bring the policy back to this version. Raises `Invalid` if its agent is deleted."""
    fields = dict(version.content)
    agent_id = fields.pop("agentId")
    agents = agents_for_organization(version.policy.organization_id)
    agent = agents.filter(pk=agent_id).first() if agent_id else None
    if agent_id and agent is None:
        raise Invalid.field("agentId", gettext_noop("The agent of this version has been deleted."))
    return {**fields, "agent": agent}
