"""Reads of agents. All reads for a tenant use `agents_for_organization`."""

from urllib.parse import urlsplit

from django.db.models import Q, QuerySet
from django.utils.translation import gettext_noop

from agents.models import Agent, ClientSecret
from core import clock
from core.errors import NotFound
from core.rotation import AlreadyReplaced, live


def agents_for_organization(organization_id: str) -> QuerySet[Agent]:
    """Return the organization's agents, newest first, without deleted ones."""
    return all_agents_of_organization(organization_id).filter(deleted_at=None)


def all_agents_of_organization(organization_id: str) -> QuerySet[Agent]:
    """Return the organization's agents, newest first, including deleted ones, which the log still names."""
    return Agent.objects.filter(organization_id=organization_id).order_by("-id")


def agents_known_to(organization_id: str) -> QuerySet[Agent]:
    """Return the agents whose names the organization may see: its own, including deleted ones, and stock clients.

    The log also has ids of agents of other organizations.
    """
    return Agent.objects.filter(Q(organization_id=organization_id) | Q(organization=None))


def agent_for_organization(organization_id: str, reference: str) -> Agent:
    """Return the organization's agent with this id or client id. Raises `NotFound`."""
    agent = agents_for_organization(organization_id).filter(Q(id=reference) | Q(client_id=reference)).first()
    if agent is None:
        raise NotFound("No such agent.")
    return agent


def search_agents(organization_id: str, *, text: str = "", state: str = "") -> QuerySet[Agent]:
    """Return the organization's agents whose name contains the text or whose id or client id begins with it.

    `state` is "active", "suspended" or "stopped" (by an administrator, regardless of the developer's own status), or
    "".
    """
    found = agents_for_organization(organization_id)
    if text:
        found = found.filter(Q(name__icontains=text) | Q(client_id__startswith=text) | Q(id__startswith=text))
    if state == "stopped":
        return found.exclude(stopped_at=None)
    return found.filter(status=state, stopped_at=None) if state else found


def agent_for_client_id(client_id: str) -> Agent | None:
    """Return the agent with this client id, or None."""
    return Agent.objects.select_related("organization").filter(client_id=client_id, deleted_at=None).first()


def live_secrets(agent: Agent) -> QuerySet[ClientSecret]:
    """Return the agent's live secrets, newest first."""
    return agent.secrets.filter(live(clock.now()))


def live_secret(agent: Agent, secret_id: str) -> ClientSecret:
    """Return the agent's live secret with this id. Raises `NotFound`."""
    found: ClientSecret | None = live_secrets(agent).filter(pk=secret_id).first()
    if found is None:
        raise NotFound("No such client secret.")
    return found


def current_secret(agent: Agent, secret_id: str) -> ClientSecret:
    """Return the agent's live secret with this id, to rotate it. Raises `NotFound` and `AlreadyReplaced`."""
    secret = live_secret(agent, secret_id)
    if secret.is_replaced:
        raise AlreadyReplaced(gettext_noop("A new secret has replaced this one."))
    return secret


def document_host(agent: Agent) -> str:
    """Return the host that publishes the agent's metadata document. Empty for any other agent.

    The document was fetched from this host, so users can rely on it. It need not be the host of the redirect URI.
    """
    is_document = agent.registration_source == Agent.RegistrationSource.CIMD
    return urlsplit(agent.client_id).hostname or "" if is_document else ""
