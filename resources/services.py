"""Register, update and delete resource servers, and rotate their secrets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.translation import gettext_noop

from audit.entries.drafts import Draft
from audit.events import Event
from audit.services import record
from core import clock
from core.actor import Actor
from core.errors import Invalid, NotFound
from core.locks import lock_identifiers, revocation
from core.rotation import NewSecret, add_secret, rotate_secret
from core.uris import UnusableUri, canonical_uri
from core.wording import Filled
from developers.acting import hold_developer, maker, require_recent_session
from developers.credential_mails import Made, mail_about_credential
from developers.models import Organization
from resources.catalogue import gone_scopes
from resources.custom_scopes import ScopeDefinition, is_own_scope, save_scopes
from resources.identifiers import claim_identifier, reserve_identifier, taken
from resources.models import ResourceServer

MAX_IDENTIFIER_LENGTH = 500
# Of an organization.
MAX_SERVERS = 1000
# Those that still work after a rotation count, too.
MAX_SECRETS = 10


@dataclass(frozen=True, slots=True)
class RegisteredResourceServer:
    """A new resource server and its first secret, which cannot be read again."""

    server: ResourceServer
    secret: str

    def __repr__(self) -> str:
        return f"RegisteredResourceServer({self.server.id})"


def register_resource_server(
    *,
    actor: Actor,
    organization: Organization,
    name: str,
    identifier: str,
    scopes: Sequence[str | ScopeDefinition],
) -> RegisteredResourceServer:
    """Register a service as an audience. Its identifier is stored in canonical form.

    Raises `Invalid`, also for more than `MAX_SERVERS`, `IdentifierTaken` and its subclass, `ScopePrefixTaken` for
    another organization's prefix, and `ReauthenticationRequired` if the actor's session is not of a recent sign-in.
    """
    identifier = canonical_identifier(identifier)
    with transaction.atomic():
        hold_developer(actor)
        require_recent_session(actor)
        scope_ids = save_scopes(organization, scopes)
        lock_identifiers()
        _require_room(organization)
        server = _create(organization, name, identifier, scope_ids)
        claim_identifier(server)
        secret = add_secret(server.secrets, prefix="rs", now=clock.now(), fields={"made_by_id": maker(actor)})
        _record(Event.RESOURCE_SERVER_CREATED, actor=actor, server=server, metadata={"identifier": identifier})
        mail_about_credential(Made.RESOURCE_SERVER, actor=actor, name=name)
    return RegisteredResourceServer(server, secret)


def update_resource_server(
    *,
    actor: Actor,
    server: ResourceServer,
    name: str | None = None,
    scopes: Sequence[str | ScopeDefinition] | None = None,
) -> ResourceServer:
    """Change the given fields and return the updated resource server. Its identifier is in tokens and never changes.

    Raises `Invalid`, `ScopePrefixTaken`.
    """
    with transaction.atomic():
        hold_developer(actor)
        server = _hold(server)
        if name is not None:
            server.name = name
        if scopes is not None:
            server.scopes = save_scopes(server.organization, scopes, server.scopes)
        server.save()
        changed = [field for field, value in (("name", name), ("scopes", scopes)) if value is not None]
        _record(Event.RESOURCE_SERVER_UPDATED, actor=actor, server=server, metadata={"changed": changed})
    return server


def define_scope(*, actor: Actor, server: ResourceServer, scope: ScopeDefinition) -> ResourceServer:
    """Define a new scope of the organization, add it to the resource server and return that.

    Scopes that have left the catalogue stay. Raises `Invalid`, including for a scope that the organization already
    has, and `ScopePrefixTaken`.
    """
    with transaction.atomic():
        hold_developer(actor)
        server = _hold(server)
        if is_own_scope(server.organization, scope.id):
            raise Invalid.field("scopes", gettext_noop("Your organization already has this scope. Choose another ID."))
        gone = gone_scopes(server.scopes)
        save_scopes(server.organization, [*(one for one in server.scopes if one not in gone), scope])
        server.scopes.append(scope.id)
        server.save()
        _record(Event.RESOURCE_SERVER_UPDATED, actor=actor, server=server, metadata=_changed_scope(scope))
    return server


def change_scope(*, actor: Actor, server: ResourceServer, scope: ScopeDefinition) -> None:
    """Change the texts, the risk level and the effects of a scope of the organization, wherever it is offered.

    Agents may have it although no resource server offers it any more. Users who allowed it have agreed to its earlier
    texts. They see the new ones when the agent asks again. Raises `Invalid`, and `NotFound` unless the scope is the
    organization's own.
    """
    with transaction.atomic():
        hold_developer(actor)
        server = _hold(server)
        if not is_own_scope(server.organization, scope.id):
            raise NotFound("No such scope.")
        save_scopes(server.organization, [scope])
        _record(Event.RESOURCE_SERVER_UPDATED, actor=actor, server=server, metadata=_changed_scope(scope))


def delete_resource_server(*, actor: Actor, server: ResourceServer) -> None:
    """Delete the resource server, so that its audience is invalid, and reserve its identifier.

    Its scopes stay for users who granted them.
    """
    with revocation():
        hold_developer(actor)
        server = _hold(server)
        _record(Event.RESOURCE_SERVER_DELETED, actor=actor, server=server, metadata={"identifier": server.identifier})
        ResourceServer.objects.filter(pk=server.pk).delete()
        reserve_identifier(server)


def rotate_resource_server_secret(*, actor: Actor, server: ResourceServer, overlap_seconds: int = 0) -> NewSecret:
    """Create a new secret. Earlier secrets work for another `overlap_seconds`, 0 to 604800.

    Raises `Invalid` if with an overlap more than `MAX_SECRETS` would work at once, and `ReauthenticationRequired` if
    the actor's session is not of a recent sign-in.
    """
    with revocation():
        hold_developer(actor)
        require_recent_session(actor)
        server = _hold(server)
        new = rotate_secret(
            server.secrets,
            prefix="rs",
            now=clock.now(),
            overlap_seconds=overlap_seconds,
            most=MAX_SECRETS,
            fields={"made_by_id": maker(actor)},
        )
        metadata = {"overlapSeconds": overlap_seconds}
        _record(Event.RESOURCE_SERVER_SECRET_ROTATED, actor=actor, server=server, metadata=metadata)
        mail_about_credential(Made.SERVER_SECRET, actor=actor, name=server.name)
    return new


def canonical_identifier(identifier: str) -> str:
    """Return the canonical form of an identifier, which is stored, compared and signed. Raises `Invalid`."""
    try:
        canonical = canonical_uri(identifier)
    except UnusableUri as error:
        raise Invalid.field("identifier", error.args[0]) from error
    if len(canonical) > MAX_IDENTIFIER_LENGTH:
        text = gettext_noop("Must be at most %(most)d characters after escaping.")
        raise Invalid.field("identifier", Filled(text, most=MAX_IDENTIFIER_LENGTH))
    if canonical == settings.API_URL or canonical.startswith((f"{settings.API_URL}/", f"{settings.API_URL}?")):
        raise Invalid.field("identifier", gettext_noop("Must not be an address of this AgentGate server."))
    return canonical


def _require_room(organization: Organization) -> None:
    """Raise `Invalid` if the organization cannot have another resource server. Call it under `lock_identifiers`."""
    if ResourceServer.objects.filter(organization=organization).count() >= MAX_SERVERS:
        text = gettext_noop("An organization can have at most %(most)d resource servers. Delete one first.")
        raise Invalid.field("name", Filled(text, most=MAX_SERVERS))


def _hold(server: ResourceServer) -> ResourceServer:
    """Lock the resource server until the transaction ends. Raises `NotFound` if it has been deleted."""
    rows = ResourceServer.objects.select_related("organization").select_for_update(of=("self",))
    held = rows.filter(pk=server.pk).first()
    if held is None:
        raise NotFound("No such resource server.")
    return held


def _changed_scope(scope: ScopeDefinition) -> dict[str, Any]:
    return {"changed": ["scopes"], "scope": scope.id}


def _create(organization: Organization, name: str, identifier: str, scope_ids: list[str]) -> ResourceServer:
    try:
        with transaction.atomic():
            return ResourceServer.objects.create(
                organization=organization, name=name, identifier=identifier, scopes=scope_ids
            )
    except IntegrityError as error:
        raise taken(identifier) from error


def _record(event: Event, *, actor: Actor, server: ResourceServer, metadata: Mapping[str, Any]) -> None:
    draft = Draft(
        event=event,
        actor=actor,
        organization_id=server.organization_id,
        metadata={"resourceServerId": server.id, **metadata},
    )
    record(draft)
