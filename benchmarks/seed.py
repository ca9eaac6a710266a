"""Fill a migrated database with what the measurements need, and print the credentials as JSON.

`python -m benchmarks.seed '{"tokens": 1000, ...}'` needs `DJANGO_SETTINGS_MODULE` and the database's variables. The
options are the fields of `Wanted`.
"""

import json
import sys
from dataclasses import asdict, dataclass
from typing import Any

import django

PEOPLE = 1000
SCOPES = ["email:read", "email:send", "calendar:read"]
# The first three are those of all measurements. More are added only to see whether they cost time.
RULES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("rate_limit", {"maxRequests": 1_000_000, "windowSeconds": 3600, "scope": "per_user"}),
    ("action_allowlist", {"actions": ["email:*"]}),
    ("ip_allowlist", {"cidrs": ["203.0.113.0/24"]}),
    ("action_blocklist", {"actions": ["payments:*"]}),
)


@dataclass(frozen=True)
class Wanted:
    """How many rows. `codes` and `refreshes` can each be used once. `revoked` tokens exist but are never sent."""

    tokens: int = 1000
    policies: int = 3
    codes: int = 0
    refreshes: int = 0
    revoked: int = 0

    def as_argument(self) -> str:
        return json.dumps(asdict(self))


def main() -> None:
    django.setup()
    from benchmarks.rows import seed  # imports models, so Django must be set up

    print(json.dumps(seed(Wanted(**json.loads(sys.argv[1])))))  # noqa: T201


if __name__ == "__main__":
    main()
