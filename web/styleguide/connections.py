"""Samples of connections, of their permissions, and of the permissions on the consent screen."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.http import QueryDict

from agents.models import Agent
from audit.readers.uses import ScopeUse, Uses
from consent.models import Consent
from consent.shown_services import ShownService
from consent.usage import Usage
from core import clock
from core.errors import Invalid
from resources.catalogue import Scope, catalogue
from web.connections import Connection
from web.consent_screen.form import Choice
from web.consent_screen.targets import Candidate, TargetChoice
from web.limit_editor.fields import limit_fields
from web.limit_editor.words import recipient_limit
from web.styleguide.parties import LONG_NAME, make_agent, suspended, unverified, verified

DAY = 86_400
PER_DAY = {"windowSeconds": DAY, "scope": "per_user"}
RATE = {"type": "rate_limit", "config": {"maxRequests": 20, **PER_DAY}}
SPEND = {"type": "spend_limit", "config": {"maxAmount": "50", "currency": "EUR", **PER_DAY}}
ONLY = recipient_limit(["acme.com", "maria@example.com"])
# They have each label of the guard against data flows.
FLOWING = ("email:read", "email:send")
MANY = (*FLOWING, "calendar:read", "calendar:write", "files:read", "messaging:send", "payments:charge")
ASKS = {
    "modes": {"messaging:send": "ask", "payments:charge": "ask"},
    "limits": {"email:send": [RATE, ONLY]},
    "targets": {"payments:charge": [{"identifiers": ["savings", LONG_NAME, "holidays"]}]},
}
CHANGED = ("email:send", "messaging:send", "payments:charge")


def samples() -> dict[str, Any]:
    now = clock.now()
    return {
        "now": now,
        "cards": _cards(now),
        "paused": _connection("paused", make_agent("Paused", verified()), FLOWING, paused_at=now),
        "running": _connection("running", make_agent(LONG_NAME, verified()), FLOWING),
        "unused": _connection("unused", make_agent("Unused", verified()), MANY, unused=("files:read", "email:read")),
        "guards": _guards(),
        "granted": _granted(now),
        "refused": _refused(),
        "targets": _targets(),
        "services": _services(),
        "unnamed": [ShownService("", "", "", "", is_foreign=False)],
        "ended": _connection("ended", make_agent("Ended", verified()), FLOWING, status=Consent.Status.REVOKED),
        "refusal": Invalid("Choose at least one permission to remove."),
    }


def _cards(now: datetime) -> dict[str, Connection]:
    """Return a connection in each state of its card."""
    used = Uses(now - timedelta(hours=2), {"email:send": ScopeUse(12, now - timedelta(hours=2))})
    late = now - timedelta(days=40)
    return {
        "In use": _connection("used", make_agent("Mail Helper", verified()), MANY, terms=ASKS, uses=used),
        "Long names, paused, partly unused": _connection(
            "long", make_agent(LONG_NAME, unverified()), MANY, paused_at=now, unused=("files:read",), uses=used
        ),
        "Never used, not registered by a developer": _connection(
            "idle", make_agent("Desk Tool", None), FLOWING, unused=FLOWING, decided_at=late
        ),
        "Suspended": _connection("stopped", make_agent("Shady Agent", suspended()), FLOWING),
        "All permissions removed by the developer": _connection(
            "empty", make_agent("Empty", verified(), allowed_scopes=[]), FLOWING
        ),
    }


def _connection(
    name: str,
    agent: Agent,
    scopes: Sequence[str],
    *,
    unused: Sequence[str] = (),
    uses: Uses | None = None,
    status: str = Consent.Status.APPROVED,
    **fields: Any,
) -> Connection:
    now = clock.now()
    times = {"decided_at": now - timedelta(days=12), "expires_at": now + timedelta(days=78)}
    consent = Consent(id=f"cns_{name}", agent=agent, granted_scopes=list(scopes), status=status, **{**times, **fields})
    return Connection(consent, status, [catalogue()[scope] for scope in scopes], Usage(uses or Uses(), unused))


def _guards() -> dict[str, Connection]:
    """Return a connection for each mode of the guard against data flows."""
    agent = make_agent("Guarded", verified())
    modes = {"Lets it send": {}, "Asks": {"data_flow": "ask"}, "Sends nothing": {"data_flow": "deny"}}
    return {
        caption: _connection("guarded", agent, FLOWING, terms={"guards": guards}) for caption, guards in modes.items()
    }


def _granted(now: datetime) -> list[dict[str, Any]]:
    """Return permissions of a connection, each with its editor if it can be changed on the page."""
    used = Uses(now, {"email:send": ScopeUse(12, now), "payments:charge": ScopeUse(1, now - timedelta(days=9))})
    live = _connection("granted", make_agent("Mail Helper", verified()), MANY, terms=ASKS, uses=used)
    ended = _connection("past", live.consent.agent, FLOWING, status=Consent.Status.REVOKED, uses=used)
    rows = [
        {"connection": live, "bounded": one, "fields": live.editor(one.scope) if one.scope.id in CHANGED else None}
        for one in live.bounded
        if one.scope.id in (*CHANGED, "files:read")
    ]
    own = replace(live.bounded[0], scope=_own_scope(), limits=[f"Only to {LONG_NAME}"])
    return [*rows, {"connection": live, "bounded": own}, {"connection": ended, "bounded": ended.bounded[1]}]


def _own_scope() -> Scope:
    """Return a scope that an organization wrote."""
    return Scope(
        id="acme:robots:move",
        category="acme",
        risk_level="high",
        title=LONG_NAME,
        description="Move the robots of your warehouse",
        cannot="leave the warehouse",
        defined_by="Acme Robotics",
    )


def _refused() -> dict[str, Any]:
    """Return a form that was refused, with what the user had sent."""
    scope = catalogue()["payments:charge"]
    name = "limit-amount-payments:charge"
    error = Invalid.field(name, "Enter an amount, such as 20 or 19.99.")
    posted = QueryDict(f"{name}=lots")
    return {"error": error, "fields": limit_fields(scope, [SPEND], posted=posted, errors=error.errors)}


def _services() -> list[ShownService]:
    """Return all services of the developer, one of them, and one of another organization with long names."""
    return [
        ShownService("https://agentgate.example", "", "agentgate.example", "Acme Robotics", is_foreign=False),
        ShownService("https://robots.acme.com", "Robots", "robots.acme.com", "Acme Robotics", is_foreign=False),
        ShownService("https://long.example:8443", LONG_NAME, "long.example:8443", LONG_NAME, is_foreign=True),
    ]


def _targets() -> list[TargetChoice]:
    return [
        TargetChoice(
            "target-0", "Repositories", "Push code", [Candidate(one, ticked=True) for one in ("acme/site", LONG_NAME)]
        ),
        TargetChoice("target-1", "Accounts", "Take payments from you", [Candidate("savings", ticked=True)]),
    ]


def choices() -> dict[str, Any]:
    """Return a choice in each state: preselected, with a mode and a limit, always asking, known and reworded."""
    read, send, post, pay = (catalogue()[one] for one in ("email:read", "email:send", "social:post", "payments:charge"))
    return {
        "choices": [
            Choice(read, ticked=True),
            Choice(send, ticked=False, mode="ask", limits=limit_fields(send, [RATE])),
            Choice(post, ticked=True, mode="allow"),
            Choice(pay, ticked=False, only=["savings", LONG_NAME]),
            Choice(catalogue()["calendar:read"], ticked=False, is_known=True, is_reworded=True),
            Choice(_own_scope(), ticked=False),
        ]
    }
