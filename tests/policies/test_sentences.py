from typing import Any

import pytest

from policies.rules import parse_rules

HOURS = {"allowedDays": [1, 2, 3, 4, 5], "startTimeUtc": "09:00", "endTimeUtc": "17:00"}


def sentence(rule_type: str, config: dict[str, Any]) -> str:
    (rule,) = parse_rules([{"type": rule_type, "config": config}])
    return rule.sentence()


@pytest.mark.parametrize(
    ("limit", "seconds", "scope", "expected"),
    [
        (10, 3600, "per_user", "At most 10 requests in any hour, per user"),
        (1, 60, "per_agent", "At most 1 request in any minute, per agent"),
        (5, 1, "global", "At most 5 requests in any second, across all agents and users"),
        (5, 90, "global", "At most 5 requests in any 90 seconds, across all agents and users"),
        (5, 900, "global", "At most 5 requests in any 15 minutes, across all agents and users"),
        (5, 7200, "global", "At most 5 requests in any 2 hours, across all agents and users"),
        (5, 86_400, "global", "At most 5 requests in any day, across all agents and users"),
        (5, 2_592_000, "global", "At most 5 requests in any 30 days, across all agents and users"),
    ],
)
def test_a_limit_reads_as_a_sentence(limit: int, seconds: int, scope: str, expected: str) -> None:
    config = {"maxRequests": limit, "windowSeconds": seconds, "scope": scope}

    assert sentence("rate_limit", config) == expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, "Only Monday to Friday, from 09:00 to 17:00 (UTC)"),
        ({"allowedDays": [6, 0]}, "Only on Saturday and Sunday, from 09:00 to 17:00 (UTC)"),
        ({"allowedDays": [3, 1, 5, 3]}, "Only on Monday, Wednesday and Friday, from 09:00 to 17:00 (UTC)"),
        ({"allowedDays": [0, 1, 2, 3, 4, 5, 6, 7]}, "Only from 09:00 to 17:00 (UTC)"),
        (
            {"allowedDays": [5], "startTimeUtc": "22:00", "endTimeUtc": "06:00", "timezone": "Europe/Berlin"},
            "Only on Friday, from 22:00 to 06:00 the next day (Europe/Berlin)",
        ),
        ({"endTimeUtc": "00:00"}, "Only Monday to Friday, from 09:00 to midnight (UTC)"),
    ],
)
def test_hours_read_as_a_sentence(change: dict[str, Any], expected: str) -> None:
    assert sentence("time_window", HOURS | change) == expected


@pytest.mark.parametrize(
    ("rule_type", "config", "expected"),
    [
        ("action_allowlist", {"actions": ["email:read", "payments:*"]}, "Only email:read and payments:*"),
        ("action_allowlist", {"actions": []}, "No actions are allowed"),
        ("action_blocklist", {"actions": ["email:send", "payments:*"]}, "Never email:send or payments:*"),
        ("action_blocklist", {"actions": []}, "No actions are blocked"),
        ("ip_allowlist", {"cidrs": ["10.0.0.0/8", "::1"]}, "Only from 10.0.0.0/8 or ::1"),
        ("ip_allowlist", {"cidrs": []}, "No IP addresses are allowed"),
    ],
)
def test_lists_read_as_sentences(rule_type: str, config: dict[str, Any], expected: str) -> None:
    assert sentence(rule_type, config) == expected
