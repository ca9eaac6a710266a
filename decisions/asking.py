"""The service that a call is for: the resource server that asks, or the one named by an anonymous caller."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db.models import Q

from decisions.requests import VerifyRequest
from developers.models import Organization
from resources.models import ResourceServer


@dataclass(frozen=True, slots=True)
class Service:
    """A resource server with its organization as it is now. `has_asked` says that it asks by its own credential."""

    server: ResourceServer
    has_asked: bool

    @property
    def organization(self) -> Organization:
        organization: Organization = self.server.organization
        return organization

    @property
    def organization_id(self) -> str:
        organization_id: str = self.server.organization_id
        return organization_id

    def is_meant(self, audience: Collection[str], organization_id: str | None) -> bool:
        """Return whether a token is for this service (RFC 8707). The default audience is its agent's organization."""
        is_at_home = settings.API_URL in audience and organization_id == self.organization_id
        return is_at_home or self.server.identifier in audience


def find_services(requests: Sequence[VerifyRequest]) -> list[Service | None]:
    """Return the service of each question, in their order, in one query at most. None where none asks or is named.

    Danger: call it inside the decision's transaction. A credential was checked before it, and its organization may
    have been suspended since.
    """
    keys = [_key(request) for request in requests]
    wanted = {key for key in keys if key}
    if not wanted:
        return [None] * len(requests)
    rows = ResourceServer.objects.filter(Q(id__in=wanted) | Q(identifier__in=wanted)).select_related("organization")
    found = {key: row for row in rows for key in (row.id, row.identifier)}
    return [_service(request, found.get(key or "")) for request, key in zip(requests, keys, strict=True)]


def _key(request: VerifyRequest) -> str | None:
    """Return the id of the resource server that asks, or the audience named. None for neither."""
    return request.resource_server.id if request.resource_server else request.named_audience


def _service(request: VerifyRequest, row: ResourceServer | None) -> Service | None:
    """A server deleted since it authenticated has asked all the same."""
    server = row or request.resource_server
    return Service(server, has_asked=request.resource_server is not None) if server else None
