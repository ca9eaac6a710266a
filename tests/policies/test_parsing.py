from typing import Any

import pytest

from core.validation import MAX_ERRORS
from policies.rules import InvalidRules, parse_rules, parsing
from policies.rules.parsing import parse_rule
from tests.shared import cases

LIMIT = {"maxRequests": 10, "windowSeconds": 3600, "scope": "per_user"}
BUDGET = {"maxAmount": "100.00", "currency": "EUR", "windowSeconds": 86_400, "scope": "per_user"}
HOURS = {"allowedDays": [1, 2], "startTimeUtc": "09:00", "endTimeUtc": "17:00"}


def rejected(*rules: Any) -> dict[str, str]:
    with pytest.raises(InvalidRules) as caught:
        parse_rules(list(rules))
    return {error.field: error.message for error in caught.value.errors}


def rejected_field(rule_type: str, config: Any) -> str:
    (field,) = rejected({"type": rule_type, "config": config})
    return field.removeprefix("rules.0.config")


@cases(
    ("rule_type", "config"),
    [
        ("rate_limit", {"maxRequests": 1, "windowSeconds": 1, "scope": "global"}),
        ("rate_limit", {"maxRequests": 1_000_000, "windowSeconds": 2_592_000, "scope": "per_agent"}),
        ("spend_limit", BUDGET),
        ("spend_limit", BUDGET | {"maxAmount": "0.00000001", "currency": "JPY", "actions": ["payments:*"]}),
        ("spend_limit", BUDGET | {"maxAmount": "9" * 15 + ".99999999", "scope": "global"}),
        ("time_window", HOURS),
        ("time_window", HOURS | {"allowedDays": [0, 7], "timezone": "America/Argentina/Buenos_Aires"}),
        ("time_window", HOURS | {"startTimeUtc": "23:59", "endTimeUtc": "00:00"}),
        ("action_allowlist", {"actions": []}),
        ("action_blocklist", {"actions": ["a" * 200] * 200}),
        ("ip_allowlist", {"cidrs": ["10.0.0.0/8", "::/0", "192.0.2.1", "2001:db8::1/128"]}),
    ],
)
def test_documented_configurations_are_accepted(rule_type: str, config: dict[str, Any]) -> None:
    (rule,) = parse_rules([{"type": rule_type, "config": config}])

    assert rule.type == rule_type
    assert config.items() <= rule.model_dump(mode="json").items()


@cases(
    ("change", "field"),
    [
        ({"maxRequests": 0}, ".maxRequests"),
        ({"maxRequests": 1_000_001}, ".maxRequests"),
        ({"maxRequests": True}, ".maxRequests"),
        ({"maxRequests": "10"}, ".maxRequests"),
        ({"maxRequests": 10.0}, ".maxRequests"),
        ({"maxRequests": None}, ".maxRequests"),
        ({"windowSeconds": 0}, ".windowSeconds"),
        ({"windowSeconds": 2_592_001}, ".windowSeconds"),
        ({"scope": "per_planet"}, ".scope"),
        ({"scope": ["global"]}, ".scope"),
    ],
)
def test_an_invalid_rate_limit_names_its_field(change: dict[str, Any], field: str) -> None:
    assert rejected_field("rate_limit", LIMIT | change) == field


@cases(
    ("change", "field"),
    [
        *[
            ({"maxAmount": value}, ".maxAmount")
            for value in (
                "0",
                "0.00",
                "-1",
                "+1",
                "1e3",
                "1,5",
                "",
                " 1",
                "1.123456789",
                "1" * 16,
                100,
                99.5,
                True,
                None,
            )
        ],
        *[({"currency": value}, ".currency") for value in ("eur", "XXX", "EURO", "", None, 978)],
        ({"windowSeconds": 0}, ".windowSeconds"),
        ({"windowSeconds": 2_592_001}, ".windowSeconds"),
        ({"scope": "per_planet"}, ".scope"),
        ({"actions": []}, ".actions"),
    ],
)
def test_an_invalid_spending_limit_names_its_field(change: dict[str, Any], field: str) -> None:
    assert rejected_field("spend_limit", BUDGET | change) == field


@cases(
    ("change", "field"),
    [
        ({"allowedDays": []}, ".allowedDays"),
        ({"allowedDays": [1, 8]}, ".allowedDays.1"),
        ({"allowedDays": [-1]}, ".allowedDays.0"),
        ({"allowedDays": [True]}, ".allowedDays.0"),
        ({"allowedDays": ["1"]}, ".allowedDays.0"),
        ({"allowedDays": 1}, ".allowedDays"),
        ({"allowedDays": [1] * 201}, ".allowedDays"),
        ({"startTimeUtc": "9:00"}, ".startTimeUtc"),
        ({"startTimeUtc": "24:00"}, ".startTimeUtc"),
        ({"startTimeUtc": "09:60"}, ".startTimeUtc"),
        ({"startTimeUtc": "09:00\n"}, ".startTimeUtc"),
        ({"startTimeUtc": "\u0660\u0669:\u0660\u0660"}, ".startTimeUtc"),
        ({"endTimeUtc": "09:00:00"}, ".endTimeUtc"),
        ({"endTimeUtc": "09:00"}, ".endTimeUtc"),
        ({"endTimeUtc": 900}, ".endTimeUtc"),
        ({"timezone": "Mars/Olympus"}, ".timezone"),
        ({"timezone": "Europe"}, ".timezone"),
        ({"timezone": "../../etc/passwd"}, ".timezone"),
        ({"timezone": "/etc/localtime"}, ".timezone"),
        ({"timezone": "+01:00"}, ".timezone"),
        ({"timezone": ""}, ".timezone"),
        ({"timezone": None}, ".timezone"),
    ],
)
def test_an_invalid_time_window_names_its_field(change: dict[str, Any], field: str) -> None:
    assert rejected_field("time_window", HOURS | change) == field


@cases("rule_type", ["action_allowlist", "action_blocklist"])
@cases(
    ("actions", "field"),
    [
        ("email:read", ".actions"),
        ({}, ".actions"),
        (["a"] * 201, ".actions"),
        (["email:read", 1], ".actions.1"),
        (["a" * 201], ".actions.0"),
        ([""], ".actions.0"),
        ([" email:read"], ".actions.0"),
        (["email:read\x00"], ".actions.0"),
        (["email:\ud800"], ".actions.0"),
        (["email\u200b:read"], ".actions.0"),
        (["*:read"], ".actions.0"),
        (["email:**"], ".actions.0"),
    ],
)
def test_an_invalid_list_of_actions_names_its_entry(rule_type: str, actions: Any, field: str) -> None:
    assert rejected_field(rule_type, {"actions": actions}) == field


@cases(
    "cidr",
    [
        "10.0.0.1/8",
        "2001:db8::1/32",
        "::ffff:10.0.0.1/104",
        "10.0.0.0/33",
        "10.0.0.0/-1",
        "10.0.0.0/",
        "10.0.0.0/255.0.0.0",
        "10.0.0.0/0.255.255.255",
        "10.0.0.0/٨",
        "10.0.0",
        "010.0.0.0/8",
        "fe80::%eth0/64",
        "localhost",
        "",
        167772160,
        True,
    ],
)
def test_an_invalid_address_range_names_its_entry(cidr: Any) -> None:
    assert rejected_field("ip_allowlist", {"cidrs": ["10.0.0.0/8", cidr]}) == ".cidrs.1"


def test_a_range_with_host_bits_suggests_the_correct_range() -> None:
    errors = rejected({"type": "ip_allowlist", "config": {"cidrs": ["10.1.2.3/8"]}})

    assert "Use 10.0.0.0/8" in errors["rules.0.config.cidrs.0"]


def test_an_unknown_type_is_named_with_the_known_ones() -> None:
    errors = rejected({"type": "moon_phase", "config": {}})

    assert '"moon_phase"' in errors["rules.0.type"]
    assert "rate_limit" in errors["rules.0.type"]


@cases("name", [None, 1, ["rate_limit"], {"a": 1}, True, "Rate_Limit", ""])
def test_an_invalid_type_is_refused(name: Any) -> None:
    assert list(rejected({"type": name, "config": LIMIT})) == ["rules.0.type"]


def test_an_unknown_config_field_is_named_with_the_known_ones() -> None:
    errors = rejected({"type": "rate_limit", "config": LIMIT | {"burst": 5, "max_requests": 5}})

    assert set(errors) == {"rules.0.config.burst", "rules.0.config.max_requests"}
    assert "maxRequests, windowSeconds, scope" in errors["rules.0.config.burst"]


def test_an_unknown_field_of_a_rule_is_named() -> None:
    assert list(rejected({"type": "rate_limit", "config": LIMIT, "enabled": True})) == ["rules.0.enabled"]


def test_missing_fields_are_named() -> None:
    assert set(rejected({})) == {"rules.0.type", "rules.0.config"}
    assert set(rejected({"type": "rate_limit", "config": {}})) == {
        "rules.0.config.maxRequests",
        "rules.0.config.windowSeconds",
        "rules.0.config.scope",
    }
    assert rejected_field("action_allowlist", {}) == ".actions"
    assert rejected_field("ip_allowlist", {}) == ".cidrs"


@cases("config", [None, [], "x", 1])
def test_a_config_that_is_not_an_object_is_refused(config: Any) -> None:
    assert rejected_field("rate_limit", config) == ""


@cases("rule", [None, [], "rate_limit", 1])
def test_a_rule_that_is_not_an_object_is_refused(rule: Any) -> None:
    assert list(rejected(rule)) == ["rules.0"]


@cases("rules", [None, {}, "x", {"type": "rate_limit", "config": LIMIT}])
def test_rules_that_are_not_a_list_are_refused(rules: Any) -> None:
    with pytest.raises(InvalidRules) as caught:
        parse_rules(rules)

    assert caught.value.errors[0].field == "rules"


def test_at_most_twenty_rules_are_accepted() -> None:
    rule = {"type": "rate_limit", "config": LIMIT}

    assert len(parse_rules([rule] * 20)) == 20
    assert list(rejected(*[rule] * 21)) == ["rules"]


def test_all_errors_are_returned_together_with_their_paths() -> None:
    errors = rejected(
        {"type": "rate_limit", "config": LIMIT},
        {"type": "rate_limit", "config": LIMIT | {"maxRequests": 0, "scope": "x"}},
        {"type": "nothing", "config": {}},
    )

    assert set(errors) == {"rules.1.config.maxRequests", "rules.1.config.scope", "rules.2.type"}


UNKNOWN = {f"maxRequests{number}": 1 for number in range(45)}
CONDITION = {"field": "a", "operator": "in"}


@cases(
    ("rule_type", "config", "field", "said"),
    [
        ("context_match", {"conditions": [{}] * 5000}, ".conditions", "Must have at most 20 items."),
        ("context_match", {"conditions": [{**CONDITION, "values": [[]] * 5000}]}, ".conditions.0.values", "200 items."),
        ("context_match", {"conditions": [{**UNKNOWN, **LIMIT, **HOURS}]}, ".conditions.0", "at most 50 fields."),
        ("context_match", {"conditions": [], **UNKNOWN, **LIMIT, **HOURS}, "", "at most 50 fields."),
        ("action_blocklist", {"actions": [1] * 5000}, ".actions", "Must have at most 200 items."),
        ("rate_limit", {**LIMIT, "actions": [1] * 5000}, ".actions", "Must have at most 200 items."),
        ("ip_allowlist", {"cidrs": ["x"] * 5000}, ".cidrs", "Must have at most 200 items."),
        ("time_window", {**HOURS, "allowedDays": ["x"] * 5000}, ".allowedDays", "Must have at most 200 items."),
    ],
)
def test_what_is_too_long_is_refused_before_its_elements(
    rule_type: str, config: dict[str, Any], field: str, said: str
) -> None:
    ((place, message),) = rejected({"type": rule_type, "config": config}).items()
    assert place == f"rules.0.config{field}"
    assert message.endswith(said)


@cases(
    ("config", "field", "said"),
    [
        ({}, ".maxDepth", "Must bound something"),
        ({"maxDepth": None}, ".maxDepth", "Must bound something"),
        ({"maxDepth": -1}, ".maxDepth", "Must be 0 or more."),
        ({"maxDepth": 5}, ".maxDepth", "Must be 4 or less."),
        ({"agents": []}, ".agents", "Must not be empty."),
        ({"agents": ["agc_1"]}, ".agents.0", "Must be the ID of an agent, which starts with agt_."),
        ({"organizations": ["Acme"]}, ".organizations.0", "Must be the ID of an organization, which starts with org_."),
    ],
)
def test_a_rule_about_delegation_has_a_valid_bound(config: dict[str, Any], field: str, said: str) -> None:
    ((place, message),) = rejected({"type": "delegation", "config": config}).items()
    assert (place, message.startswith(said)) == (f"rules.0.config{field}", True)


def test_only_the_errors_that_are_shown_are_described(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []
    monkeypatch.setattr(parsing, "nearest", lambda text, known: compared.append(text))

    for config, more in ((LIMIT | UNKNOWN, {}), (LIMIT, UNKNOWN)):
        with pytest.raises(InvalidRules) as caught:
            parse_rule({"type": "rate_limit", "config": config, **more})
        assert len(caught.value.errors) == MAX_ERRORS
    assert len(compared) == MAX_ERRORS


def test_a_policy_has_at_most_64_kib() -> None:
    """The form of a longer one would not fit into a request to a page."""
    block = {"type": "action_blocklist", "config": {"actions": ["a" * 200] * 200}}
    other = {"type": "action_blocklist", "config": {"actions": ["ü" * 100] * 118}}

    assert len(parse_rules([block, other])[1].actions) == 118
    assert rejected(block, block) == {"rules": "Must be at most 65536 bytes as JSON. Split the policy."}


def test_hostile_names_are_shortened_and_escaped_in_errors() -> None:
    errors = rejected(
        {"type": "\ud800" + "x" * 10_000, "config": {}},
        {"type": "rate_limit", "config": LIMIT | {"ü" * 10_000: 1}},
        {"type": "rate_limit", "config": LIMIT | {"\ud800": 1}},
    )

    assert len(errors) == 3
    for field, message in errors.items():
        assert (field + message).isascii()
        assert len(field + message) < 1000


def test_a_parsed_rule_cannot_be_changed() -> None:
    (rule,) = parse_rules([{"type": "rate_limit", "config": LIMIT}])

    with pytest.raises(ValueError, match="frozen"):
        rule.max_requests = 1_000_000  # type: ignore[attr-defined]  # the point of the test


PER_HOUR = {"windowSeconds": 3600, "scope": "per_user"}


@cases(
    ("kind", "config", "said"),
    [
        ("rate_limt", {}, 'Did you mean "rate_limit"?'),
        ("rate_limit", {"maxRequest": 1, **PER_HOUR}, 'Did you mean "maxRequests"?'),
        ("rate_limit", {"maxRequests": 1, **PER_HOUR, "scope": "per_usr"}, 'Did you mean "per_user"?'),
        ("spend_limit", {"maxAmount": "5", "currency": "eur", **PER_HOUR}, 'Did you mean "EUR"?'),
        ("spend_limit", {"maxAmount": "5", "currency": "EURO", **PER_HOUR}, 'Did you mean "EUR"?'),
        ("time_window", {**HOURS, "timezone": "Europe/Berln"}, 'Did you mean "Europe/Berlin"?'),
        ("time_window", {**HOURS, "timezone": "europe/berlin"}, 'Did you mean "Europe/Berlin"?'),
        ("time_window", {**HOURS, "timezone": "new york"}, 'Did you mean "America/New_York"?'),
        ("time_window", {**HOURS, "timezone": "CEST"}, "such as Europe/Berlin or UTC."),
        ("ip_allowlist", {"cidrs": ["10.0.0.1/24"]}, "Use 10.0.0.0/24, or the address without a prefix length."),
        ("ip_allowlist", {"cidrs": ["10.0.0.0/33"]}, "Must have a prefix length of at most 32."),
        ("ip_allowlist", {"cidrs": ["2001:db8::/129"]}, "Must have a prefix length of at most 128."),
        ("ip_allowlist", {"cidrs": ["10.0.0.0/255.255.255.0"]}, "prefix length as a number. Use 10.0.0.0/24."),
        ("ip_allowlist", {"cidrs": ["10.0.0.0 - 10.0.0.255"]}, 'Did you mean "10.0.0.0/24"?'),
        ("ip_allowlist", {"cidrs": ["10.0.*.*"]}, 'Did you mean "10.0.0.0/16"?'),
        ("ip_allowlist", {"cidrs": ["10.0.0.1-10.0.0.9"]}, "such as 203.0.113.0/24 or 2001:db8::/32."),
        ("ip_allowlist", {"cidrs": ["office"]}, "such as 203.0.113.0/24 or 2001:db8::/32."),
        ("data_flow", {"windowSeconds": 60, "then": "aks"}, 'Did you mean "ask"?'),
        (
            "context_match",
            {"conditions": [{"field": "recipient", "operator": "equal", "value": "a"}]},
            'Did you mean "equals"?',
        ),
    ],
)
def test_what_is_almost_right_gets_a_suggestion(kind, config, said):
    messages = rejected({"type": kind, "config": config}).values()
    assert any(message.endswith(said) for message in messages), messages
