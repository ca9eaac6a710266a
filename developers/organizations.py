"""Create further organizations."""

from django.db import transaction

from accounts.models import User
from accounts.selectors import require_verified_address
from accounts.services import hold_account
from audit.entries.drafts import Draft
from audit.events import Event
from audit.services import record
from core.actor import Actor
from core.names import check_name
from developers.invitations import MAX_MEMBERSHIPS, too_many_memberships
from developers.membership_errors import TooManyMemberships
from developers.models import Developer
from developers.selectors import memberships_of
from developers.services import add_organization
from limits.throttle import Subject, Throttle

CREATIONS = "10/day"


def throttle_creation(user: User) -> None:
    """Count an organization that the user creates. Raises `Throttled`."""
    Throttle("organization-creation", CREATIONS).hit(Subject(f"user:{user.pk}"))


def create_organization(*, actor: Actor, user: User, name: str) -> Developer:
    """Create an organization, and return the user's membership as its owner. Call `throttle_creation` first.

    Raises `EmailUnverified`, `TooManyMemberships`, and `Invalid` for a name with check marks.
    """
    check_name(name)
    with transaction.atomic():
        held = hold_account(user)
        require_verified_address(held)
        if memberships_of(held).count() >= MAX_MEMBERSHIPS:
            raise TooManyMemberships(too_many_memberships())
        developer = add_organization(held, name)
        record(
            Draft(
                event=Event.ORGANIZATION_CREATED,
                actor=actor,
                organization_id=developer.organization_id,
                user_id=held.pk,
                metadata={"developerId": developer.pk},
                personal={"name": name},
            )
        )
    return developer
