"""The agent that waits while a person signs in or signs up on the way to its consent page."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.http import HttpRequest

from agents.models import Agent
from consent.granting import require_grantable
from consent.models import Consent
from consent.selectors import find_consent
from core import clock
from core.browser import browser_digest
from core.errors import DomainError
from developers.models import Organization

CONSENT_PATH = re.compile(r"/consent/(cns_[0-9a-zA-Z]{1,60})")


@dataclass(frozen=True, slots=True)
class Waiting:
    agent: Agent

    @property
    def organization(self) -> Organization | None:
        return self.agent.organization

    @property
    def is_verified(self) -> bool:
        """Whether an administrator has verified the developer."""
        return self.organization is not None and self.organization.is_verified


def waiting_agent(request: HttpRequest, wanted: str | None) -> Waiting | None:
    """Return the agent whose consent page `wanted` leads to. None unless this browser can decide the request now."""
    match = CONSENT_PATH.fullmatch(urlsplit(wanted or "").path)
    asked = find_consent(match[1]) if match else None
    if asked is None or not asked.is_open_in(browser_digest(request)):
        return None
    if asked.status_at(clock.now()) != Consent.Status.PENDING:
        return None
    try:
        require_grantable(asked)
    except DomainError:
        return None
    return Waiting(asked.agent)
