"""Reads of developers, organizations and API keys."""

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext_noop

from accounts.models import User
from core import clock
from core.errors import NotFound
from core.rotation import AlreadyReplaced, find_live_secret, live
from developers.models import ApiKey, Developer, DomainClaim, Organization
from developers.roles import Right, Role, roles_with


def find_api_key(value: str) -> ApiKey | None:
    """Return the live API key of an active member or of an organization with this value. None otherwise."""
    keys = ApiKey.objects.select_related("organization", "developer__user", "developer__organization")
    works = Q(developer=None) | Q(developer__ended_at=None, developer__user__is_active=True)
    row: ApiKey | None = find_live_secret(keys.filter(works), value, clock.now())
    return row


def all_memberships_of(user: User) -> QuerySet[Developer]:
    """Return the user's memberships, oldest first, including those that have ended."""
    return Developer.objects.select_related("user", "organization").filter(user=user).order_by("id")


def memberships_of(user: User) -> QuerySet[Developer]:
    """Return the user's memberships that have not ended, oldest first."""
    return all_memberships_of(user).filter(ended_at=None)


def membership_in(user: User, organization_id: str) -> Developer | None:
    """Return the user's membership in the organization. None if there is none, or if it has ended."""
    return memberships_of(user).filter(organization_id=organization_id).first()


def sole_organizations(user: User) -> QuerySet[Organization]:
    """Return the organizations whose only member is `user`."""
    live_members = Developer.objects.filter(ended_at=None)
    others = live_members.filter(organization=OuterRef("pk")).exclude(user=user)
    mine = live_members.filter(user=user).values("organization")
    return Organization.objects.filter(~Exists(others), pk__in=mine)


def organizations_without_successor(user: User) -> QuerySet[Organization]:
    """Return the organizations that are suspended when the user's account ends: no other active owner or admin."""
    live_members = Developer.objects.filter(ended_at=None)
    able = live_members.filter(role__in=roles_with(Right.ADMINISTER), user__is_active=True)
    others = able.filter(organization=OuterRef("pk")).exclude(user=user)
    owned = live_members.filter(user=user, role=Role.OWNER).values("organization")
    return Organization.objects.filter(~Exists(others), pk__in=owned)


def members_of(organization_id: str) -> QuerySet[Developer]:
    """Return the memberships in the organization that have not ended, oldest first."""
    rows = Developer.objects.select_related("user", "organization")
    return rows.filter(organization_id=organization_id, ended_at=None).order_by("id")


def member_of(organization_id: str, member_id: str) -> Developer:
    """Return a membership in the organization, also one that has ended. Raises `NotFound`."""
    rows = Developer.objects.select_related("user", "organization")
    found: Developer | None = rows.filter(organization_id=organization_id, pk=member_id).first()
    if found is None:
        raise NotFound("No such member.")
    return found


def api_keys_for_developer(developer: Developer) -> QuerySet[ApiKey]:
    """Return the developer's own live API keys, newest first."""
    return developer.api_keys.filter(live(clock.now())).order_by("-id")


def api_keys_of_organization(organization_id: str) -> QuerySet[ApiKey]:
    """Return the live API keys that belong to the organization itself, newest first."""
    return ApiKey.objects.filter(live(clock.now()), organization_id=organization_id, developer=None).order_by("-id")


def organization_keys_made_by(developer: Developer) -> QuerySet[ApiKey]:
    """Return the live API keys of the organization itself whose values the member, also a past one, saw."""
    return api_keys_of_organization(developer.organization_id).filter(made_by=developer)


def api_keys_within_reach(developer: Developer | None, organization_id: str) -> QuerySet[ApiKey]:
    """Return the live keys of the developer and those of the organization itself, newest first."""
    is_own = Q(developer=developer) if developer else Q(pk=None)
    rows = ApiKey.objects.filter(is_own | Q(developer=None), live(clock.now()), organization_id=organization_id)
    return rows.order_by("-id")


def api_key_within_reach(developer: Developer, key_id: str) -> ApiKey:
    """Return the live API key with this id, the developer's or the organization's. Raises `NotFound`."""
    rows = api_keys_within_reach(developer, str(developer.organization_id))
    found: ApiKey | None = rows.filter(pk=key_id).first()
    if found is None:
        raise NotFound("No such API key.")
    return found


def current_api_key_within_reach(developer: Developer, key_id: str) -> ApiKey:
    """Return the same to rotate it. Raises `NotFound` and `AlreadyReplaced`."""
    key = api_key_within_reach(developer, key_id)
    if key.is_replaced:
        raise AlreadyReplaced(gettext_noop("A new key has replaced this one."))
    return key


def domain_claim_of(organization_id: str) -> DomainClaim | None:
    """Return the domain that the organization has claimed, proved or not. None without one."""
    return DomainClaim.objects.filter(organization_id=organization_id).first()
