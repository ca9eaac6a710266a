"""Fill a migrated database with what the measurements need, and print the tokens and the credentials as JSON.

`python -m benchmarks.seed '{"tokens": 1000, ...}'` has the arguments of `benchmarks.rows.seed`. It needs
`DJANGO_SETTINGS_MODULE` and the database's variables.
"""

import json
import sys
from typing import Any

import django

TOKENS = PEOPLE = 1000
CALLBACK = "https://smartmail.example/callback"
# Those of RFC 7636, appendix B.
VERIFIER, CHALLENGE = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
SCOPES = ["email:read", "email:send", "calendar:read"]
RULES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("rate_limit", {"maxRequests": 1_000_000, "windowSeconds": 3600, "scope": "per_user"}),
    ("action_allowlist", {"actions": ["email:*"]}),
    ("ip_allowlist", {"cidrs": ["203.0.113.0/24"]}),
)


def main() -> None:
    django.setup()
    from benchmarks.rows import seed  # imports models, so Django must be set up

    print(json.dumps(seed(**json.loads(sys.argv[1]))))  # noqa: T201


if __name__ == "__main__":
    main()
