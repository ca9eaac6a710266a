"""The organization's own stop, and its deletion, which begins with days in which everything is stopped.

Both are facts of their own. Neither changes an administrator's suspension, an administrator's stop of an agent or an
agent's status, and none of those lifts them.
"""

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from accounts.notices import add_notice
from audit.events import Event
from core import clock
from core.actor import SYSTEM, Actor
from core.locks import revocation
from core.rotation import live
from developers.acting import hold_developer, require_recent_session
from developers.errors import OrganizationDeleting
from developers.invitations import invitations_of, revoke_invitations
from developers.models import ApiKey, Developer, DomainClaim, Organization
from developers.roles import Right, require, roles_with
from developers.selectors import members_of
from developers.services import record_organization
from developers.signals import organization_deleted

GRACE = timedelta(days=7)


def stop_organization(*, actor: Actor, organization: Organization, reason: str) -> bool:
    """Stop all agents of the organization, and mail its owners and admins. Return False if they were stopped already.

    Every verify request that starts after this returns is denied. Only `resume_organization` lifts this stop.
    Raises `RoleInsufficient`, and the errors of `hold_developer`.
    """
    with revocation():
        hold_developer(actor)
        require(actor.role, Right.ADMINISTER)
        now = clock.now()
        running = Organization.objects.filter(pk=organization.pk, stopped_at=None)
        changed = bool(running.update(stopped_at=now, stop_reason=reason))
        if changed:
            record_organization(Event.ORGANIZATION_STOPPED, actor=actor, organization=organization, reason=reason)
            _tell("organization_stopped", organization, actor, now, reason=reason)
    return changed


@transaction.atomic
def resume_organization(*, actor: Actor, organization: Organization, reason: str = "") -> bool:
    """Lift the organization's own stop. Return False if there was none. Other stops stay in force."""
    hold_developer(actor)
    require(actor.role, Right.ADMINISTER)
    stopped = Organization.objects.filter(pk=organization.pk, stopped_at__isnull=False)
    changed = bool(stopped.update(stopped_at=None, stop_reason=""))
    if changed:
        record_organization(Event.ORGANIZATION_RESUMED, actor=actor, organization=organization, reason=reason)
    return changed


def delete_organization(*, actor: Actor, organization: Organization) -> datetime:
    """Stop everything of the organization, delete it in `GRACE`, and mail its owners and admins. Return when.

    Until then its members can only read, and an owner can restore it. Its services get no decisions.
    Raises `RoleInsufficient`, `OrganizationDeleting` if it is being deleted already, and `ReauthenticationRequired`.
    """
    require_recent_session(actor)
    with revocation():
        hold_developer(actor)
        require(actor.role, Right.OWN)
        now = clock.now()
        end = now + GRACE
        if not Organization.objects.filter(pk=organization.pk, deletes_at=None).update(deletes_at=end):
            raise OrganizationDeleting  # to actors that `hold_developer` ignores
        facts = {"deletesAt": end.isoformat()}
        record_organization(Event.ORGANIZATION_DELETION_STARTED, actor=actor, organization=organization, **facts)
        _tell("organization_deleting", organization, actor, now, until=end.isoformat())
    return end


@transaction.atomic
def restore_organization(*, actor: Actor, organization: Organization) -> bool:
    """Undo the deletion, and mail the owners and admins. Return False if there was none. Other stops stay in force."""
    hold_developer(actor, may_be_deleting=True)
    require(actor.role, Right.OWN)
    deleting = Organization.objects.filter(pk=organization.pk, deletes_at__isnull=False, deleted_at=None)
    changed = bool(deleting.update(deletes_at=None))
    if changed:
        record_organization(Event.ORGANIZATION_RESTORED, actor=actor, organization=organization)
        _tell("organization_restored", organization, actor, clock.now())
    return changed


def finish_deletion(organization_id: str) -> bool:
    """End the organization if its time is over: its members, keys and invitations, and what runs. Return whether it is.

    The row stays, and with it the domain, the scope prefixes and the identifiers, which no other organization gets. It
    stays stopped. Its agents are deleted afterwards (`agents.deletion`).
    """
    with revocation():
        now = clock.now()
        due = Organization.objects.filter(pk=organization_id, deletes_at__lte=now, deleted_at=None)
        organization = due.select_for_update(no_key=True, of=("self",)).first()
        if organization is None:
            return False
        Organization.objects.filter(pk=organization.pk).update(deleted_at=now)
        keys = ApiKey.objects.filter(live(now), organization=organization).update(expires_at=now)
        members = Developer.objects.filter(organization=organization, ended_at=None).update(ended_at=now)
        invitations = revoke_invitations(invitations_of(organization.pk), actor=SYSTEM, now=now)
        DomainClaim.objects.filter(organization=organization).update(due_at=None, review_asked_at=None)
        organization_deleted.send(sender=Organization, organization=organization, now=now)
        counts = {"members": members, "apiKeys": keys, "invitations": invitations}
        record_organization(Event.ORGANIZATION_DELETED, actor=SYSTEM, organization=organization, **counts)
    return True


def _tell(name: str, organization: Organization, actor: Actor, now: datetime, **facts: Any) -> None:
    """Let a worker mail each owner and admin, and name the member who did it."""
    members = members_of(organization.pk)
    by = members.filter(pk=actor.id or "").values_list("user__email", flat=True).first() or ""
    facts = {"organizationId": organization.pk, "organization": organization.name, "by": by, **facts}
    for member in members.filter(role__in=roles_with(Right.ADMINISTER), user__is_active=True):
        add_notice(name, user=member.user, actor=actor, at=now, facts=facts)
