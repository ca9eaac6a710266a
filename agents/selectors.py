"""Reads of agents. A tenant's agents come only through `agents_for_organization`."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from django.db.models import Q, QuerySet

from agents.models import Agent, ClientSecret
from agents.redirects import is_loopback
from core import clock
from core.errors import NotFound
from core.rotation import live


def agents_for_organization(organization_id: str) -> QuerySet[Agent]:
    """Return the organization's agents, newest first."""
    return Agent.objects.filter(organization_id=organization_id).order_by("-id")


def agent_for_organization(organization_id: str, reference: str) -> Agent:
    """Return the organization's agent with this id or client id. Raises `NotFound`, also for somebody else's."""
    agent = agents_for_organization(organization_id).filter(Q(id=reference) | Q(client_id=reference)).first()
    if agent is None:
        raise NotFound("No such agent.")
    return agent


def agent_for_client_id(client_id: str) -> Agent | None:
    """Return the client. None when it is unknown."""
    return Agent.objects.select_related("organization").filter(client_id=client_id).first()


def live_secrets(agent: Agent) -> QuerySet[ClientSecret]:
    """Return the secrets that work now, newest first."""
    return agent.secrets.filter(live(clock.now()))


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a stock client says it comes from. Nobody has verified it.

    `host` is the one that published its metadata, or else the one it returns to; "this computer" is a loopback host.
    """

    source: str
    host: str


def agent_origin(agent: Agent) -> Origin | None:
    """Return where a client of unknown origin comes from. None when an organization registered it."""
    if not agent.is_stock:
        return None
    is_document = agent.registration_source == Agent.RegistrationSource.CIMD
    uris = [agent.client_id] if is_document else agent.redirect_uri_list
    hosts = [urlsplit(uri).hostname or urlsplit(uri).scheme for uri in uris if is_document or not is_loopback(uri)]
    return Origin(agent.registration_source, hosts[0] if hosts else "this computer")
