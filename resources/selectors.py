"""Reads of resource servers. All reads for a tenant use `resource_servers_for_organization`."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from django.db.models import Q, QuerySet

from core import clock
from core.errors import NotFound
from core.rotation import live
from core.uris import host_of
from resources.covers import Actions, OwnScope, own_actions
from resources.models import CustomScope, ResourceServer, ResourceServerSecret, ScopePrefix


@dataclass(frozen=True, slots=True)
class NamedService:
    """A resource server as users are told about it. Its organization chose both names; it may not have the host."""

    id: str
    identifier: str
    name: str
    host: str
    organization_id: str
    organization: str
    domain: str | None

    @classmethod
    def of(cls, server: ResourceServer) -> Self:
        owner, identifier = server.organization, str(server.identifier)
        return cls(server.id, identifier, server.name, host_of(identifier), owner.id, owner.name, owner.domain)


def services_among(server_ids: Iterable[str], identifiers: Iterable[str]) -> list[NamedService]:
    """Return the resource servers with these ids, and those that have these identifiers now, by one query.

    It does not check who may see them. Identifiers must be canonical. The default audience is AgentGate itself, not a
    resource server.
    """
    wanted = Q(id__in=set(server_ids)) | Q(identifier__in=set(identifiers))
    return [NamedService.of(server) for server in ResourceServer.objects.filter(wanted).select_related("organization")]


def resource_servers_for_organization(organization_id: str) -> QuerySet[ResourceServer]:
    """Return the organization's resource servers, newest first."""
    return ResourceServer.objects.filter(organization_id=organization_id).order_by("-id")


def resource_server_for_organization(organization_id: str, server_id: str) -> ResourceServer:
    """Return the organization's resource server with this id. Raises `NotFound`."""
    server = resource_servers_for_organization(organization_id).filter(id=server_id).first()
    if server is None:
        raise NotFound("No such resource server.")
    return server


def live_server_secrets(server: ResourceServer) -> QuerySet[ResourceServerSecret]:
    """Return the secrets that still work, newest first."""
    return server.secrets.filter(live(clock.now()))


def own_scopes(organization_id: str) -> QuerySet[CustomScope]:
    """Return the scopes that the organization defined, by id."""
    return CustomScope.objects.filter(organization_id=organization_id).order_by("id")


def actions_of(organization_id: str) -> Actions:
    """Return the actions of the scopes that the organization defined."""
    rows = own_scopes(organization_id).values_list("id", "risk_level", "covers", "excludes", "retired")
    return own_actions(OwnScope(*row) for row in rows)


def unoffered_among(own: Iterable[CustomScope], servers: Iterable[ResourceServer]) -> list[str]:
    """Return the ids of those of the organization's own scopes that none of its resource servers offers, in order."""
    offered = {scope for server in servers for scope in server.scopes}
    return [scope.id for scope in own if scope.id not in offered]


def own_prefixes(organization_id: str) -> list[str]:
    """Return the prefixes that the organization owns, in order."""
    rows = ScopePrefix.objects.filter(organization_id=organization_id).order_by("prefix")
    return list(rows.values_list("prefix", flat=True))
