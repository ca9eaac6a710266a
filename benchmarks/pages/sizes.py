"""How much data there is, and the rules of the policies: every type, in turn."""

from dataclasses import dataclass
from typing import Any

CEDAR = 'permit (principal, action, resource);\nforbid (principal, action == Action::"email:send", resource);'
DAY = 86_400
# An organization may have ten Cedar policies only, so there is one in every 25.
CEDAR_EVERY = 25
RULES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("rate_limit", {"maxRequests": 1_000_000, "windowSeconds": 3600, "scope": "per_user"}),
    ("action_blocklist", {"actions": ["payments:*", "cloud:manage"]}),
    ("ip_allowlist", {"cidrs": ["203.0.113.0/24", "2001:db8::/32"]}),
    ("time_window", {"allowedDays": [1, 2, 3, 4, 5], "startTimeUtc": "06:00", "endTimeUtc": "22:00"}),
    ("spend_limit", {"maxAmount": "500.00", "currency": "EUR", "windowSeconds": DAY, "scope": "per_user"}),
    ("context_match", {"conditions": [{"field": "recipient", "operator": "ends_with", "value": "@acme.example"}]}),
    ("action_allowlist", {"actions": ["email:*", "calendar:*", "files:read", "acme:*"]}),
    ("data_flow", {"windowSeconds": DAY, "then": "ask"}),
)


@dataclass(frozen=True)
class Sizes:
    """The numbers of rows of one organization, Acme. `organizations` is how many others there are.

    All users are connected to Acme's first agent, and Ada to all agents.

    With this many entries, about 4,000 have no postings yet (`audit.sequencing.postings`), nearly the most possible.
    """

    entries: int = 1_003_400
    agents: int = 800
    policies: int = 60
    users: int = 50_000
    approvals: int = 2_000
    servers: int = 30
    scopes: int = 60
    organizations: int = 300


def rules_of(number: int) -> list[dict[str, Any]]:
    """Return the rules of the policy with this number: two of every third policy, else one."""
    if number % CEDAR_EVERY == CEDAR_EVERY - 1:
        return [{"type": "cedar", "config": {"policy": CEDAR}}]
    places = [number, number + 1] if number % 3 == 0 else [number]
    return [{"type": kind, "config": config} for kind, config in (RULES[place % len(RULES)] for place in places)]
