"""The service of a request: the resource server that authenticated, or the one that an anonymous caller names."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db.models import Q

from decisions.requests import VerifyRequest
from developers.models import Organization
from resources.models import ResourceServer


@dataclass(frozen=True, slots=True)
class Service:
    """A resource server with its current organization, and whether the server itself made the request."""

    server: ResourceServer
    is_caller: bool

    @property
    def organization(self) -> Organization:
        organization: Organization = self.server.organization
        return organization

    @property
    def organization_id(self) -> str:
        organization_id: str = self.server.organization_id
        return organization_id

    def accepts(self, audience: Collection[str], organization_id: str | None) -> bool:
        """Return whether a token with this audience, of an agent of this organization, is for the service (RFC 8707).

        The default audience covers all services of the agent's own organization.
        """
        is_default = settings.API_URL in audience and organization_id == self.organization_id
        return is_default or self.server.identifier in audience


def find_services(requests: Sequence[VerifyRequest]) -> list[Service | None]:
    """Return the service of each request, in order, or None if it has none. Makes at most one query.

    Danger: call this in the decision's transaction. The credential was checked earlier, and its organization may have
    been suspended since.
    """
    keys = [_key(request) for request in requests]
    wanted = {key for key in keys if key}
    if not wanted:
        return [None] * len(requests)
    rows = ResourceServer.objects.filter(Q(id__in=wanted) | Q(identifier__in=wanted)).select_related("organization")
    found = {key: row for row in rows for key in (row.id, row.identifier)}
    return [_service(request, found.get(key or "")) for request, key in zip(requests, keys, strict=True)]


def _key(request: VerifyRequest) -> str | None:
    """Return the id of the authenticated resource server, or the named audience, or None."""
    return request.resource_server.id if request.resource_server else request.named_audience


def _service(request: VerifyRequest, row: ResourceServer | None) -> Service | None:
    # A server that was deleted after it authenticated still made the request.
    server = row or request.resource_server
    return Service(server, is_caller=request.resource_server is not None) if server else None
