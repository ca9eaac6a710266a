"""End a user's memberships when their account is erased, and what they run alone."""

import re
from datetime import datetime
from typing import Any

from django.dispatch import receiver

from accounts.models import User
from accounts.signals import account_erased
from audit.entries.personal_keys import destroy_keys
from audit.events import Event
from core.actor import Actor
from developers.domains import release_domain
from developers.invitations import forget_invitations
from developers.members import end_held
from developers.models import DomainClaim, Organization
from developers.roles import Role
from developers.selectors import all_memberships_of, memberships_of, sole_organizations
from developers.services import hold_organizations, suspend_held_organization
from developers.succession import ensure_owner

CLOSED = "Its only developer erased their account."
NEUTRAL_NAME = "Former developer"


@receiver(account_erased)
def end_developer(*, user: User, actor: Actor, now: datetime, **kwargs: Any) -> list[str]:
    """End the user's memberships, and close the organizations that have no other member.

    An organization without an active owner gets its oldest admin as owner. One that is called after an owner gets a
    neutral name. The names of agents, services and policies are the organization's own, and users need them to
    recognize in their log what they allowed. Return the subjects of the keys that are destroyed: those of memberships
    that ended earlier, too.
    """
    hold_organizations(memberships_of(user).values_list("organization_id", flat=True))
    alone = {*sole_organizations(user).values_list("pk", flat=True)}
    for member in list(memberships_of(user)):
        if member.role == Role.OWNER and _is_called_after(user, member.organization.name):
            Organization.objects.filter(pk=member.organization_id).update(name=NEUTRAL_NAME)
        end_held(actor=actor, member=member, event=Event.MEMBER_LEFT, now=now, reason="account_erased")
        if member.organization_id in alone:
            _close(member.organization, actor, now)
        else:
            ensure_owner(member.organization, actor=actor, now=now)
    subjects = list(all_memberships_of(user).values_list("pk", flat=True))
    destroy_keys(subjects)
    return subjects


def _close(organization: Organization, actor: Actor, now: datetime) -> None:
    """Suspend an organization without members, which stops all it runs."""
    if DomainClaim.objects.filter(organization=organization).exists():
        release_domain(actor=actor, organization=organization)
    Organization.objects.filter(pk=organization.pk).update(terms_url="", contact_email="")
    suspend_held_organization(actor=actor, organization=organization, reason=CLOSED, now=now)


@receiver(account_erased)
def end_invitations(*, user: User, actor: Actor, now: datetime, **kwargs: Any) -> None:
    """Delete the invitations to the user. Danger: connect this receiver after those that lock organizations."""
    forget_invitations(user, actor=actor)


def _is_called_after(user: User, name: str) -> bool:
    """Return whether the name contains the user's name or address. A registration through the API makes them equal."""
    words = [text for text in (user.name, user.email) if text]
    return any(re.search(rf"(?<!\w){re.escape(text)}(?!\w)", name, re.IGNORECASE) for text in words)
