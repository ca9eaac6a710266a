"""Writes to policies. A change applies to every verify that starts after the function has returned."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from django.dispatch import receiver
from django.utils.translation import gettext_noop

from agents.models import Agent
from agents.selectors import agents_for_organization
from agents.signals import agent_deleted
from audit.entries.drafts import Draft
from audit.events import Event
from audit.services import record
from core.actor import Actor
from core.errors import Conflict, Invalid, NotFound
from core.locks import revocation
from developers.acting import hold_developer
from developers.models import Organization
from developers.services import hold_organizations
from policies.actions import require_known_actions
from policies.flows import guarded_actions
from policies.limit_edits import LimitsNotReady, plan_edit, prepare_limits, store_ledger
from policies.models import Policy
from policies.quotas import require_room
from policies.rules import parse_rules
from policies.versions import changes_to, keep_version, version_of

# How often an edit prepares the counters, if other edits come in between.
MAX_ATTEMPTS = 5
EDITABLE = frozenset({"name", "description", "agent", "enabled", "mode", "rules"})
# The changes after which the enabled policies may be too much, with the field that is then named.
CROWDING = {"rules": "rules", "enabled": "enabled", "agent": "agentId"}


def create_policy(
    *,
    actor: Actor,
    organization: Organization,
    name: str,
    rules: Sequence[Mapping[str, Any]],
    agent: Agent | None = None,
    description: str = "",
    enabled: bool = True,
    mode: str = Policy.Mode.ENFORCE,
) -> Policy:
    """Create a policy. In the mode `shadow`, it only records what it would decide.

    Raises `InvalidRules` naming the field, and `Invalid` for another organization's agent.
    """
    require_known_actions(parse_rules(rules), organization_id=organization.id)
    with revocation():
        hold_developer(actor)
        hold_organizations([organization.id])
        _check_agent(organization.id, agent)
        if enabled:
            agent_id = agent.id if agent else None
            require_room(organization_id=organization.id, agent_id=agent_id, rules=rules, field="rules")
        policy = Policy.objects.create(
            organization=organization,
            agent=agent,
            name=name,
            description=description,
            enabled=enabled,
            mode=mode,
            rules=rules,
        )
        _record(Event.POLICY_CREATED, actor=actor, policy=policy)
        keep_version(policy, actor)
    return policy


def restore_version(*, actor: Actor, policy: Policy, number: int) -> Policy:
    """Bring back the content of an earlier version, as a change like any other. Return the updated policy.

    Raises `NotFound`, `InvalidRules` if the rules are no longer valid, and `Invalid` if the agent has been deleted.
    """
    version = version_of(policy, number)
    return update_policy(actor=actor, policy=policy, changes=changes_to(version), restored_from=number)


def update_policy(
    *,
    actor: Actor,
    policy: Policy,
    changes: Mapping[str, Any],
    restored_from: int | None = None,
    based_on: int | None = None,
    reason: str = "",
) -> Policy:
    """Change fields that are in `EDITABLE`; return the updated policy. Raises `InvalidRules`, `Invalid`, `NotFound`.

    `based_on` is the number of the version that the changes were made to: raises `Conflict` if there is a newer one. A
    changed limit keeps its counts, so an edit grants no new quota. A changed guard against data flows keeps what it
    remembers. `restored_from` is the number of the version that has the changes. `reason` is why an administrator
    makes them.
    """
    unknown = set(changes) - EDITABLE
    if unknown:
        raise Invalid.field(min(unknown), gettext_noop("This field cannot be changed."))
    if "rules" in changes:
        rules = parse_rules(changes["rules"])
        require_known_actions(rules, organization_id=policy.organization_id)
    change = partial(_change, actor, policy, changes, restored_from=restored_from, based_on=based_on, reason=reason)
    for _ in range(MAX_ATTEMPTS):
        try:
            return change()
        except LimitsNotReady:  # as after each change of a scope, and after several edits within a window
            prepare_limits(policy.id, changes.get("rules", policy.rules))
    raise Conflict(gettext_noop("The limits of this policy are being changed by another request. Try again."))


def _change(
    actor: Actor,
    policy: Policy,
    changes: Mapping[str, Any],
    *,
    restored_from: int | None,
    based_on: int | None,
    reason: str,
) -> Policy:
    """Change the fields. Raises `LimitsNotReady` if the counters must be prepared first, outside of the transaction."""
    with revocation():
        policy = _lock(actor, policy)
        if based_on not in (None, policy.version):
            raise Conflict(
                gettext_noop("The policy was changed after you opened it. Save again to replace that version.")
            )
        _check_agent(policy.organization_id, changes.get("agent"))
        plan = plan_edit(policy, changes.get("rules", policy.rules))
        guards = guarded_actions(policy.rules)
        for field, value in changes.items():
            setattr(policy, field, value)
        crowding = [named for field, named in CROWDING.items() if field in changes]
        if policy.enabled and crowding:
            _require_room(policy, crowding[0])
        policy.version += 1
        policy.save()
        origin = {} if restored_from is None else {"restoredVersion": restored_from}
        stated = {"reason": reason} if reason else {}
        metadata = {"changed": sorted(changes), **origin, **stated}
        _record(Event.POLICY_UPDATED, actor=actor, policy=policy, metadata=metadata)
        keep_version(policy, actor, restored_from=restored_from)
        store_ledger(policy, plan, guards)
    return policy


def delete_policy(*, actor: Actor, policy: Policy) -> None:
    """Delete a policy. Its rules and limits no longer apply. Raises `NotFound` if it has already been deleted."""
    with revocation():
        policy = _lock(actor, policy)
        _record(Event.POLICY_DELETED, actor=actor, policy=policy)
        policy.delete()


@receiver(agent_deleted)
def delete_policies_of_agent(*, actor: Actor, agent: Agent, **kwargs: Any) -> None:
    """Delete the policies for this agent alone. The caller is in a revocation that holds the organization."""
    for policy in Policy.objects.select_for_update(of=("self",)).filter(agent=agent).order_by("pk"):
        _record(Event.POLICY_DELETED, actor=actor, policy=policy)
        policy.delete()


def _lock(actor: Actor, policy: Policy) -> Policy:
    """Lock the policy until the transaction ends and return its current state. Raises `NotFound` if it is deleted.

    The organization comes first: triggers update it when the policy changes, and a developer's edit locks it first too.
    """
    hold_developer(actor)
    hold_organizations([policy.organization_id])
    locked = Policy.objects.select_for_update(of=("self",)).filter(pk=policy.pk).first()
    if locked is None:
        raise NotFound("No such policy.")
    return locked


def _require_room(policy: Policy, field: str) -> None:
    require_room(
        organization_id=policy.organization_id,
        agent_id=policy.agent_id,
        rules=policy.rules,
        field=field,
        policy_id=policy.id,
    )


def _check_agent(organization_id: str, agent: Agent | None) -> None:
    """Raise `Invalid` for an agent of others or a deleted one. Deleting an agent holds the organization, too."""
    if agent is not None and not agents_for_organization(organization_id).filter(pk=agent.pk).exists():
        raise Invalid.field("agentId", gettext_noop("Must be one of your organization's agents."))


def _record(event: Event, *, actor: Actor, policy: Policy, metadata: Mapping[str, Any] | None = None) -> None:
    draft = Draft(
        event=event,
        actor=actor,
        organization_id=policy.organization_id,
        agent_id=policy.agent_id,
        policy_id=policy.id,
        metadata={"name": policy.name, "version": policy.version, **(metadata or {})},
    )
    record(draft)
