"""Stock clients: they register themselves (RFC 7591) or publish a metadata document at their client id.

No organization vouches for them, so they belong to none, must use PKCE, and are deleted if never used
(`consent/unused_clients.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext_noop

from agents.errors import InvalidClient
from agents.models import Agent, UsedAssertion
from agents.services import RegisteredAgent, record_agent
from audit.events import Event
from core import clock, secrets
from core.actor import Actor
from core.rotation import add_secret
from core.sweeps import BATCH, delete_batch


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientMetadata:
    """The metadata of a client, already validated by the surface that received it."""

    name: str
    redirect_uris: Sequence[str]
    auth_method: Agent.AuthMethod
    jwks: Mapping[str, Any] | None = None
    jwks_uri: str = ""

    @property
    def fields(self) -> dict[str, Any]:
        is_public = self.auth_method == Agent.AuthMethod.NONE
        return {
            "name": self.name,
            "redirect_uris": " ".join(self.redirect_uris),
            "client_type": Agent.CLIENT_PUBLIC if is_public else Agent.CLIENT_CONFIDENTIAL,
            "token_endpoint_auth_method": self.auth_method,
            "jwks": self.jwks,
            "jwks_uri": self.jwks_uri,
            "jwks_fetched_at": None,
            "require_pkce": True,
            "authorization_grant_type": Agent.GRANT_AUTHORIZATION_CODE,
        }


@transaction.atomic
def register_stock_client(*, actor: Actor, metadata: ClientMetadata) -> RegisteredAgent:
    """Register a client by its own metadata. `client_secret` is empty if the client does not use one."""
    agent = Agent.objects.create(registration_source=Agent.RegistrationSource.DCR, **metadata.fields)
    uses_secret = metadata.auth_method in (Agent.AuthMethod.BASIC, Agent.AuthMethod.POST)
    secret = add_secret(agent.secrets, prefix="ags", now=clock.now()) if uses_secret else ""
    record_agent(Event.AGENT_CREATED, actor=actor, agent=agent, metadata={"name": agent.name, "source": "dcr"})
    return RegisteredAgent(agent, secret)


def save_metadata_client(*, actor: Actor, client_id: str, metadata: ClientMetadata, fresh_until: datetime) -> Agent:
    """Create or update the client whose metadata document was just fetched from `client_id`."""
    fields = {**metadata.fields, "cimd_expires_at": fresh_until}
    source = Agent.RegistrationSource.CIMD
    with transaction.atomic():
        agent, is_new = Agent.objects.update_or_create(client_id=client_id, registration_source=source, defaults=fields)
        if is_new:
            details = {"name": agent.name, "source": "cimd"}
            record_agent(Event.AGENT_CREATED, actor=actor, agent=agent, metadata=details)
    return agent


def save_client_keys(*, agent: Agent, jwks: Mapping[str, Any]) -> None:
    """Store the keys just fetched from the client's `jwks_uri`."""
    agent.jwks, agent.jwks_fetched_at = jwks, clock.now()
    agent.save(update_fields=["jwks", "jwks_fetched_at"])


def use_assertion(*, agent: Agent, token_id: str, expires_at: datetime) -> None:
    """Record that this assertion has been used. Raises `InvalidClient` the second time (RFC 7523 section 3)."""
    key = secrets.digest(f"{agent.client_id}\n{token_id}")
    try:
        with transaction.atomic():
            UsedAssertion.objects.create(digest=key, expires_at=expires_at)
    except IntegrityError as error:
        raise InvalidClient(gettext_noop("The assertion has already been used.")) from error


def delete_expired_assertions(*, limit: int = BATCH) -> int:
    """Delete up to `limit` used assertions that have expired; return the number deleted."""
    expired = UsedAssertion.objects.filter(expires_at__lte=clock.now())
    return delete_batch(expired.order_by("expires_at"), limit=limit)
