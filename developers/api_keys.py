"""The API keys of members and of organizations: create named ones, use, rotate and revoke them.

A caller replaces and ends only keys that may do at most as much as it may itself, and what it creates may do no more.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
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
from developers.key_mails import mail_administrators
from developers.models import ApiKey, Developer
from developers.roles import Right, Role, covers, lesser, require, require_covering
from developers.selectors import (
    api_key_within_reach,
    api_keys_for_developer,
    api_keys_of_organization,
    current_api_key_within_reach,
    find_api_key,
)
from developers.services import hold_organizations, record_developer

# Those that still work after a rotation count, too. An organization can have as many of its own.
MAX_API_KEYS = 10
MAX_AGENTS = 20
MIN_LIFETIME_SECONDS, MAX_LIFETIME_SECONDS = 60, 366 * 86_400
# A key of an organization ends, because no departure of a member ends it.
MAX_ORGANIZATION_LIFETIME_SECONDS = 365 * 86_400
MOST_OF_ORGANIZATION = Role.DEVELOPER


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """What a new key is for. Without a `role`, it has the greatest that it can have. Without `agent_ids`, all agents.

    It ends after `lifetime_seconds`, or never. A key that is `owned_by_organization` ends after a year at most.
    """

    name: str
    role: str | None = None
    agent_ids: Collection[str] | None = None
    lifetime_seconds: int | None = None
    owned_by_organization: bool = False


def use_api_key(value: str) -> ApiKey | None:
    """Return the live API key of an active member or of an organization, and record its use. None otherwise."""
    key = find_api_key(value)
    if key is not None:
        note_use(key)
    return key


def create_api_key(*, actor: Actor, developer: Developer, **wanted: Any) -> AddedSecret:
    """Create another key beside those that exist. Return it with its value, which cannot be read again.

    `wanted` are the fields of `NewKey`. Raises `Invalid` if one that is not replaced has the same name, if its owner
    has `MAX_API_KEYS` live ones, and for agents that are not the organization's. Raises `RoleInsufficient` if the
    caller may do less than the key, or may not create one of the organization, and `ReauthenticationRequired` like
    `rotate_api_key`.
    """
    new = NewKey(**wanted)
    with transaction.atomic():
        developer = _hold(actor, developer)
        require_recent_session(actor)
        role = _role_of_new(new, actor, developer)
        keys = _keys_of(developer, new.owned_by_organization)
        _require_room(new, list(keys))
        agent_ids = None if new.agent_ids is None else _own_agents(developer, new.agent_ids)
        lifetime, now = _lifetime(new), clock.now()
        fields = _fields(
            developer,
            now,
            name=new.name,
            role=role,
            agent_ids=agent_ids,
            lifetime_seconds=lifetime,
            is_own=not new.owned_by_organization,
        )
        added = create_secret(keys, prefix="ag", now=now, fields=fields)
        metadata = {"keyId": added.row.id, "name": new.name, **_facts(added.row)}
        if lifetime is not None:
            metadata["lifetimeSeconds"] = lifetime
        record_developer(Event.API_KEY_CREATED, actor=actor, developer=developer, metadata=metadata)
        _mail(actor, developer, added.row)
    return added


def rotate_api_key(
    *, actor: Actor, developer: Developer, overlap_seconds: int = 0, key_id: str | None = None
) -> NewSecret:
    """Replace the key with this id by a new one that is like it, or all own keys by a single new one.

    The new key has the name, agents, owner and lifetime of the earlier one, and its role, or that of the caller if
    this is a lesser one. A key that replaces several has no name and no end, reaches all agents, and has the greatest
    of their roles. What is replaced works for another `overlap_seconds`, 0 to 604800, or until its own end.

    Raises `NotFound` if no live key has the id, and `AlreadyReplaced`. Raises `RoleInsufficient` for a key that may do
    more than the caller, or that is the organization's while the caller does not administer it. Raises `Invalid` if
    with an overlap more than `MAX_API_KEYS` would work at once, and `ReauthenticationRequired` if the actor's session
    is not of a recent sign-in.
    """
    with revocation():
        developer = _hold(actor, developer)
        require_recent_session(actor)
        role = _role_of(actor, developer)
        replaced = current_api_key_within_reach(developer, key_id) if key_id else None
        keys = _keys_of(developer, replaced is not None and replaced.developer_id is None)
        found = [replaced] if replaced else list(keys)
        for key in found:
            _require_power(key, role, developer)
        now, chosen = clock.now(), Q(pk=key_id) if key_id else Q()
        fields = _fields_after(developer, replaced or sole(found), found, role, now)
        keys.filter(chosen).update(lifetime_seconds=None)
        new = rotate_secret(
            keys,
            prefix="ag",
            now=now,
            overlap_seconds=overlap_seconds,
            most=MAX_API_KEYS,
            fields=fields,
            replaced=chosen,
        )
        metadata: dict[str, Any] = {"overlapSeconds": overlap_seconds, **_facts(new.row)}
        if replaced:
            metadata |= {"keyId": replaced.id, "name": replaced.name}
        record_developer(Event.API_KEY_ROTATED, actor=actor, developer=developer, metadata=metadata)
        _mail(actor, developer, new.row)
    return new


def revoke_api_key(*, actor: Actor, developer: Developer, key_id: str) -> None:
    """End the key now. All other keys and sessions keep working.

    Raises `NotFound` if no live key has the id, and `RoleInsufficient` like `rotate_api_key`.
    """
    with revocation():
        developer = _hold(actor, developer)
        role = _role_of(actor, developer)
        key = api_key_within_reach(developer, key_id)
        _require_power(key, role, developer)
        ApiKey.objects.filter(pk=key.pk).update(expires_at=clock.now())
        metadata = {"keyId": key.id, "name": key.name, **owner_of(key)}
        record_developer(Event.API_KEY_REVOKED, actor=actor, developer=developer, metadata=metadata)


def _hold(actor: Actor, developer: Developer) -> Developer:
    """Lock the developer's account, organization and keys until the transaction ends.

    Raises `NotAuthenticated` if the account has changed since the credential was checked, and `OrganizationSuspended`.
    """
    hold_account(developer.user)
    hold_developer(actor)
    hold_organizations([developer.organization_id])
    return Developer.objects.select_for_update(of=("self",)).get(pk=developer.pk)


def _role_of(actor: Actor, developer: Developer) -> Role:
    """Return what the caller may do, whose key may have a lesser role than the member."""
    return lesser(actor.role or developer.role, developer.role)


def _role_of_new(new: NewKey, actor: Actor, developer: Developer) -> str:
    """Return the role of the new key. Raises `RoleInsufficient`, and `Invalid` if no key of an organization has it."""
    own = _role_of(actor, developer)
    if new.owned_by_organization:
        require(own, Right.ADMINISTER)
        role = new.role or MOST_OF_ORGANIZATION
        if not covers(MOST_OF_ORGANIZATION, role):
            raise Invalid.field("role", gettext_noop("A key of the organization can be developer or auditor."))
        return role
    role = new.role or own
    require_covering(own, role)
    return role


def _require_power(key: ApiKey, role: Role, developer: Developer) -> None:
    """Raise `RoleInsufficient` for a key of the organization unless the caller administers it.

    Do the same for an own key that may do more than the caller, which is then a key with a lesser role.
    """
    if key.developer_id is None:
        require(role, Right.ADMINISTER)
        return
    require_covering(role, lesser(key.role, developer.role))


def _require_room(new: NewKey, found: list[ApiKey]) -> None:
    if len(found) >= MAX_API_KEYS:
        text = gettext_noop("A developer can have at most %(most)d API keys. Revoke one first.")
        if new.owned_by_organization:
            text = gettext_noop("An organization can have at most %(most)d API keys of its own. Revoke one first.")
        raise Invalid.field("name", Filled(text, most=MAX_API_KEYS))
    if new.name in {key.name for key in found if not key.is_replaced}:
        text = gettext_noop("Another of your API keys has this name.")
        if new.owned_by_organization:
            text = gettext_noop("Another API key of the organization has this name.")
        raise Invalid.field("name", text)


def _own_agents(developer: Developer, wanted: Collection[str]) -> list[str]:
    """Return the ids, sorted. Raises `Invalid` unless they are 1 to `MAX_AGENTS` of the organization's agents."""
    ids = sorted(set(wanted))
    if not 1 <= len(ids) <= MAX_AGENTS:
        text = gettext_noop("Must be 1 to %(most)d of the organization's agents. Leave it out for all of them.")
        raise Invalid.field("agentIds", Filled(text, most=MAX_AGENTS))
    agents = developer.organization.agents.filter(pk__in=ids, deleted_at=None)
    if agents.count() < len(ids):
        raise Invalid.field("agentIds", gettext_noop("At least one is not one of your organization's agents."))
    return ids


def _lifetime(new: NewKey) -> int | None:
    """Return after how many seconds the key ends. Raises `Invalid` if that is too long for one of an organization."""
    if not new.owned_by_organization:
        return new.lifetime_seconds
    lifetime = new.lifetime_seconds or MAX_ORGANIZATION_LIFETIME_SECONDS
    if lifetime > MAX_ORGANIZATION_LIFETIME_SECONDS:
        text = gettext_noop("A key of the organization can work for at most %(most)d seconds, which is one year.")
        raise Invalid.field("expiresInSeconds", Filled(text, most=MAX_ORGANIZATION_LIFETIME_SECONDS))
    return lifetime


def _keys_of(developer: Developer, is_organizations: bool) -> QuerySet[ApiKey]:
    """Return the live keys of the developer, or those that belong to the organization itself."""
    if is_organizations:
        return api_keys_of_organization(developer.organization_id)
    return api_keys_for_developer(developer)


def _fields_after(
    developer: Developer, old: ApiKey | None, found: list[ApiKey], role: Role, now: datetime
) -> dict[str, Any]:
    """Return the fields of the key that replaces `old`, or all that are `found` if there is none."""
    if old is not None:
        return _fields(
            developer,
            now,
            name=old.name,
            role=lesser(old.role, role),
            agent_ids=old.agent_ids,
            lifetime_seconds=old.lifetime_seconds,
            is_own=old.developer_id is not None,
        )
    roles = [lesser(key.role, role) for key in found] or [role]
    return _fields(developer, now, role=next(each for each in Role if each in roles))


def _fields(
    developer: Developer,
    now: datetime,
    *,
    role: str,
    name: str = "",
    agent_ids: list[str] | None = None,
    lifetime_seconds: int | None = None,
    is_own: bool = True,
) -> dict[str, Any]:
    """Return the fields of a key that is created at `now`."""
    return {
        "developer": developer if is_own else None,
        "made_by": None if is_own else developer,
        "organization_id": developer.organization_id,
        "role": role,
        "name": name,
        "agent_ids": agent_ids,
        "lifetime_seconds": lifetime_seconds,
        "expires_at": None if lifetime_seconds is None else now + timedelta(seconds=lifetime_seconds),
    }


def _facts(key: ApiKey) -> dict[str, Any]:
    """Return what the log says about the power of a new key."""
    agents = {} if key.agent_ids is None else {"agentIds": key.agent_ids}
    return {"role": str(key.role), **agents, **owner_of(key)}


def owner_of(key: ApiKey) -> dict[str, Any]:
    """Return what the log says about whose key it is."""
    return {} if key.developer_id is not None else {"ownedByOrganization": True}


def _mail(actor: Actor, developer: Developer, key: ApiKey) -> None:
    """Mail the member whose session made the key and, if it belongs to the organization, its owners and admins."""
    mail_about_credential(Made.API_KEY, actor=actor, name=key.name)
    if key.developer_id is None:
        mail_administrators(developer=developer, actor=actor, key=key)
