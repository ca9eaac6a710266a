"""Resource servers and the scopes of their own (RFC 8707): services that accept our tokens."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction

from audit.events import Event
from audit.services import Draft, record
from core import clock
from core.actor import Actor
from core.errors import Conflict, FieldError, Invalid, NotAuthenticated
from core.locks import revocation
from core.rotation import NewSecret, add_secret, find_live_secret, rotate_secret
from core.uris import UnusableUri, canonical_uri
from developers.acting import hold_developer
from developers.models import CustomScope, Organization, ResourceServer, ResourceServerSecret, ScopePrefix
from limits.throttle import throttle_client_failure

MAX_SCOPES = 100
# Of an organization, over all its resource servers, and for good: scopes keep their words for those who granted them.
MAX_OWN_SCOPES = 500
MAX_IDENTIFIER_LENGTH = 500
MAX_SCOPE_ID = 100
SCOPE_ID = re.compile(r"([a-z][a-z0-9-]{1,39}):([a-z][a-z0-9_.:-]{0,58})")


class IdentifierTaken(Conflict):
    code = "identifier_taken"
    title = "A resource server with this identifier is registered"


class ScopePrefixTaken(Conflict):
    code = "scope_prefix_taken"
    title = "The prefix of this scope belongs to another organization"


@dataclass(frozen=True, slots=True)
class ScopeDefinition:
    """A scope of a resource server's own, in the words of the consent screen."""

    id: str
    risk_level: str
    title: str
    description: str
    cannot: str

    @property
    def prefix(self) -> str:
        return self.id.split(":", 1)[0]


@dataclass(frozen=True, slots=True)
class RegisteredResourceServer:
    """A new resource server and its first secret, shown this once."""

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
    catalogue: Collection[str],
) -> RegisteredResourceServer:
    """Register a service as an audience. `catalogue` are the ids of the common scopes, whose prefixes are reserved.

    The identifier is stored in its canonical form. Raises `Invalid`, `IdentifierTaken`, and `ScopePrefixTaken` for
    another organization's prefix.
    """
    identifier = canonical_identifier(identifier)
    with transaction.atomic():
        hold_developer(actor)
        scope_ids = _settle_scopes(organization, scopes, catalogue)
        server = _create(organization, name, identifier, scope_ids)
        secret = add_secret(server.secrets, prefix="rs", now=clock.now())
        _record(Event.RESOURCE_SERVER_CREATED, actor=actor, server=server, metadata={"identifier": identifier})
    return RegisteredResourceServer(server, secret)


def update_resource_server(
    *,
    actor: Actor,
    server: ResourceServer,
    catalogue: Collection[str],
    name: str | None = None,
    scopes: Sequence[str | ScopeDefinition] | None = None,
) -> ResourceServer:
    """Change what is given; return the resource server anew. The identifier never changes: tokens carry it.

    Raises `Invalid`, `ScopePrefixTaken`.
    """
    with transaction.atomic():
        hold_developer(actor)
        server = ResourceServer.objects.select_for_update(of=("self",)).get(pk=server.pk)
        if name is not None:
            server.name = name
        if scopes is not None:
            server.scopes = _settle_scopes(server.organization, scopes, catalogue)
        server.save()
        changed = [field for field, value in (("name", name), ("scopes", scopes)) if value is not None]
        _record(Event.RESOURCE_SERVER_UPDATED, actor=actor, server=server, metadata={"changed": changed})
    return server


def delete_resource_server(*, actor: Actor, server: ResourceServer) -> None:
    """Remove it: nobody answers for its audience any more. Its scopes keep their words for those who granted them."""
    with revocation():
        hold_developer(actor)
        _record(Event.RESOURCE_SERVER_DELETED, actor=actor, server=server, metadata={"identifier": server.identifier})
        ResourceServer.objects.filter(pk=server.pk).delete()


def rotate_resource_server_secret(*, actor: Actor, server: ResourceServer, overlap_seconds: int = 0) -> NewSecret:
    """Make a new secret; the ones before it work for `overlap_seconds` more, 0 to 604800."""
    with revocation():
        hold_developer(actor)
        server = ResourceServer.objects.select_for_update(of=("self",)).get(pk=server.pk)
        new = rotate_secret(server.secrets, prefix="rs", now=clock.now(), overlap_seconds=overlap_seconds)
        metadata = {"overlapSeconds": overlap_seconds}
        _record(Event.RESOURCE_SERVER_SECRET_ROTATED, actor=actor, server=server, metadata=metadata)
    return new


def authenticate_resource_server(*, actor: Actor, server_id: str, secret: str) -> ResourceServer:
    """Return the resource server with this credential. Raises `NotAuthenticated`, and `Throttled` after many failures.

    The right secret is never throttled.
    """
    rows = ResourceServerSecret.objects.filter(resource_server_id=server_id)
    row: ResourceServerSecret | None = find_live_secret(
        rows.select_related("resource_server__organization"), secret, clock.now()
    )
    if row is not None:
        return row.resource_server
    throttle_client_failure(ip=actor.ip or "", credential_id=server_id)
    raise NotAuthenticated("Check the id and the secret of the resource server.")


def canonical_identifier(identifier: str) -> str:
    """Return the audience in the one form in which it is stored, compared and signed. Raises `Invalid`."""
    try:
        canonical = canonical_uri(identifier)
    except UnusableUri as error:
        raise Invalid.field("identifier", str(error)) from error
    if len(canonical) > MAX_IDENTIFIER_LENGTH:
        raise Invalid.field("identifier", f"Must be at most {MAX_IDENTIFIER_LENGTH} characters long once escaped.")
    if canonical == settings.API_URL or canonical.startswith((f"{settings.API_URL}/", f"{settings.API_URL}?")):
        raise Invalid.field("identifier", "Must not be AgentGate's own address.")
    return canonical


def _create(organization: Organization, name: str, identifier: str, scope_ids: list[str]) -> ResourceServer:
    try:
        with transaction.atomic():
            return ResourceServer.objects.create(
                organization=organization, name=name, identifier=identifier, scopes=scope_ids
            )
    except IntegrityError as error:
        raise IdentifierTaken(f"{identifier} is already registered.") from error


def _settle_scopes(
    organization: Organization, scopes: Sequence[str | ScopeDefinition], catalogue: Collection[str]
) -> list[str]:
    """Store the definitions among `scopes`; return the ids of all, in order."""
    if not 1 <= len(scopes) <= MAX_SCOPES:
        raise Invalid.field("scopes", f"must have 1 to {MAX_SCOPES} scopes")
    reserved = {scope_id.split(":", 1)[0] for scope_id in catalogue}
    own = set(CustomScope.objects.filter(organization=organization).values_list("id", flat=True))
    problems = [(index, _problem_with_scope(scope, catalogue, reserved, own)) for index, scope in enumerate(scopes)]
    errors = tuple(FieldError(f"scopes.{index}", problem) for index, problem in problems if problem)
    if errors:
        raise Invalid("A scope cannot be used.", errors=errors)
    if len(own | {scope.id for scope in scopes if isinstance(scope, ScopeDefinition)}) > MAX_OWN_SCOPES:
        raise Invalid.field(
            "scopes", f"An organization can define at most {MAX_OWN_SCOPES} scopes. Use scopes that it has defined."
        )
    for scope in scopes:
        if isinstance(scope, ScopeDefinition):
            _define(organization, scope)
    return list(dict.fromkeys(scope if isinstance(scope, str) else scope.id for scope in scopes))


def _problem_with_scope(
    scope: str | ScopeDefinition, catalogue: Collection[str], reserved: Collection[str], own: Collection[str]
) -> str | None:
    if isinstance(scope, str):
        return None if scope in catalogue or scope in own else f"{scope} is neither in the catalogue nor yours"
    if not SCOPE_ID.fullmatch(scope.id):
        return "an id is prefix:name, in lower case, such as tickets:read"
    if scope.prefix in reserved:
        return f"the prefix {scope.prefix} is reserved for the catalogue"
    return None


def _define(organization: Organization, scope: ScopeDefinition) -> None:
    """Store the words of a scope; the first to use a prefix owns it. Raises `ScopePrefixTaken`."""
    prefix, _ = ScopePrefix.objects.get_or_create(prefix=scope.prefix, defaults={"organization": organization})
    if prefix.organization_id != organization.id:
        raise ScopePrefixTaken(f"{scope.prefix} belongs to another organization.")
    words = {
        "risk_level": scope.risk_level,
        "title": scope.title,
        "description": scope.description,
        "cannot": scope.cannot,
    }
    CustomScope.objects.update_or_create(id=scope.id, defaults={**words, "organization": organization})


def _record(event: Event, *, actor: Actor, server: ResourceServer, metadata: Mapping[str, Any]) -> None:
    draft = Draft(
        event=event,
        actor=actor,
        organization_id=server.organization_id,
        metadata={"resourceServerId": server.id, **metadata},
    )
    record(draft)
