"""The agent that waits while a user signs in or signs up on the way to its consent page."""

import re

from django.http import HttpRequest

from agents.models import Agent
from consent.granting import require_grantable
from consent.models import Consent
from consent.selectors import find_consent
from core import clock
from core.browser import browser_digest
from core.errors import DomainError

CONSENT_PATH = re.compile(r"/consent/(cns_[0-9a-zA-Z]{1,60})")


def is_consent_page(wanted: str | None) -> bool:
    """Return whether `wanted` is the path of a consent page. The request need not exist."""
    return _consent_path(wanted) is not None


def waiting_agent(request: HttpRequest, wanted: str | None) -> Agent | None:
    """Return the agent whose consent page `wanted` leads to. None unless this browser can decide the request now."""
    match = _consent_path(wanted)
    asked = find_consent(match[1]) if match else None
    if asked is None or not asked.is_open_in(browser_digest(request)):
        return None
    if asked.status_at(clock.now()) != Consent.Status.PENDING:
        return None
    try:
        require_grantable(asked)
    except DomainError:
        return None
    return asked.agent


def _consent_path(wanted: str | None) -> re.Match[str] | None:
    return CONSENT_PATH.fullmatch((wanted or "").partition("?")[0].partition("#")[0])
