"""Developers as actors: identify them when the credential is checked, and lock them when something is written."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NoReturn

from django.db.models import QuerySet
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext_noop

from accounts.recent import require_recent_sign_in
from core import clock
from core.actor import Actor
from core.errors import NotAuthenticated
from core.rotation import live
from core.wording import Filled
from developers.access import Access
from developers.models import ApiKey, Developer, Organization
from developers.roles import Right, Role, RoleInsufficient, covers, lesser, require
from developers.services import require_kept, require_organization


def as_developer(actor: Actor, developer: Developer, *, api_key_id: str = "", role: str = "") -> Actor:
    """Return `actor` as this developer with an API key, with the current state of the account.

    Without a `role`, they act with that of their membership.
    """
    state = developer.user.get_session_auth_hash()
    acting = actor.acting_as("developer", developer.id, account_state=state)
    return acting._replace(api_key_id=api_key_id, role=role or developer.role)


def as_developer_in_session(actor: Actor, developer: Developer, signed_in_at: datetime | None) -> Actor:
    """Return `actor` as this developer with a session whose user last proved who they are at `signed_in_at`."""
    return as_developer(actor, developer)._replace(by_session=True, signed_in_at=signed_in_at)


def as_key(actor: Actor, key: ApiKey, access: Access) -> Actor:
    """Return `actor` as the developer of the API key or, if it belongs to the organization, as the key itself."""
    if access.developer is None:
        return actor.acting_as("api_key", key.id)._replace(api_key_id=key.id, role=access.role)
    return as_developer(actor, access.developer, api_key_id=key.id, role=access.role)


def hold_developer(actor: Actor, *, may_be_deleting: bool = False) -> None:
    """Lock the acting developer's account, organization and membership until the transaction ends.

    Do the same for a key of an organization, which has neither account nor membership. Ignore other kinds of actors.
    Raises `OrganizationSuspended`, `OrganizationDeleting` unless it `may_be_deleting`, `RoleInsufficient` if the role
    has become a lesser one since the credential was checked, and `NotAuthenticated` if the account has changed, or if
    the membership or the API key has ended since: a request that came earlier must not recreate what has been ended
    meanwhile.
    Danger: call it first in the transaction. Lock accounts before organizations, and organizations before agents.
    """
    if actor.kind == "api_key":
        organization = _hold_key_of_organization(actor)
    elif actor.kind == "developer":
        organization = _hold_member(actor)
    else:
        return
    require_organization(organization)
    if not may_be_deleting:
        require_kept(organization)


def while_permitted[T](actor: Actor, right: Right, pieces: Iterable[T]) -> Iterator[T]:
    """Yield the pieces of a long response, each after checking that the actor may still read it.

    Raises like `hold_developer`, but only if the role does not have the right any more, and locks nothing. An error
    ends the connection, so that what was sent does not look complete.
    """
    found = iter(pieces)
    while True:
        _require_reader(actor, right)
        try:
            piece = next(found)
        except StopIteration:
            return
        yield piece


def _require_reader(actor: Actor, right: Right) -> None:
    is_key = actor.kind == "api_key"
    role, organization = _find_key(actor, Organization.objects.all()) if is_key else _find_member(actor, _members())
    require(role, right)
    require_organization(organization)


def _hold_member(actor: Actor) -> Organization:
    # In this order: who ends a membership holds the organization before it.
    locked = _members().select_for_update(no_key=True, of=("user", "organization", "self"))
    role, organization = _find_member(actor, locked)
    _require_role(actor, role)
    return organization


def _hold_key_of_organization(actor: Actor) -> Organization:
    role, organization = _find_key(actor, Organization.objects.select_for_update(no_key=True, of=("self",)))
    _require_role(actor, role)
    return organization


def _members() -> QuerySet[Developer]:
    return Developer.objects.select_related("user", "organization")


def _find_member(actor: Actor, rows: QuerySet[Developer]) -> tuple[Role, Organization]:
    """Return what the member or their API key may do now, and where. `rows` are all members, perhaps with a lock."""
    found = rows.filter(pk=actor.id, ended_at=None).first()
    is_same = found is not None and constant_time_compare(found.user.get_session_auth_hash(), actor.account_state)
    if found is None or not is_same or not found.user.is_active:
        raise NotAuthenticated(gettext_noop("The account has changed. Sign in again."))
    role = lesser(found.role, _live_key(actor.api_key_id).role) if actor.api_key_id else Role(found.role)
    return role, found.organization


def _find_key(actor: Actor, rows: QuerySet[Organization]) -> tuple[Role, Organization]:
    """Return what the organization's key may do now, and where. `rows` are all organizations, perhaps with a lock."""
    organization = rows.filter(api_keys=actor.id or "").first()
    if organization is None:
        _refuse_key()
    return Role(_live_key(actor.api_key_id).role), organization


def _live_key(key_id: str) -> ApiKey:
    """Return the key. Danger: read it after the lock, which an end of keys holds, too."""
    key = ApiKey.objects.filter(live(clock.now()), pk=key_id).first()
    return key or _refuse_key()


def _refuse_key() -> NoReturn:
    raise NotAuthenticated(gettext_noop("The API key is unknown or revoked."))


def _require_role(actor: Actor, role: str) -> None:
    """Raise `RoleInsufficient` if the actor had a greater role when the credential was checked."""
    if actor.role and not covers(role, actor.role):
        text = gettext_noop("The role has changed to %(role)s meanwhile. Try again.")
        raise RoleInsufficient(Filled(text, role=Role(role).value))


def require_recent_session(actor: Actor) -> None:
    """Raise `ReauthenticationRequired` if the actor has a session whose sign-in is not recent.

    Call it before making what outlives a session: API keys, secrets and redirect URIs. An API key needs no sign-in: it
    is itself such a credential, so what it makes is listed and ended with it (`agents.issued`).
    """
    if actor.by_session:
        require_recent_sign_in(actor.signed_in_at)


def maker(actor: Actor) -> str | None:
    """Return the id of the developer who acts, to store it with what they make. None for other actors."""
    return actor.id if actor.kind == "developer" else None
