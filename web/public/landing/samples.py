"""What a service, an agent and a user each get, as shown on the landing page.

Tests send these requests and compare the answers. An ellipsis stands for the rest of a value.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from audit.events import Event, Outcome
from core import clock
from decisions.requests import Reason
from resources.catalogue import catalogue
from web.wording.sentences import Account, in_words

VERIFY_CALL = "POST /api/v1/tokens/verify"
VERIFY = """\
{
  "token": "eyJ…",
  "requiredScopes": ["email:send"]
}"""

VERIFIED = """\
{
  "allowed": false,
  "reason": "approval_required",
  "approvalId": "apr_…"
}"""

EXCHANGE_CALL = "POST /api/v1/tokens/exchange"
EXCHANGE = """\
{
  "code": "…",
  "clientId": "agc_…",
  "clientSecret": "ags_…"
}"""

EXCHANGED = """\
{
  "accessToken": "eyJ…",
  "expiresIn": 900,
  "grantedScopes": ["email:read"]
}"""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a user's activity."""

    at: datetime
    account: Account


def activity(agent: str) -> list[Line]:
    """Return what the user of the agent sees, newest first."""
    now = clock.now()
    entries = (
        _entry(agent, Event.CONSENT_REVOKED, Outcome.INFO),
        _entry(agent, Event.TOKEN_VERIFY, Outcome.DENIED, "email:send", Reason.APPROVAL_REQUIRED),
        _entry(agent, Event.TOKEN_VERIFY, Outcome.ALLOWED, "email:read"),
    )
    return [
        Line(now - timedelta(minutes=past), in_words(entry)) for past, entry in zip((2, 12, 14), entries, strict=True)
    ]


def _entry(agent: str, event: Event, outcome: Outcome, scope: str = "", reason: str | None = None) -> dict[str, Any]:
    """Return a log entry as `web.wording.names` completes it."""
    return {
        "event": event,
        "outcome": outcome,
        "reason": reason,
        "agentName": agent,
        "act": catalogue()[scope].local_title if scope else "",
        "scopeTitles": [],
        "actor": {"kind": "user"},
        "userId": None,
        "policyName": "",
        "metadata": {},
    }
