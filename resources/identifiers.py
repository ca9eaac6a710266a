"""Which organization may register an identifier. After its resource server is deleted, it stays reserved.

Tokens and agents' settings may still name the identifier, so it does not pass to another organization, unless that one
proves its domain.
"""

from django.utils.translation import gettext_noop

from core import clock
from core.uris import host_of
from core.wording import Filled
from developers.domain_holders import holder_of_host
from resources.errors import IdentifierInOthersDomain, IdentifierTaken
from resources.models import ReservedIdentifier, ResourceServer

# Of an organization. Beyond these, the identifier that was reserved first is free for all.
MAX_RESERVED = 100


def require_free_identifier(identifier: str, organization_id: str) -> None:
    """Raise `IdentifierTaken` if the organization cannot register the canonical identifier now."""
    if ResourceServer.objects.filter(identifier=identifier).exists():
        raise taken(identifier)
    _require_own(identifier, organization_id)


def claim_identifier(server: ResourceServer) -> None:
    """Take the identifier of a resource server that was just created in this transaction, under `lock_identifiers`.

    Raises `IdentifierTaken`. Danger: call it after the row was inserted. Until then, another organization can delete
    its own one, and so reserve the identifier.
    """
    _require_own(server.identifier, server.organization_id)
    ReservedIdentifier.objects.filter(pk=server.identifier).delete()


def reserve_identifier(server: ResourceServer) -> None:
    """Reserve the identifier of a resource server that is being deleted for its organization."""
    own = ReservedIdentifier.objects.filter(organization=server.organization_id)
    ReservedIdentifier.objects.create(
        identifier=server.identifier, organization_id=server.organization_id, created_at=clock.now()
    )
    beyond = own.order_by("-created_at", "identifier").values_list("pk", flat=True)[MAX_RESERVED:]
    own.filter(pk__in=list(beyond)).delete()


def taken(identifier: str) -> IdentifierTaken:
    text = gettext_noop("%(identifier)s is already registered. Choose another identifier.")
    return IdentifierTaken(Filled(text, identifier=identifier))


def _require_own(identifier: str, organization_id: str) -> None:
    holder = holder_of_host(host_of(identifier))
    if holder == organization_id:
        return
    if holder is not None:
        text = gettext_noop("Another organization has proved the domain of %(identifier)s.")
        raise IdentifierInOthersDomain(Filled(text, identifier=identifier))
    if ReservedIdentifier.objects.filter(pk=identifier).exclude(organization=organization_id).exists():
        raise taken(identifier)
