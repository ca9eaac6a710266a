"""Reads of resource servers. All reads for a tenant use `resource_servers_for_organization`."""

from django.db.models import QuerySet

from core.errors import NotFound
from resources.models import ResourceServer


def resource_servers_for_organization(organization_id: str) -> QuerySet[ResourceServer]:
    """Return the organization's resource servers, newest first."""
    return ResourceServer.objects.filter(organization_id=organization_id).order_by("-id")


def resource_server_for_organization(organization_id: str, server_id: str) -> ResourceServer:
    """Return the organization's resource server with this id. Raises `NotFound`."""
    server = resource_servers_for_organization(organization_id).filter(id=server_id).first()
    if server is None:
        raise NotFound("No such resource server.")
    return server
