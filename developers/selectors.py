"""Reads of developers and of what their organization owns."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet

from accounts.models import User
from core import clock
from core.errors import NotFound
from core.rotation import find_live_secret, live
from core.uris import find_canonical_uri
from developers.models import ApiKey, Developer, Organization, ResourceServer


@dataclass(frozen=True, slots=True)
class Audience:
    """What a `resource` names (RFC 8707). `server` is None for the default audience, which is AgentGate itself."""

    identifier: str
    server: ResourceServer | None


def developer_for_api_key(api_key: str) -> Developer | None:
    """Return the active developer whose live key this is. None for anything else."""
    keys = ApiKey.objects.select_related("developer__user", "developer__organization")
    row: ApiKey | None = find_live_secret(keys.filter(developer__user__is_active=True), api_key, clock.now())
    return row.developer if row else None


def developer_for_user(user: User) -> Developer | None:
    """Return the person as a developer. None when they are not one."""
    return Developer.objects.select_related("user", "organization").filter(user=user).first()


def sole_organization(user: User) -> Organization | None:
    """Return the organization whose only developer the person is. None when there is none, or others work in it."""
    others = Developer.objects.filter(organization=OuterRef("pk")).exclude(user=user)
    return Organization.objects.filter(~Exists(others), developers__user=user).first()


def api_keys_for_developer(developer: Developer) -> QuerySet[ApiKey]:
    """Return the keys that work now, newest first."""
    return developer.api_keys.filter(live(clock.now()))


def audience_for_identifier(identifier: str) -> Audience | None:
    """Return the audience that `identifier` names, in any spelling. None when no resource server has it."""
    canonical = find_canonical_uri(identifier)
    if canonical is None:
        return None
    if canonical == settings.API_URL:
        return Audience(canonical, None)
    server = ResourceServer.objects.select_related("organization").filter(identifier=canonical).first()
    return Audience(canonical, server) if server else None


def organizations_of_services(identifiers: Iterable[str]) -> list[Organization]:
    """Return the organizations that own these audiences, each audience's once; unregistered ones have none."""
    named = [identifier for identifier in identifiers if identifier != settings.API_URL]
    if not named:
        return []
    servers = ResourceServer.objects.filter(identifier__in=named).select_related("organization")
    return [server.organization for server in servers]


def resource_servers_for_organization(organization_id: str) -> QuerySet[ResourceServer]:
    """Return the organization's resource servers, newest first."""
    return ResourceServer.objects.filter(organization_id=organization_id).order_by("-id")


def resource_server_for_organization(organization_id: str, server_id: str) -> ResourceServer:
    """Return the organization's resource server. Raises `NotFound`, also for somebody else's."""
    server = resource_servers_for_organization(organization_id).filter(id=server_id).first()
    if server is None:
        raise NotFound("No such resource server.")
    return server
