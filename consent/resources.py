"""The services that a request names (RFC 8707), and whose they are."""

from collections.abc import Mapping, Sequence

from consent.errors import InvalidTarget
from consent.models import Consent
from core.errors import FieldError
from developers.selectors import Audience, audience_for_identifier


def named_audiences(identifiers: Sequence[str]) -> list[Audience]:
    """Return the audiences that a request names. Raises `InvalidTarget`."""
    found = [audience_for_identifier(identifier) for identifier in identifiers]
    audiences = [audience for audience in found if audience is not None]
    if len(audiences) != len(found):
        raise InvalidTarget(
            "Name a registered resource server, or leave it out.",
            errors=(FieldError("resource", "is not a registered resource server"),),
        )
    return audiences


def owners_of(audiences: Sequence[Audience]) -> dict[str, str]:
    """Return the organization of each audience that belongs to one, by identifier."""
    return {audience.identifier: audience.server.organization_id for audience in audiences if audience.server}


def require_same_owners(consent: Consent) -> None:
    """Raise `InvalidTarget` when a service is gone, or registered by another organization than at the request."""
    owners: Mapping[str, str] = consent.resource_owners
    for identifier, organization_id in owners.items():
        audience = audience_for_identifier(identifier)
        if audience is None or owners_of([audience]).get(identifier) != organization_id:
            raise InvalidTarget(
                f"{identifier} is no longer the service that was asked for. Nothing was granted; start again there."
            )
