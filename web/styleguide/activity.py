"""Samples of the user's ledger."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from audit.events import Event, Outcome
from core import clock
from decisions.requests import Reason
from resources.catalogue import catalogue
from web.forms.filters import Chip
from web.ledger.days import lay_out
from web.ledger.items import Item
from web.ledger.touched import Touched
from web.styleguide.parties import LONG_NAME

AMOUNT = {"value": "12.50", "currency": "EUR"}


def samples() -> dict[str, Any]:
    return {
        "days": lay_out(_items(clock.now()))[0],
        "chips": [Chip("Agent", LONG_NAME, ""), Chip("From", "Nov 1, 2026", "")],
    }


def _items(now: datetime) -> list[Item]:
    """Return an entry in each state, newest first: allowed, paid, reserved, asked, denied, repeated, and the user's."""
    denied = {"outcome": Outcome.DENIED, "reason": Reason.POLICY_DENIED, "policyName": "Office hours"}
    own = {**denied, "metadata": {"limitedBy": "user", "ruleType": "rate_limit"}}
    asked = {"outcome": Outcome.DENIED, "reason": Reason.APPROVAL_REQUIRED}
    long = Touched(recipient=f"{LONG_NAME}@example.com", target=LONG_NAME)
    shop = Touched(recipient="Corner Shop", amount=AMOUNT)
    files = [Touched(target=name) for name in ("report.pdf", "notes.txt", LONG_NAME)]
    told: list[tuple[str, Touched, dict[str, Any]]] = [
        ("email:send", Touched(recipient="bob@acme.com"), {}),
        ("payments:charge", shop, {}),
        ("payments:charge", Touched(recipient="Hotel", amount=AMOUNT, is_reserved=True), {}),
        ("payments:charge", shop, asked),
        ("payments:charge", shop, denied),
        ("email:send", long, denied),
        *[("files:read", one, {}) for one in files],
        *[("email:read", Touched(), own) for _ in range(3)],
    ]
    calls = [_item(number, now, scope, touched, **fields) for number, (scope, touched, fields) in enumerate(told)]
    signed_in = _item(len(calls), now, "", Touched(), event=Event.USER_SIGNED_IN, outcome=Outcome.INFO, agentId=None)
    return [*calls, signed_in]


def _item(number: int, now: datetime, scope: str, touched: Touched, **fields: Any) -> Item:
    """Return an entry of the log as `web.names` completes it."""
    content = {
        "id": f"aud_{number}",
        "event": Event.TOKEN_VERIFY,
        "outcome": Outcome.ALLOWED,
        "reason": None,
        "agentId": "agt_mail",
        "agentName": "Mail Helper",
        "scopes": [scope] if scope else [],
        "scopeTitles": [catalogue()[scope].title] if scope else [],
        "knownScopes": [catalogue()[scope]] if scope else [],
        "action": "",
        "actor": {"kind": "user"},
        "consentId": None,
        "policyId": None,
        "policyName": None,
        "policyOrganizationId": None,
        "organizationId": None,
        "metadata": {},
        **fields,
    }
    said = {"recipient": touched.recipient, "target": touched.target, "amount": touched.amount}
    return Item(content, now - timedelta(minutes=number), replace(touched, said=said), [])
