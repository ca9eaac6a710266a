"""Developers as actors: identify them when the credential is checked, and lock them when something is written."""

from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext_noop

from core.actor import Actor
from core.errors import NotAuthenticated
from developers.models import Developer
from developers.services import require_organization


def as_developer(actor: Actor, developer: Developer) -> Actor:
    """Return `actor` as this developer, with the current state of the account."""
    state = developer.user.get_session_auth_hash()
    return actor.acting_as("developer", developer.id, account_state=state)


def hold_developer(actor: Actor) -> None:
    """Lock the acting developer's account and organization until the transaction ends. Ignore other kinds of actors.

    Raises `OrganizationSuspended`, and `NotAuthenticated` if the account has changed since its credential was checked:
    a request that came earlier must not recreate what a reset or a suspension has ended.
    Danger: call it first in the transaction. Lock accounts before organizations, and organizations before agents.
    """
    if actor.kind != "developer":
        return
    rows = Developer.objects.select_related("user", "organization")
    held = rows.select_for_update(no_key=True, of=("user", "organization")).filter(pk=actor.id).first()
    is_same = held is not None and constant_time_compare(held.user.get_session_auth_hash(), actor.account_state)
    if held is None or not is_same or not held.user.is_active:
        raise NotAuthenticated(gettext_noop("The account has changed. Sign in again."))
    require_organization(held.organization)
