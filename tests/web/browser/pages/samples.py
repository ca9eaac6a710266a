"""Long texts, policies, and a service of others for pages."""

from typing import Any

from core.actor import SYSTEM
from resources.services import update_resource_server
from tests.world import make_developer, make_resource_server

LONG = "Averyveryverylongnamewithoutanyspace" * 2
WIDE = "w" * 200
RULES: list[dict[str, Any]] = [
    {"type": "rate_limit", "config": {"maxRequests": 20, "windowSeconds": 3600, "scope": "per_user"}},
    {
        "type": "time_window",
        "config": {"allowedDays": [1, 2, 3, 4, 5], "startTimeUtc": "08:00", "endTimeUtc": "18:00"},
    },
    {"type": "action_blocklist", "config": {"actions": ["payments:*"]}},
]


def foreign_service() -> str:
    """Return the identifier of a service of another organization than the agents'. All its names are long."""
    other = make_developer("other@example.com", f"{WIDE} {LONG}"[:190])
    server = make_resource_server(other, f"https://{LONG[:60].lower()}.example:8443/v1").server
    update_resource_server(actor=SYSTEM, server=server, name=f"{LONG} {LONG}")
    return str(server.identifier)
