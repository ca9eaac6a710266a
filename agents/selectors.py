"""Reads of agents. All reads for a tenant use `agents_for_organization`."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from django.db.models import Q, QuerySet
from django.utils.translation import gettext_noop

from agents.models import Agent, ClientSecret
from core import clock, secrets
from core.errors import NotFound
from core.rotation import AlreadyReplaced, live
from core.sql import Columns, fetch_one
from developers.models import Organization

SECRET, AGENT = Columns(ClientSecret, "secret", "id", "agent_id", "last_used_at"), Columns(Agent, "agent")
ORGANIZATION = Columns(Organization, "organization")
# Every request of an agent reads one of these.
BY_CLIENT_ID = f"""
    SELECT {AGENT.sql}, {ORGANIZATION.sql} FROM agents_agent AS agent
    LEFT JOIN developers_organization AS organization ON organization.id = agent.organization_id
    WHERE agent.client_id = %s AND agent.deleted_at IS NULL
"""  # noqa: S608
BY_SECRET = f"""
    SELECT {SECRET.sql}, {AGENT.sql}, {ORGANIZATION.sql} FROM agents_clientsecret AS secret
    JOIN agents_agent AS agent ON agent.id = secret.agent_id
    LEFT JOIN developers_organization AS organization ON organization.id = agent.organization_id
    WHERE secret.digest = %s AND agent.client_id = %s AND (secret.expires_at IS NULL OR secret.expires_at > %s)
"""  # noqa: S608


def agents_for_organization(organization_id: str) -> QuerySet[Agent]:
    """Return the organization's agents, newest first, without deleted ones."""
    return all_agents_of_organization(organization_id).filter(deleted_at=None)


def all_agents_of_organization(organization_id: str) -> QuerySet[Agent]:
    """Return the organization's agents, newest first, including deleted ones, which the log still names."""
    return Agent.objects.filter(organization_id=organization_id).order_by("-id")


def agent_ids_of(organization_id: str) -> list[str]:
    """Return the ids of the organization's agents, including deleted ones, for searches in the log."""
    return list(all_agents_of_organization(organization_id).values_list("pk", flat=True))


def agents_of_deleted_organizations() -> QuerySet[Agent]:
    """Return the agents that are left of deleted organizations, for a sweep."""
    deleted = Organization.objects.filter(deletes_at__lte=clock.now(), deleted_at__isnull=False)
    return Agent.objects.filter(organization__in=deleted, deleted_at=None)


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
    """Return the agent with this client id and its organization, or None."""
    row = fetch_one(BY_CLIENT_ID, [client_id])
    return _agent(iter(row)) if row else None


def find_client_secret(client_id: str, value: str) -> ClientSecret | None:
    """Return the live secret with this value if it is that of the client, with its agent, or None."""
    row = fetch_one(BY_SECRET, [secrets.digest(value), client_id, clock.now()])
    if row is None:
        return None
    values = iter(row)
    secret, agent = SECRET.make(values), _agent(values)
    if secret is not None and agent is not None:
        secret.agent = agent
    return secret


def _agent(values: Iterator[Any]) -> Agent | None:
    agent, organization = AGENT.make(values), ORGANIZATION.make(values)
    if agent is not None:
        agent.organization = organization
    return agent


def public_agent(agent_id: str) -> Agent:
    """Return the agent with its organization, for readers who are not signed in. Raises `NotFound` if it is deleted."""
    found = Agent.objects.select_related("organization").filter(pk=agent_id, deleted_at=None).first()
    if found is None:
        raise NotFound("No such agent.")
    return found


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
