"""The client secrets of an agent: create named ones, rotate and revoke them."""

from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext_noop

from agents.models import Agent, ClientSecret
from agents.selectors import current_secret, live_secret, live_secrets
from agents.services import lock_own_agent, record_agent
from audit.events import Event
from core import clock
from core.actor import Actor
from core.errors import Invalid
from core.locks import revocation
from core.rotation import AddedSecret, NewSecret, create_secret, rotate_secret, sole
from core.wording import Filled
from developers.acting import maker, require_recent_session
from developers.credential_mails import Made, mail_about_credential

# Secrets that still work after a rotation count too.
MAX_SECRETS = 10


def create_client_secret(*, actor: Actor, agent: Agent, name: str) -> AddedSecret:
    """Create an additional secret. Return it with its value, which cannot be read again.

    Raises `Invalid` if a secret that has not been replaced has the same name, or if the agent already has `MAX_SECRETS`
    live ones, and `ReauthenticationRequired` if the actor has not signed in recently.
    """
    with transaction.atomic():
        agent = lock_own_agent(actor, agent)
        require_recent_session(actor)
        found = list(live_secrets(agent))
        if len(found) >= MAX_SECRETS:
            text = gettext_noop("An agent can have at most %(most)d client secrets. Revoke one first.")
            raise Invalid.field("name", Filled(text, most=MAX_SECRETS))
        if name in {secret.name for secret in found if not secret.is_replaced}:
            raise Invalid.field("name", gettext_noop("Another client secret of this agent has this name."))
        fields = {"name": name, "made_by_id": maker(actor)}
        added = create_secret(agent.secrets, prefix="ags", now=clock.now(), fields=fields)
        record_agent(Event.AGENT_SECRET_CREATED, actor=actor, agent=agent, metadata={"name": name})
        mail_about_credential(Made.CLIENT_SECRET, actor=actor, name=agent.name)
    return added


def rotate_client_secret(
    *, actor: Actor, agent: Agent, overlap_seconds: int = 0, secret_id: str | None = None
) -> NewSecret:
    """Replace the secret with this id with a new one of the same name, or all secrets with a single new one.

    A secret that replaces several has no name. The replaced secrets keep working for `overlap_seconds`, 0 to 604800.
    Raises `NotFound` if no live secret has the id, `AlreadyReplaced`, `Invalid` if the overlap would let more than
    `MAX_SECRETS` work at once, and `ReauthenticationRequired` as `create_client_secret` does.
    """
    with revocation():
        agent = lock_own_agent(actor, agent)
        require_recent_session(actor)
        old = current_secret(agent, secret_id) if secret_id else sole(live_secrets(agent))
        name = old.name if old else ""
        new = rotate_secret(
            agent.secrets,
            prefix="ags",
            now=clock.now(),
            overlap_seconds=overlap_seconds,
            most=MAX_SECRETS,
            fields={"name": name, "made_by_id": maker(actor)},
            replaced=Q(pk=secret_id) if secret_id else None,
        )
        metadata: dict[str, Any] = {"overlapSeconds": overlap_seconds}
        if secret_id:
            metadata |= {"secretId": secret_id, "name": name}
        record_agent(Event.AGENT_SECRET_ROTATED, actor=actor, agent=agent, metadata=metadata)
        mail_about_credential(Made.CLIENT_SECRET, actor=actor, name=agent.name)
    return new


def revoke_client_secret(*, actor: Actor, agent: Agent, secret_id: str) -> None:
    """End the secret now. The agent's tokens and its other secrets keep working.

    Raises `NotFound` if no live secret has the id.
    """
    with revocation():
        agent = lock_own_agent(actor, agent)
        secret = live_secret(agent, secret_id)
        ClientSecret.objects.filter(pk=secret.pk).update(expires_at=clock.now())
        metadata = {"secretId": secret.id, "name": secret.name}
        record_agent(Event.AGENT_SECRET_REVOKED, actor=actor, agent=agent, metadata=metadata)
