"""Long texts and policies for pages."""

from typing import Any

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
