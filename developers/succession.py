"""Who owns an organization once the account of its last active owner is deactivated or erased."""

from datetime import datetime
from typing import Any

from django.dispatch import receiver

from accounts.models import User
from accounts.signals import account_deactivated
from core.actor import Actor
from developers.members import set_role
from developers.models import Organization
from developers.roles import Role
from developers.selectors import members_of, memberships_of
from developers.services import hold_organizations, suspend_held_organization

NO_SUCCESSOR = "The account of its last owner was closed, and it has no admin."


@receiver(account_deactivated)
def hand_over(*, user: User, actor: Actor, now: datetime, **kwargs: Any) -> None:
    """Give each organization that the user owned an owner whose account is active. A reactivation changes nothing."""
    hold_organizations(memberships_of(user).values_list("organization_id", flat=True))
    for each in memberships_of(user).filter(role=Role.OWNER):
        ensure_owner(each.organization, actor=actor, now=now)


def ensure_owner(organization: Organization, *, actor: Actor, now: datetime) -> None:
    """Make the oldest active admin the owner if no active owner is left, or suspend the organization without one.

    Call it in a revocation that holds the organization.
    """
    active = members_of(organization.pk).filter(user__is_active=True)
    if active.filter(role=Role.OWNER).exists():
        return
    successor = active.filter(role=Role.ADMIN).first()
    if successor is None:
        suspend_held_organization(actor=actor, organization=organization, reason=NO_SUCCESSOR, now=now)
    else:
        set_role(actor=actor, member=successor, role=Role.OWNER, now=now, isSuccession=True)
