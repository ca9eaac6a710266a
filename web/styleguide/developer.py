"""Samples of the developer's portal."""

from datetime import timedelta
from typing import Any

from agents.models import Agent, ClientSecret
from core import clock
from policies.models import Policy
from web.forms.filters import AuditFilterForm
from web.styleguide.parties import make_agent


def samples() -> dict[str, Any]:
    now, nothing = clock.now(), Agent.objects.none()
    return {
        "credentials": [
            ClientSecret(last_four="9f3c", created_at=now - timedelta(days=90), expires_at=now + timedelta(days=1)),
            ClientSecret(last_four="01ab", created_at=now),
        ],
        "agents": [
            make_agent("Active", None),
            make_agent("Suspended", None, status=Agent.Status.SUSPENDED),
            make_agent("Stopped", None, stopped_at=now),
        ],
        "policies": [Policy(), Policy(mode=Policy.Mode.SHADOW), Policy(enabled=False)],
        "filters": AuditFilterForm({}, agents=nothing),
        "wrong_filters": AuditFilterForm({"outcome": "maybe"}, agents=nothing),
    }
