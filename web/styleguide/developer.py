"""Samples of the developer's portal."""

from datetime import timedelta
from typing import Any

from django.http import QueryDict

from agents.issued import Issued, IssuedList
from agents.models import Agent, ClientSecret
from core import clock
from decisions.sandbox import ALLOWED, ASKED, DENIED
from developers.credential_mails import Made
from developers.models import ApiKey
from policies.models import Policy
from web.forms.logs import LogFilterForm
from web.forms.rules import RuleForm, form_class
from web.logs.names import OwnNames
from web.named_secrets import SecretRow
from web.rulings import Ruling
from web.sparkline import Sparkline
from web.styleguide.parties import LONG_NAME, make_agent, verified


def samples() -> dict[str, Any]:
    now, names = clock.now(), OwnNames("", {})
    return {
        "credentials": [
            ClientSecret(last_four="9f3c", created_at=now - timedelta(days=90), expires_at=now + timedelta(days=1)),
            ClientSecret(last_four="01ab", created_at=now),
        ],
        "named_secrets": [
            SecretRow(secret, "#developer", "#developer")
            for secret in (
                ClientSecret(
                    last_four="9f3c", created_at=now - timedelta(days=90), expires_at=now + timedelta(hours=1)
                ),
                ClientSecret(name="production", last_four="01ab", created_at=now, last_used_at=now),
                ApiKey(
                    name="deployment",
                    last_four="77de",
                    created_at=now,
                    lifetime_seconds=2_592_000,
                    expires_at=now + timedelta(days=30),
                ),
            )
        ],
        "issued": IssuedList(
            [
                Issued(Made.API_KEY, "ag_…77de", "deployment", "", now, now),
                Issued(Made.CLIENT_SECRET, "ags_…9f3c", LONG_NAME, LONG_NAME, now),
                Issued(Made.SERVER_SECRET, "rs_…01ab", "", "Mail", now),
                Issued(Made.REDIRECT_URIS, "https://agent.example/callback", "", "Active", now),
            ],
            total=5,
        ),
        "agents": [
            make_agent("Active", None),
            make_agent("Suspended", None, status=Agent.Status.SUSPENDED),
            make_agent("Stopped", None, stopped_at=now),
        ],
        "introduced": make_agent(
            "Introduced",
            verified(),
            description="Sorts your mail.",
            homepage_url="https://acme.example/",
            privacy_url="https://acme.example/privacy",
        ),
        "ruling": Ruling("Quiet hours", "#developer", "Time window", 2, "Outside of Monday to Friday, 08:00 to 18:00."),
        "sparks": [Sparkline([0] * 24), Sparkline([0, 1, 0, 5, 40, 90, 120, 3] * 3)],
        "policies": [Policy(), Policy(mode=Policy.Mode.SHADOW), Policy(enabled=False)],
        "rules": _rules(),
        "answers": (ALLOWED, ASKED, DENIED),
        "filters": LogFilterForm(QueryDict(), names=names),
        "wrong_filters": LogFilterForm(QueryDict("outcome=maybe"), names=names),
    }


def _rules() -> list[RuleForm]:
    """Return rules of the policy editor: one without its words yet, one complete, one with an unknown action."""
    conditions = [{"field": "amount.value", "operator": "at_most", "value": "50.00"}]
    empty = form_class("context_match")(prefix="rules-0")
    complete = form_class("context_match")(initial={"conditions": conditions}, prefix="rules-1")
    complete.wording = "Only if amount.value is at most 50.00"
    wrong = form_class("action_blocklist")(initial={"actions": ["email:sent"]}, prefix="rules-2")
    wrong.wording, wrong.problem = "Never email:sent", 'Line 1: "email:sent" is unknown. Did you mean "email:send"?'
    return [empty, complete, wrong]
