from datetime import UTC, datetime
from typing import Any

from policies.engine import compile_policy, evaluate
from policies.models import Policy
from policies.refusals import refused_scopes
from policies.rules import RuleContext
from tests.shared import cases

BLOCKED = {"type": "action_blocklist", "config": {"actions": ["payments:*", "shopping:buy"]}}
ALLOWED = {"type": "action_allowlist", "config": {"actions": ["email:*", "shopping:buy"]}}
ADDRESS = {"type": "ip_allowlist", "config": {"cidrs": ["10.0.0.0/8"]}}
NIGHT = {
    "type": "time_window",
    "config": {"allowedDays": [1], "startTimeUtc": "22:00", "endTimeUtc": "06:00", "timezone": "UTC"},
}
LIMIT = {"type": "rate_limit", "config": {"maxRequests": 1, "windowSeconds": 60, "scope": "global"}}
SCOPES = ["email:send", "files:read", "payments:charge", "shopping:buy"]


@cases(
    ("rules", "refused"),
    [
        ([], []),
        ([BLOCKED], ["payments:charge", "shopping:buy"]),
        ([ALLOWED], ["files:read", "payments:charge"]),
        ([ADDRESS, NIGHT, LIMIT], []),
        ([NIGHT, BLOCKED], ["payments:charge", "shopping:buy"]),
        ([{"type": "unknown", "config": {}}], SCOPES),
        ("not a list", SCOPES),
    ],
)
def test_a_scope_that_every_request_is_denied_for_is_refused(rules: Any, refused: list[str]) -> None:
    policy = Policy(name="A policy", rules=rules)

    assert refused_scopes([policy], SCOPES) == dict.fromkeys(refused, policy)
    for scope in refused:
        compiled = compile_policy("pol_1", "A policy", rules)
        asked = RuleContext(datetime(2026, 3, 23, 23, tzinfo=UTC), "agt_1", (scope,), ip="10.0.0.1")
        assert evaluate([compiled], asked).denied_by is not None


def test_the_first_policy_that_refuses_is_named() -> None:
    first, second = Policy(name="First", rules=[BLOCKED]), Policy(name="Second", rules=[ALLOWED])

    found = refused_scopes([first, second], SCOPES)

    assert {scope: policy.name for scope, policy in found.items()} == {
        "payments:charge": "First",
        "shopping:buy": "First",
        "files:read": "Second",
    }
