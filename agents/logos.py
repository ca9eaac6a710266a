"""Logos of agents, fetched once, checked, stored and served by us, so that no page loads them from another server.

`core.fetching` bounds the fetch. It follows no redirects and connects only to public addresses. Pictures are not
decoded, so they cannot attack a decoder. The consent screen shows a logo among the developer's own words, never beside
our badge.
"""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.db import transaction
from django.utils.translation import gettext_noop

from agents.images import MAX_BYTES, Image, UnusableImage
from agents.links import check_links
from agents.models import Agent, AgentLogo
from agents.services import lock_own_agent, record_agent
from audit.events import Event
from core import clock
from core.actor import Actor
from core.errors import Invalid
from core.fetching import FetchFailed, fetch_file
from core.wording import Filled
from limits.throttle import Throttle, address_subjects

logger = logging.getLogger(__name__)

FETCHES_PER_ADDRESS = "20/hour"


@dataclass(frozen=True, slots=True)
class FetchedLogo:
    """A picture, fetched from `url`, that can be stored."""

    url: str
    content: bytes
    media_type: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


def fetch_logo(*, actor: Actor, url: str) -> FetchedLogo:
    """Return the picture at the address. Call it outside a transaction: it can take seconds.

    Raises `Invalid` for the field logoUrl, `Throttled`, and `TooManyFetches`.
    """
    check_links({"logo_url": url})
    Throttle("logo", FETCHES_PER_ADDRESS).hit(*address_subjects(actor.ip or ""))
    parts = urlsplit(url)
    path = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
    try:
        content = fetch_file(parts.hostname or "", path, max_bytes=MAX_BYTES).content
        return FetchedLogo(url, content, Image.read(content).media_type)
    except UnusableImage as error:
        raise Invalid.field("logoUrl", error.args[0]) from error
    except FetchFailed as error:
        logger.info("no logo from %s: %s", parts.hostname, error)
        text = gettext_noop("We could not fetch the picture. It must be public, at most %(most)d KB, and not redirect.")
        raise Invalid.field("logoUrl", Filled(text, most=MAX_BYTES // 1024)) from error


@transaction.atomic
def save_logo(*, actor: Actor, agent: Agent, logo: FetchedLogo) -> None:
    """Store the logo, replacing an earlier one."""
    agent = lock_own_agent(actor, agent)
    fields = {"content": logo.content, "media_type": logo.media_type, "source_url": logo.url}
    AgentLogo.objects.update_or_create(agent=agent, defaults={**fields, "fetched_at": clock.now()})
    _note(actor, agent, logo.digest)


@transaction.atomic
def remove_logo(*, actor: Actor, agent: Agent) -> None:
    """Delete the logo, if there is one."""
    agent = lock_own_agent(actor, agent)
    if AgentLogo.objects.filter(agent=agent).delete()[0]:
        _note(actor, agent, "")


def find_logo(agent_id: str, digest: str) -> AgentLogo | None:
    """Return the agent's logo if it is the one with this digest. None otherwise."""
    return AgentLogo.objects.filter(agent=agent_id, agent__logo_digest=digest).first() if digest else None


def logo_source(agent: Agent) -> str:
    """Return the address from which the agent's logo was fetched. Empty without a logo."""
    return logo_sources([agent]).get(agent.id, "")


def logo_sources(agents: Sequence[Agent]) -> dict[str, str]:
    """Return the address from which each agent's logo was fetched, by agent id. Agents without a logo are left out."""
    ids = [agent.id for agent in agents if agent.logo_digest]
    return dict(AgentLogo.objects.filter(agent__in=ids).values_list("agent", "source_url")) if ids else {}


def _note(actor: Actor, agent: Agent, digest: str) -> None:
    Agent.objects.filter(pk=agent.pk).update(logo_digest=digest, updated=clock.now())
    record_agent(Event.AGENT_UPDATED, actor=actor, agent=agent, metadata={"changed": ["logo"], "logoSha256": digest})
