"""Change the roles of members, and end memberships.

Each write locks the organization, so at least one owner whose account is active remains.
"""

from datetime import datetime
from typing import Any

from django.db import transaction

from accounts.notices import add_notice
from accounts.services import hold_account
from audit.events import Event
from core import clock
from core.actor import Actor
from core.errors import NotFound
from core.rotation import live
from developers.acting import hold_developer, require_recent_session
from developers.errors import LastOwner
from developers.invitations import revoke_invitations_by, tell_administrators
from developers.models import Developer, Organization
from developers.roles import Right, Role, covers, may, require, require_covering
from developers.selectors import members_of
from developers.services import hold_organizations, record_developer


@transaction.atomic
def change_role(*, actor: Actor, organization_id: str, member_id: str, role: str) -> Developer:
    """Give a member of the actor's organization another role, and return the member. Mail them.

    What their API keys may do changes with it. If they may do more and become an admin or owner, the other owners and
    admins are mailed, too. Raises `NotFound`, `LastOwner`, `RoleInsufficient` if the member's role or the new one is
    greater than the actor's, and `ReauthenticationRequired` for a greater role, which outlives the actor's session.
    """
    hold_developer(actor)
    require(actor.role, Right.ADMINISTER)
    member = _hold_member(organization_id, member_id)
    for one in (member.role, role):
        require_covering(actor.role, one)
    if role == member.role:
        return member
    is_raised, now = covers(role, member.role), clock.now()
    if is_raised:
        require_recent_session(actor)
    _require_other_owner(member)
    set_role(actor=actor, member=member, role=role, now=now)
    if is_raised and may(role, Right.ADMINISTER):
        tell_administrators("member_raised", member, now)
    return member


@transaction.atomic
def end_membership(*, actor: Actor, organization_id: str, member_id: str) -> None:
    """Remove a member of the actor's organization, who is mailed. With the actor's own id, leave it.

    The API keys and the open invitations of the membership end with it. What the member made stays. Raises `NotFound`,
    `LastOwner`, and `RoleInsufficient` if the member's role is greater than the actor's.
    """
    hold_developer(actor)
    member = _hold_member(organization_id, member_id)
    is_own = member.id == actor.id
    if not is_own:
        require(actor.role, Right.ADMINISTER)
    # An API key of a lesser role must not make its member leave.
    require_covering(actor.role, member.role)
    _require_other_owner(member)
    now = clock.now()
    end_held(actor=actor, member=member, event=Event.MEMBER_LEFT if is_own else Event.MEMBER_REMOVED, now=now)
    if not is_own:
        add_notice("member_removed", user=member.user, actor=actor, at=now, facts=_facts(member))


@transaction.atomic
def leave(*, actor: Actor, member: Developer) -> None:
    """End a membership for its user, who can also leave a suspended organization. Raises `NotFound` and `LastOwner`."""
    hold_account(member.user)
    hold_organizations([member.organization_id])
    held = _hold_member(member.organization_id, member.id)
    _require_other_owner(held)
    end_held(actor=actor, member=held, event=Event.MEMBER_LEFT, now=clock.now())


def set_role(*, actor: Actor, member: Developer, role: str, now: datetime, **more: Any) -> Developer:
    """Change the role of a member whose organization is locked, revoke what they could no longer invite, and mail them.

    Return the member. The entry has `more`.
    """
    before, member.role = member.role, role
    Developer.objects.filter(pk=member.pk).update(role=role)
    metadata = {"before": str(before), "after": str(role), **more}
    record_developer(Event.MEMBER_ROLE_CHANGED, actor=actor, developer=member, metadata=metadata)
    revoke_invitations_by(member, actor=actor, now=now, role=Role(role))
    add_notice("member_role_changed", user=member.user, actor=actor, at=now, facts={**_facts(member), "role": role})
    return member


def end_held(*, actor: Actor, member: Developer, event: Event, now: datetime, **more: Any) -> None:
    """End a membership whose organization is locked, with its API keys and open invitations. The entry has `more`."""
    Developer.objects.filter(pk=member.pk).update(ended_at=now)
    keys = member.api_keys.filter(live(now)).update(expires_at=now)
    metadata = {"role": member.role, "apiKeys": keys, **more}
    record_developer(event, actor=actor, developer=member, metadata=metadata)
    revoke_invitations_by(member, actor=actor, now=now)


def other_owners(member: Developer) -> bool:
    """Return whether the organization has another owner whose account is active. Lock it first."""
    owners = members_of(member.organization_id).filter(role=Role.OWNER, user__is_active=True)
    return owners.exclude(pk=member.pk).exists()


def _require_other_owner(member: Developer) -> None:
    if member.role == Role.OWNER and not other_owners(member):
        raise LastOwner


def _hold_member(organization_id: str, member_id: str) -> Developer:
    """Lock a member of the organization. Raises `NotFound`. Danger: lock the organization first."""
    rows = members_of(organization_id).select_for_update(no_key=True, of=("self",))
    member = rows.filter(pk=member_id).first()
    if member is None:
        raise NotFound("No such member.")
    return member


def _facts(member: Developer) -> dict[str, Any]:
    name = Organization.objects.values_list("name", flat=True).get(pk=member.organization_id)
    return {"organizationId": member.organization_id, "organization": name}
