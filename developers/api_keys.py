"""The API keys of a developer: create named ones, use, rotate and revoke them."""

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext_noop

from accounts.services import hold_account
from audit.events import Event
from core import clock
from core.actor import Actor
from core.errors import Invalid
from core.locks import revocation
from core.rotation import AddedSecret, NewSecret, create_secret, note_use, rotate_secret, sole
from core.wording import Filled
from developers.acting import hold_developer, require_recent_session
from developers.credential_mails import Made, mail_about_credential
from developers.models import ApiKey, Developer
from developers.selectors import api_key_of, api_keys_for_developer, current_api_key_of, find_api_key
from developers.services import record_developer

# Those that still work after a rotation count, too.
MAX_API_KEYS = 10
MIN_LIFETIME_SECONDS, MAX_LIFETIME_SECONDS = 60, 366 * 86_400


def use_api_key(value: str) -> ApiKey | None:
    """Return the live API key of an active developer, with that developer, and record its use. None otherwise."""
    key = find_api_key(value)
    if key is not None:
        note_use(key)
    return key


def create_api_key(
    *, actor: Actor, developer: Developer, name: str, lifetime_seconds: int | None = None
) -> AddedSecret:
    """Create another key beside those that exist. Return it with its value, which cannot be read again.

    It ends after `lifetime_seconds`, or never. Raises `Invalid` if one that is not replaced has the same name, or if
    the developer has `MAX_API_KEYS` live ones, and `ReauthenticationRequired` like `rotate_api_key`.
    """
    with transaction.atomic():
        developer = _hold(actor, developer)
        require_recent_session(actor)
        found = list(api_keys_for_developer(developer))
        if len(found) >= MAX_API_KEYS:
            text = gettext_noop("A developer can have at most %(most)d API keys. Revoke one first.")
            raise Invalid.field("name", Filled(text, most=MAX_API_KEYS))
        if name in {key.name for key in found if not key.is_replaced}:
            raise Invalid.field("name", gettext_noop("Another of your API keys has this name."))
        now = clock.now()
        fields = _fields(developer, name, lifetime_seconds, now)
        added = create_secret(developer.api_keys, prefix="ag", now=now, fields=fields)
        metadata = {"keyId": added.row.id, "name": name}
        if lifetime_seconds is not None:
            metadata["lifetimeSeconds"] = lifetime_seconds
        record_developer(Event.API_KEY_CREATED, actor=actor, developer=developer, metadata=metadata)
        mail_about_credential(Made.API_KEY, actor=actor, name=name)
    return added


def rotate_api_key(
    *, actor: Actor, developer: Developer, overlap_seconds: int = 0, key_id: str | None = None
) -> NewSecret:
    """Replace the key with this id by a new one with the same name and lifetime, or all keys by a single new one.

    A key that replaces several has no name and no end. What is replaced works for another `overlap_seconds`, 0 to
    604800, or until its own end. Raises `NotFound` if no live key has the id, `AlreadyReplaced`, and `Invalid` if with
    an overlap more than `MAX_API_KEYS` would work at once. `ReauthenticationRequired` if the actor's session is not of
    a recent sign-in.
    """
    with revocation():
        developer = _hold(actor, developer)
        require_recent_session(actor)
        found = api_keys_for_developer(developer)
        old = current_api_key_of(developer, key_id) if key_id else sole(found)
        (name, lifetime), now = (old.name, old.lifetime_seconds) if old else ("", None), clock.now()
        replaced = Q(pk=key_id) if key_id else Q()
        found.filter(replaced).update(lifetime_seconds=None)
        new = rotate_secret(
            developer.api_keys,
            prefix="ag",
            now=now,
            overlap_seconds=overlap_seconds,
            most=MAX_API_KEYS,
            fields=_fields(developer, name, lifetime, now),
            replaced=replaced,
        )
        metadata: dict[str, Any] = {"overlapSeconds": overlap_seconds}
        if key_id:
            metadata |= {"keyId": key_id, "name": name}
        record_developer(Event.API_KEY_ROTATED, actor=actor, developer=developer, metadata=metadata)
        mail_about_credential(Made.API_KEY, actor=actor, name=name)
    return new


def revoke_api_key(*, actor: Actor, developer: Developer, key_id: str) -> None:
    """End the key now. The developer's other keys and sessions keep working.

    Raises `NotFound` if no live key has the id.
    """
    with revocation():
        developer = _hold(actor, developer)
        key = api_key_of(developer, key_id)
        ApiKey.objects.filter(pk=key.pk).update(expires_at=clock.now())
        metadata = {"keyId": key.id, "name": key.name}
        record_developer(Event.API_KEY_REVOKED, actor=actor, developer=developer, metadata=metadata)


def _hold(actor: Actor, developer: Developer) -> Developer:
    """Lock the developer's account, organization and keys until the transaction ends.

    Raises `NotAuthenticated` if the account has changed since the credential was checked, and `OrganizationSuspended`.
    """
    hold_account(developer.user)
    hold_developer(actor)
    return Developer.objects.select_for_update(of=("self",)).get(pk=developer.pk)


def _fields(developer: Developer, name: str, lifetime_seconds: int | None, now: datetime) -> dict[str, Any]:
    """Return the fields of a key that is created at `now`."""
    end = None if lifetime_seconds is None else now + timedelta(seconds=lifetime_seconds)
    given = {"name": name, "lifetime_seconds": lifetime_seconds, "expires_at": end, "role": developer.role}
    return {**given, "organization_id": developer.organization_id}
