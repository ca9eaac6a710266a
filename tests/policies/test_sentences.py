from typing import Any

from policies.rules import parse_rules
from policies.rules.words import Titles
from resources.actions import titles_for_users
from tests.shared import cases

HOURS = {"allowedDays": [1, 2, 3, 4, 5], "startTimeUtc": "09:00", "endTimeUtc": "17:00"}


def sentence(rule_type: str, config: dict[str, Any], titles: Titles | None = None) -> str:
    (rule,) = parse_rules([{"type": rule_type, "config": config}])
    return rule.sentence(titles)


@cases(
    ("limit", "seconds", "scope", "expected"),
    [
        (10, 3600, "per_user", "At most 10 times per hour (each user separately)"),
        (1, 60, "per_agent", "At most once per minute (all users of the agent together)"),
        (5, 1, "global", "At most 5 times per second (all agents and users together)"),
        (5, 90, "global", "At most 5 times per 90 seconds (all agents and users together)"),
        (5, 900, "global", "At most 5 times per 15 minutes (all agents and users together)"),
        (5, 7200, "global", "At most 5 times per 2 hours (all agents and users together)"),
        (5, 86_400, "global", "At most 5 times per day (all agents and users together)"),
        (5, 2_592_000, "global", "At most 5 times per 30 days (all agents and users together)"),
    ],
)
def test_a_limit_reads_as_a_sentence(limit: int, seconds: int, scope: str, expected: str) -> None:
    config = {"maxRequests": limit, "windowSeconds": seconds, "scope": scope}

    assert sentence("rate_limit", config) == expected


@cases(
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


@cases(
    ("rule_type", "config", "expected"),
    [
        (
            "delegation",
            {"maxDepth": 2, "agents": ["agt_1", "agt_2"], "organizations": ["org_1"]},
            "Work that another agent handed over: at most 2 hand-overs; only by and to agt_1 and agt_2; only between "
            "agents of org_1",
        ),
        ("delegation", {"maxDepth": 0}, "No work that another agent handed over"),
        (
            "action_allowlist",
            {"actions": ["email:read", "payments:*"]},
            "Only these are allowed: email:read and payments:*",
        ),
        ("action_allowlist", {"actions": []}, "No actions are allowed"),
        ("action_blocklist", {"actions": ["email:send", "payments:*"]}, "Never allowed: email:send and payments:*"),
        ("action_blocklist", {"actions": []}, "No actions are blocked"),
        ("ip_allowlist", {"cidrs": ["10.0.0.0/8", "::1"]}, "Only from these internet addresses: 10.0.0.0/8 or ::1"),
        ("ip_allowlist", {"cidrs": []}, "No IP addresses are allowed"),
    ],
)
def test_lists_read_as_sentences(rule_type: str, config: dict[str, Any], expected: str) -> None:
    assert sentence(rule_type, config) == expected


@cases(
    ("rule_type", "config", "expected"),
    [
        ("ip_allowlist", {"cidrs": ["10.0.0.0/8"]}, "Only from these internet addresses: 10.0.0.0/8"),
        ("time_window", HOURS, "Only Monday to Friday, from 09:00 to 17:00 (UTC)"),
        (
            "rate_limit",
            {"maxRequests": 5, "windowSeconds": 60, "scope": "per_user"},
            "At most 5 times per minute (each user separately)",
        ),
        (
            "context_match",
            {"conditions": [{"field": "to", "operator": "exists"}]},
            "Only if to is given",
        ),
    ],
)
def test_a_sentence_says_what_the_rule_concerns(rule_type: str, config: dict[str, Any], expected: str) -> None:
    assert sentence(rule_type, {**config, "actions": ["payments:charge"]}) == f"For payments:charge: {expected}"
    both = f"For payments:charge and email:*: {expected}"
    assert sentence(rule_type, {**config, "actions": ["payments:charge", "email:*"]}) == both


@cases(
    ("condition", "expected"),
    [
        ({"operator": "equals", "value": "acme/web"}, "Only if target is acme/web"),
        ({"operator": "equals", "value": 7}, "Only if target is 7"),
        ({"operator": "equals", "value": True}, "Only if target is true"),
        ({"operator": "not_equals", "value": "main"}, "Only if target is not main"),
        ({"operator": "in", "values": ["a", "b", "c"]}, "Only if target is a, b or c"),
        ({"operator": "not_in", "values": ["a", "b"]}, "Only if target is not a or b"),
        ({"operator": "starts_with", "value": "acme/"}, "Only if target starts with acme/"),
        ({"operator": "ends_with", "value": ".pdf"}, "Only if target ends with .pdf"),
        ({"operator": "glob", "value": "acme/*.pdf"}, "Only if target matches acme/*.pdf"),
        ({"operator": "matches_any", "values": ["*@acme.com", "b"]}, "Only if target matches *@acme.com or b"),
        ({"operator": "at_most", "value": "12.50"}, "Only if target is at most 12.50"),
        ({"operator": "at_least", "value": 3}, "Only if target is at least 3"),
        ({"operator": "exists"}, "Only if target is given"),
        ({"operator": "exists", "value": True}, "Only if target is given"),
        ({"operator": "exists", "value": False}, "Only if target is not given"),
    ],
)
def test_a_condition_reads_as_a_sentence(condition: dict[str, Any], expected: str) -> None:
    assert sentence("context_match", {"conditions": [{"field": "target", **condition}]}) == expected


def test_conditions_read_as_one_sentence() -> None:
    conditions = [{"field": name, "operator": "exists"} for name in ("resource", "a.b", "c")]

    expected = "Only if resource is given, a.b is given and c is given"
    assert sentence("context_match", {"conditions": conditions}) == expected


def test_a_budget_reads_as_a_sentence() -> None:
    config = {"maxAmount": "100.00", "currency": "EUR", "windowSeconds": 86_400, "scope": "per_user"}

    assert sentence("spend_limit", config) == "At most €100.00 per day (each user separately)"


PER_HOUR = {"maxRequests": 5, "windowSeconds": 3600}
BOUGHT = {"maxAmount": "100.00", "currency": "EUR", "windowSeconds": 604_800, "scope": "per_user"}
OF_ACME = {"field": "recipient", "operator": "matches_any", "values": ["*@acme.com", "bob"]}
IN_CEDAR = "permit (principal, action, resource);"


@cases(
    ("rule_type", "config", "expected"),
    [
        (
            "action_blocklist",
            {"actions": ["shopping:buy", "books:lend", "github:repo:r*"]},
            "Never allowed: “Buy for you”, “Lend books” and “Read your code”",
        ),
        (
            "action_blocklist",
            {"actions": ["payments:*", "email:send"]},
            "Never allowed: everything in “Payments” and “Send email as you”",
        ),
        ("action_blocklist", {"actions": ["x:y", "x:z"]}, "Never allowed: other actions that have no name here"),
        ("action_allowlist", {"actions": ["*"]}, "Only these are allowed: everything"),
        ("rate_limit", {**PER_HOUR, "scope": "per_user"}, "At most 5 times per hour"),
        (
            "rate_limit",
            {**PER_HOUR, "scope": "per_agent"},
            "At most 5 times per hour (all users of the agent together)",
        ),
        ("spend_limit", {**BOUGHT, "actions": ["shopping:buy"]}, "For “Buy for you”: At most €100.00 per week"),
        (
            "time_window",
            {**HOURS, "timezone": "America/New_York"},
            "Only Monday to Friday, from 09:00 to 17:00 (New York time)",
        ),
        ("context_match", {"conditions": [OF_ACME]}, "Only if the recipient matches anyone at acme.com or bob"),
        ("context_match", {"conditions": [{"field": "tag", "operator": "exists"}]}, "Only if “tag” is given"),
        (
            "cedar",
            {"policy": IN_CEDAR},
            "Only what a program of the developer allows. It is written in the language Cedar",
        ),
        (
            "data_flow",
            {"windowSeconds": 3600, "then": "ask"},
            "Once it has read your private data and text by others, it asks you before it sends anything out",
        ),
        (
            "delegation",
            {"maxDepth": 1, "agents": ["agt_1"], "organizations": ["org_1"]},
            "Work from other agents only if the developer accepts it",
        ),
        ("delegation", {"maxDepth": 0}, "Nothing that another agent handed over"),
        (
            "data_flow",
            {"windowSeconds": 3600, "then": "deny"},
            "Once it has read your private data and text by others, it can send nothing out",
        ),
    ],
)
def test_a_sentence_for_users_has_titles_and_no_ids(rule_type: str, config: dict[str, Any], expected: str) -> None:
    assert sentence(rule_type, config, titles_for_users({"books:lend": "Lend books"})) == expected
