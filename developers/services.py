"""Register developers, and suspend and verify organizations. Their API keys are in `api_keys`."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Value
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_noop

from accounts.addresses import normalize_email
from accounts.authenticators import has_second_factor
from accounts.errors import BadCredentials, EmailTaken
from accounts.models import PendingRegistration, User
from accounts.recent import require_recent_sign_in
from accounts.registration import take_registration
from accounts.services import add_user, check_password, hold_account, new_user
from audit.entries.drafts import Draft
from audit.events import Event
from audit.services import record
from core import clock
from core.actor import Actor
from core.locks import revocation
from core.names import check_name
from core.rotation import add_secret
from core.wording import Filled
from developers.credential_mails import Made, mail_owner
from developers.errors import OrganizationDeleting, OrganizationSuspended
from developers.models import Developer, DomainClaim, Organization
from developers.roles import Role


@dataclass(frozen=True, slots=True)
class RegisteredDeveloper:
    """A new developer and the first API key, which cannot be read again."""

    developer: Developer
    api_key: str

    def __repr__(self) -> str:
        return f"RegisteredDeveloper({self.developer.id})"


def register_developer(*, actor: Actor, name: str, email: str, password: str) -> RegisteredDeveloper:
    """Create a user, their organization and a first API key.

    An existing user becomes a developer if the password is theirs.
    Raises `EmailTaken`, and `Invalid` if the password is weak.
    """
    registrant = find_registrant(actor=actor, name=name, email=email, password=password)
    return create_developer(actor=actor, registrant=registrant, name=name)


def find_registrant(*, actor: Actor, name: str, email: str, password: str) -> User:
    """Return the user with this address and password, or a new unsaved one. Raises the errors of `register_developer`.

    The password is not enough for an account with a second factor. It hashes and throttles, so call it before a
    transaction opens.
    """
    check_name(name)
    if not User.objects.filter(email=normalize_email(email)).exists():
        return new_user(email=email, password=password, name=name)
    try:
        user = check_password(actor=actor, email=email, password=password)
    except BadCredentials as error:
        raise EmailTaken(
            Filled(gettext_noop("%(email)s already has an account. Sign in instead."), email=email)
        ) from error
    if has_second_factor(user):
        raise EmailTaken(
            Filled(
                gettext_noop("%(email)s already has an account. Sign in on the website to become a developer."),
                email=email,
            )
        )
    return user


@transaction.atomic
def create_developer(*, actor: Actor, registrant: User, name: str) -> RegisteredDeveloper:
    """Make the user a developer, after saving a new user. Mail an existing one. Raises `EmailTaken`."""
    if registrant._state.adding:
        return become_developer(actor=actor, user=add_user(actor=actor, user=registrant), name=name)
    # The password has just been checked.
    return join_as_developer(actor=actor, user=registrant, name=name, signed_in_at=clock.now())


@transaction.atomic
def confirm_developer(*, actor: Actor, email: str, code: str) -> RegisteredDeveloper:
    """Create the developer whose registration this code confirms. Raises `InvalidCode`, `EmailTaken`."""
    user = take_registration(kind=PendingRegistration.Kind.DEVELOPER, email=email, code=code)
    add_user(actor=actor, user=user, is_verified=True)
    return become_developer(actor=actor, user=user, name=user.name)


@transaction.atomic
def join_as_developer(*, actor: Actor, user: User, name: str, signed_in_at: datetime | None) -> RegisteredDeveloper:
    """Make the user of a browser's session a developer, and mail them that they have an API key now.

    Raises `ReauthenticationRequired` unless the sign-in is recent, and `EmailTaken` for a developer.
    """
    require_recent_sign_in(signed_in_at)
    new = become_developer(actor=actor, user=user, name=name)
    mail_owner(Made.API_KEY, user=user, actor=actor)
    return new


def become_developer(*, actor: Actor, user: User, name: str) -> RegisteredDeveloper:
    """Create the user's first organization, with them as its owner and an API key. Raises `EmailTaken` for a developer.

    A developer creates another organization by `developers.organizations`.
    """
    check_name(name)
    with transaction.atomic():
        hold_account(user)
        if Developer.objects.filter(user=user, ended_at=None).exists():
            text = gettext_noop("%(email)s is already a developer. Sign in instead.")
            raise EmailTaken(Filled(text, email=user.email))
        developer = add_organization(user, name)
        api_key = _add_api_key(developer, clock.now())
        record_developer(
            Event.DEVELOPER_REGISTERED,
            actor=actor.acting_as("developer", developer.id),
            developer=developer,
        )
    return RegisteredDeveloper(developer, api_key)


def add_organization(user: User, name: str) -> Developer:
    """Create an organization and return the user's membership as its owner. Lock the account first."""
    organization = Organization.objects.create(name=name)
    return Developer.objects.create(user=user, organization=organization, role=Role.OWNER)


def suspend_organization(*, actor: Actor, organization: Organization, reason: str) -> bool:
    """Suspend the organization, which stops all its agents. Return False if it was already suspended."""
    with revocation():
        return suspend_held_organization(actor=actor, organization=organization, reason=reason, now=clock.now())


def suspend_held_organization(*, actor: Actor, organization: Organization, reason: str, now: datetime) -> bool:
    """Suspend the organization in a revocation in progress. Return False if it was already suspended."""
    live = Organization.objects.filter(pk=organization.pk, suspended_at__isnull=True)
    changed = bool(live.update(suspended_at=now, suspension_reason=reason))
    if changed:
        record_organization(Event.ORGANIZATION_SUSPENDED, actor=actor, organization=organization, reason=reason)
    return changed


@transaction.atomic
def reactivate_organization(*, actor: Actor, organization: Organization, reason: str) -> bool:
    """Lift the suspension. Return False if there was none."""
    stopped = Organization.objects.filter(pk=organization.pk, suspended_at__isnull=False)
    changed = bool(stopped.update(suspended_at=None, suspension_reason=""))
    if changed:
        record_organization(Event.ORGANIZATION_REACTIVATED, actor=actor, organization=organization, reason=reason)
    return changed


def verify_organization(*, actor: Actor, organization: Organization, is_verified: bool, reason: str) -> bool:
    """Record whether an administrator has verified the identity of the organization, which answers its request.

    It is verified with the domain that it has now, under the name that the administrator saw. Return False if that was
    already recorded, or if it has another name by now. Once it is not verified, no verify that starts after this
    returns lets it act for agents of other developers.
    """
    with transaction.atomic() if is_verified else revocation():
        return _verify(actor, organization, is_verified=is_verified, reason=reason)


def _verify(actor: Actor, organization: Organization, *, is_verified: bool, reason: str) -> bool:
    others = Organization.objects.filter(pk=organization.pk)
    if is_verified:
        others = others.filter(name=organization.name)
    others = others.filter(is_verified=False) if is_verified else others.exclude(verified_with=None)
    verified_with = Coalesce("domain", Value("")) if is_verified else None
    changed = bool(others.update(is_verified=is_verified, verified_with=verified_with))
    if changed:
        DomainClaim.objects.filter(organization=organization).update(review_asked_at=None)
        record_organization(
            Event.ORGANIZATION_VERIFIED,
            actor=actor,
            organization=organization,
            reason=reason,
            verified=is_verified,
        )
    return changed


def require_organization(organization: Organization) -> None:
    """Raise `OrganizationSuspended`, with the time and the administrator's reason, if the organization may not act."""
    if not organization.may_act:
        raise OrganizationSuspended(organization.suspension_notice())


def require_kept(organization: Organization) -> None:
    """Raise `OrganizationDeleting` if an owner has asked to delete the organization."""
    if organization.deletes_at is not None:
        text = gettext_noop("It will be deleted on %(when)s. Until then, an owner can restore it.")
        raise OrganizationDeleting(Filled(text, when=f"{organization.deletes_at:%Y-%m-%d at %H:%M} UTC"))


def hold_organizations(ids: Iterable[str | None]) -> None:
    """Lock the organizations until the transaction ends, so that a suspension waits for what is being granted.

    Danger: lock accounts before organizations, and organizations before agents.
    """
    wanted = {organization_id for organization_id in ids if organization_id}
    list(Organization.objects.select_for_update(no_key=True, of=("self",)).filter(pk__in=wanted).order_by("pk"))


def _add_api_key(developer: Developer, now: datetime) -> str:
    return add_secret(
        developer.api_keys,
        prefix="ag",
        now=now,
        fields={"organization_id": developer.organization_id, "role": developer.role},
    )


def record_developer(
    event: Event, *, actor: Actor, developer: Developer, metadata: dict[str, Any] | None = None
) -> None:
    """Log an event of a developer, for their organization and for themselves."""
    draft = Draft(
        event=event,
        actor=actor,
        organization_id=developer.organization_id,
        user_id=developer.user_id,
        metadata={"developerId": developer.id, **(metadata or {})},
    )
    record(draft)


def record_organization(event: Event, *, actor: Actor, organization: Organization, **metadata: Any) -> None:
    record(Draft(event=event, actor=actor, organization_id=organization.id, metadata=metadata))
