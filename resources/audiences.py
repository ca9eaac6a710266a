"""Audiences: the targets of `resource` parameters (RFC 8707), and the organizations that own them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from django.conf import settings
from django.utils.translation import gettext_noop

from core.errors import FieldError
from core.uris import find_canonical_uri
from core.wording import Filled
from resources.errors import InvalidTarget, ServiceSuspended
from resources.models import ResourceServer

# Each is looked up by itself.
MAX_RESOURCES = 20
SUSPENDED = gettext_noop("The organization of the resource server is suspended.")
# With the authorization details, which have a limit of their own (`consent.targets`), every token that is issued is
# short enough to be read (`tokens.access_tokens.MAX_TOKEN_LENGTH`).
MAX_CLAIMS = 6 * 1024
CLAIMS_TOO_LONG = Filled(
    gettext_noop("Together, the scopes and resources of a token may have at most %(most)d bytes. Request fewer."),
    most=MAX_CLAIMS,
)


class Service(NamedTuple):
    """A resource server whose identifier belongs to the organization that it belonged to when the user was asked."""

    identifier: str
    organization_id: str
    may_act: bool


@dataclass(frozen=True, slots=True)
class Audience:
    """The target of a `resource` parameter. `server` is None for the default audience, which is AgentGate itself."""

    identifier: str
    server: ResourceServer | None

    @property
    def may_act(self) -> bool:
        return self.server is None or self.server.organization.serves


def audience_for_identifier(identifier: str) -> Audience | None:
    """Return the audience with this identifier, in any spelling. None if no resource server has it."""
    canonical = find_canonical_uri(identifier)
    if canonical is None:
        return None
    if canonical == settings.API_URL:
        return Audience(canonical, None)
    server = ResourceServer.objects.select_related("organization").filter(identifier=canonical).first()
    return Audience(canonical, server) if server else None


def services_of(owners: Iterable[tuple[str, str]]) -> list[Service]:
    """Return the services in `owners` that still have their identifiers.

    `owners` are identifiers with the ids of the organizations that owned them when the user was asked (`owners_of`).
    One that has registered an identifier since has nothing to do with what was granted before.
    """
    wanted = set(owners)
    if not wanted:
        return []
    servers = ResourceServer.objects.filter(identifier__in={identifier for identifier, _ in wanted})
    found = servers.select_related("organization").only(
        "identifier", "organization", "organization__suspended_at", "organization__deletes_at"
    )
    services = [Service(server.identifier, server.organization_id, server.organization.serves) for server in found]
    return [service for service in services if (service.identifier, service.organization_id) in wanted]


def services_among(audiences: Iterable[Audience]) -> list[Service]:
    """Return the audiences that are services, as they were read."""
    servers = ((audience.identifier, audience.server) for audience in audiences if audience.server)
    return [Service(identifier, server.organization_id, server.organization.serves) for identifier, server in servers]


def held_among(audience: Sequence[str], services: Iterable[Service]) -> list[str]:
    """Return the part of an audience that no other organization has taken."""
    held = {settings.API_URL, *(service.identifier for service in services)}
    return [identifier for identifier in audience if identifier in held]


def require_services(owners: Mapping[str, str]) -> None:
    """Raise `ServiceSuspended` if an organization that owns one of these audiences may not act."""
    if any(not service.may_act for service in services_of(owners.items())):
        raise ServiceSuspended(SUSPENDED)


def require_audiences(identifiers: Sequence[str]) -> list[Audience]:
    """Return the audiences with these identifiers. Raises `InvalidTarget`, `ServiceSuspended`."""
    if len(identifiers) > MAX_RESOURCES:
        text = Filled(gettext_noop("Must have at most %(max_length)s items."), max_length=MAX_RESOURCES)
        raise InvalidTarget(text, errors=(FieldError("resource", text),))
    found = [audience_for_identifier(identifier) for identifier in identifiers]
    audiences = [audience for audience in found if audience is not None]
    if len(audiences) != len(found):
        raise InvalidTarget(
            gettext_noop("Use the identifier of a registered resource server, or leave it out."),
            errors=(FieldError("resource", gettext_noop("Not a registered resource server.")),),
        )
    if not all(audience.may_act for audience in audiences):
        raise ServiceSuspended(SUSPENDED)
    return audiences


def owners_of(audiences: Sequence[Audience]) -> dict[str, str]:
    """Return the organization ids of the audiences by identifier, without the default audience."""
    return {audience.identifier: audience.server.organization_id for audience in audiences if audience.server}


def require_same_owners(owners: Mapping[str, str]) -> None:
    """Raise `InvalidTarget` if an audience no longer exists or belongs to another organization than in `owners`."""
    for identifier, organization_id in owners.items():
        audience = audience_for_identifier(identifier)
        if audience is None or owners_of([audience]).get(identifier) != organization_id:
            text = gettext_noop(
                "%(identifier)s no longer belongs to the same service. No access was granted. Start again at the agent."
            )
            raise InvalidTarget(Filled(text, identifier=identifier))


def are_claims_too_long(scopes: Sequence[str], audience: Sequence[str]) -> bool:
    """Return whether the distinct scopes and identifiers are too long for a token, written as JSON in ASCII."""
    claims = [" ".join(dict.fromkeys(scopes)), list(dict.fromkeys(audience))]
    return len(json.dumps(claims, separators=(",", ":"))) > MAX_CLAIMS
