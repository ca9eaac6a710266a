"""The services for which an agent asks, as the user is told: each with its name, its host and its organization.

A request keeps what it shows, as it keeps the texts of its scopes, and the approval binds it to the same owners. An
approved consent also has the services of the earlier requests of its connection, whose tokens stay valid.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from agents.models import Agent
from consent.models import Consent
from core.uris import host_of
from resources.audiences import Audience
from resources.selectors import NamedService

# Of a connection. Those that were allowed first are forgotten.
MAX_SERVICES = 100


@dataclass(frozen=True, slots=True)
class ShownService:
    """A service, as the user saw it. Without a `name`, all services of the agent's own organization.

    `is_foreign`: another organization than the agent's runs it. A stock client has none, so all are another's.
    """

    identifier: str
    name: str
    host: str
    organization: str
    is_foreign: bool


def describe_services(agent: Agent, audiences: Iterable[Audience]) -> list[dict[str, Any]]:
    """Return the services of a request, as it keeps them. Without audiences, it is for the default one."""
    named = {audience.identifier: _describe(agent, audience) for audience in audiences}
    return list(named.values()) or [_default(agent)]


def services_of(consent: Consent) -> list[ShownService]:
    """Return the services for which the agent asks, and those for which an approved consent also stands."""
    shown = consent.shown_services or [_default(consent.agent)]
    return [_read(one, consent.agent.organization_id) for one in shown]


def requested_services(consent: Consent) -> list[ShownService]:
    """Return the services for which this request asks."""
    return services_of(consent)[: max(1, len(consent.resource))]


def earlier_services(asked: Consent, live: Consent | None) -> list[ShownService]:
    """Return the services of the live connection for which this request does not ask. They stay connected.

    Those without a name are said in the same words, whatever their identifiers, so they are said once.
    """
    kept = with_earlier_services(asked, live)
    said = {_said(one) for one in kept[: len(asked.shown_services)]}
    earlier = [one for one in kept[len(asked.shown_services) :] if _said(one) not in said]
    return [_read(one, asked.agent.organization_id) for one in earlier]


def with_earlier_services(asked: Consent, live: Consent | None) -> list[dict[str, Any]]:
    """Return the services of the request and then those of the live connection, as an approval keeps them."""
    requested = {_owned(one) for one in asked.shown_services}
    earlier = [one for one in live.shown_services if _owned(one) not in requested] if live else []
    return [*asked.shown_services, *earlier][:MAX_SERVICES]


def _owned(kept: dict[str, Any]) -> tuple[str, str | None]:
    """Return what makes it another service. Its name may have changed since an earlier request."""
    return kept["identifier"], kept["organizationId"]


def _said(kept: dict[str, Any]) -> tuple[str, str | None]:
    return kept["name"] and kept["identifier"], kept["organizationId"]


def _read(kept: dict[str, Any], own: str | None) -> ShownService:
    named = {name: kept[name] for name in ("identifier", "name", "host", "organization")}
    return ShownService(**named, is_foreign=bool(kept["name"]) and kept["organizationId"] != own)


def _describe(agent: Agent, audience: Audience) -> dict[str, Any]:
    if audience.server is None:
        return _default(agent)
    service = NamedService.of(audience.server)
    return _kept(service.identifier, service.name, service.host, service.organization_id, service.organization)


def _default(agent: Agent) -> dict[str, Any]:
    organization = agent.organization.name if agent.organization else ""
    return _kept(settings.API_URL, "", host_of(settings.API_URL), agent.organization_id, organization)


def _kept(identifier: str, name: str, host: str, organization_id: str | None, organization: str) -> dict[str, Any]:
    return {
        "identifier": identifier,
        "name": name,
        "host": host,
        "organizationId": organization_id,
        "organization": organization,
    }
