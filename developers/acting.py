"""Developers as actors: identify them when the credential is checked, and lock them when something is written."""

from datetime import datetime

from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext_noop

from accounts.recent import require_recent_sign_in
from core import clock
from core.actor import Actor
from core.errors import NotAuthenticated
from core.rotation import live
from developers.models import ApiKey, Developer
from developers.services import require_organization


def as_developer(actor: Actor, developer: Developer, *, api_key_id: str = "") -> Actor:
    """Return `actor` as this developer with an API key, with the current state of the account."""
    state = developer.user.get_session_auth_hash()
    return actor.acting_as("developer", developer.id, account_state=state)._replace(api_key_id=api_key_id)


def as_developer_in_session(actor: Actor, developer: Developer, signed_in_at: datetime | None) -> Actor:
    """Return `actor` as this developer with a session whose user last proved who they are at `signed_in_at`."""
    return as_developer(actor, developer)._replace(by_session=True, signed_in_at=signed_in_at)


def hold_developer(actor: Actor) -> None:
    """Lock the acting developer's account and organization until the transaction ends. Ignore other kinds of actors.

    Raises `OrganizationSuspended`, and `NotAuthenticated` if the account has changed or the API key has ended since the
    credential was checked: a request that came earlier must not recreate what has been ended meanwhile.
    Danger: call it first in the transaction. Lock accounts before organizations, and organizations before agents.
    """
    if actor.kind != "developer":
        return
    rows = Developer.objects.select_related("user", "organization")
    held = rows.select_for_update(no_key=True, of=("user", "organization")).filter(pk=actor.id).first()
    is_same = held is not None and constant_time_compare(held.user.get_session_auth_hash(), actor.account_state)
    if held is None or not is_same or not held.user.is_active:
        raise NotAuthenticated(gettext_noop("The account has changed. Sign in again."))
    # Danger: read it after the lock, which an end of keys holds, too.
    if actor.api_key_id and not ApiKey.objects.filter(live(clock.now()), pk=actor.api_key_id).exists():
        raise NotAuthenticated(gettext_noop("The API key is unknown or revoked."))
    require_organization(held.organization)


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
