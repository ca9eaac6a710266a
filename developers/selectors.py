"""Reads of developers, organizations and API keys."""

from django.db.models import Exists, OuterRef, QuerySet
from django.utils.translation import gettext_noop

from accounts.models import User
from core import clock
from core.errors import NotFound
from core.rotation import AlreadyReplaced, find_live_secret, live
from developers.models import ApiKey, Developer, DomainClaim, Organization


def find_api_key(value: str) -> ApiKey | None:
    """Return the live API key of an active developer, with that developer. None otherwise."""
    keys = ApiKey.objects.select_related("developer__user", "developer__organization")
    row: ApiKey | None = find_live_secret(keys.filter(developer__user__is_active=True), value, clock.now())
    return row


def developer_for_user(user: User) -> Developer | None:
    """Return the user's developer account. None if there is none."""
    return Developer.objects.select_related("user", "organization").filter(user=user).first()


def sole_organization(user: User) -> Organization | None:
    """Return the organization whose only developer is `user`. None if it has other developers or does not exist."""
    others = Developer.objects.filter(organization=OuterRef("pk")).exclude(user=user)
    return Organization.objects.filter(~Exists(others), developers__user=user).first()


def api_keys_for_developer(developer: Developer) -> QuerySet[ApiKey]:
    """Return the live API keys, newest first."""
    return developer.api_keys.filter(live(clock.now())).order_by("-id")


def api_key_of(developer: Developer, key_id: str) -> ApiKey:
    """Return the developer's live API key with this id. Raises `NotFound`."""
    found: ApiKey | None = api_keys_for_developer(developer).filter(pk=key_id).first()
    if found is None:
        raise NotFound("No such API key.")
    return found


def current_api_key_of(developer: Developer, key_id: str) -> ApiKey:
    """Return the developer's live API key with this id, to rotate it. Raises `NotFound` and `AlreadyReplaced`."""
    key = api_key_of(developer, key_id)
    if key.is_replaced:
        raise AlreadyReplaced(gettext_noop("A new key has replaced this one."))
    return key


def domain_claim_of(organization_id: str) -> DomainClaim | None:
    """Return the domain that the organization has claimed, proved or not. None without one."""
    return DomainClaim.objects.filter(organization_id=organization_id).first()
