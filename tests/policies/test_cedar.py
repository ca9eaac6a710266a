"""The Cedar rule: its errors, its bounds, and that it decides as cedarpy does."""

import re
import subprocess
import sys
import time
from datetime import UTC, datetime
from typing import Any

import cedarpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.rules import InvalidRules, Rule, RuleContext, parse_rules
from policies.rules.cedar import Cedar
from tests.live.server import ROOT
from tests.shared import cases

NOW = datetime(2026, 3, 23, 12, tzinfo=UTC)
PERMIT = "permit (principal, action, resource)"
RECORDS = [{"a": number} for number in range(200)]


def rule_of(policy: str) -> Rule:
    (rule,) = parse_rules([{"type": "cedar", "config": {"policy": policy}}])
    return rule


def call(context: dict[str, Any] | None = None, scopes: tuple[str, ...] = ("email:read",), **facts: Any) -> RuleContext:
    return RuleContext(now=NOW, agent_id="agt_1", scopes=scopes, context=context or {}, **facts)


def rejected(policy: Any) -> str:
    with pytest.raises(InvalidRules) as caught:
        rule_of(policy)
    (error,) = caught.value.errors
    assert error.field == "rules.0.config.policy"
    return error.message


@cases(
    ("policy", "message"),
    [
        ("", "Must not be empty."),
        (" \n// only a comment", "Must have at least one permit or forbid."),
        (1, "Must be a string."),
        (f"{PERMIT};" * 300, "Must be at most 8192"),
        (f"{PERMIT}; // {'\u00e9' * 4090}", "Must be at most 8192 bytes."),
        (f"{PERMIT};\x00", "Must not contain control"),
        (f"{PERMIT}; // \u202e", "Must not contain control or invisible characters."),
        (f"{PERMIT}; // \ud800", "Must be valid Unicode text."),
        (f"{PERMIT};\r\n\r\n{PERMIT}\nwhen {{ context.action == }};", "Line 4: unexpected token `}`."),
        (f'{PERMIT};\n// " (\n{PERMIT} where', "Line 3: unexpected"),
        (f"{PERMIT};\n\n{PERMIT}", "Line 3: unexpected end of input."),
        (f"{PERMIT};\npermit (principal, action, resorce);", "Line 2: found an invalid variable"),
        (f"{PERMIT} when {{ 1.5 == 1 }};", "Line 1: unexpected token `5`."),
        (f"{PERMIT} when {{ context.request.now() }};", "Line 1: `now` is not a valid method."),
        (f'{PERMIT};\n"', "Line 2: "),
        (f'{PERMIT};\n"{'\\"' * 4000}', "Line 2: invalid token."),
        ("permit (principal == ?principal, action, resource);", "Line 1: ?principal and ?resource"),
        (f'{PERMIT};\nforbid (principal == User::"usr_1", action, resource);', "Line 2: unknown entity type User."),
        (f"{PERMIT};\nforbid (principal is Robot, action, resource);", "Line 2: unknown entity type Robot."),
        (f'{PERMIT};\n{PERMIT} when {{ [Org::"a"].contains(1) }};', "Line 2: unknown entity type Org."),
        (f'{PERMIT} when {{\n context.userid == "x" }};', "Line 2: unknown attribute context.userid. Did you mean"),
        (f'{PERMIT} when {{\n context["user id"] == "x" }};', "Line 2: unknown attribute context.user id."),
        (f'{PERMIT} when {{\n context has "user" }};', "Line 2: unknown attribute context.user."),
        (f'{PERMIT};\n{PERMIT} when {{ principal == A::Agent::"a" }};', "Line 2: unknown entity type A::Agent."),
        (f"{PERMIT} when {{ principal is Agent::Robot }};", "Line 1: unknown entity type Agent::."),
        (f"{PERMIT} when {{\n context has recipient }};", "Line 2: unknown attribute context.recipient."),
        (f"{PERMIT} when {{\n\n resource.owner == 1 }};", "Line 3: resource has no attributes."),
        (f'{PERMIT} when {{ context.action like "{"a" * 257}" }};', "at most 256 characters together."),
        (f'{PERMIT} when {{ context.action like "{"a" * 200}" }};' * 2, "at most 256 characters together."),
        (f"{PERMIT};\n{PERMIT} when {{ {'(' * 20}true{')' * 20} }};", "Line 2: brackets must be nested at most 20"),
        (f"{PERMIT} when {{ {'[' * 4000}", "Line 1: a statement must have at most 1000"),
        (f"{PERMIT};\n{PERMIT} when {{ {'true &&' * 600} true }};", "Line 2: a statement must have at most 1000"),
    ],
)
def test_an_invalid_policy_is_explained_with_its_line(policy: Any, message: str) -> None:
    assert message in rejected(policy)


def test_a_valid_policy_keeps_its_text() -> None:
    rule = rule_of(f"  // why\r\n{PERMIT};\r\n")

    assert isinstance(rule, Cedar)
    assert rule.policy == f"// why\n{PERMIT};"
    assert rule.sentence() == f"Only what this Cedar policy permits: // why {PERMIT}"


def test_names_within_the_request_are_free() -> None:
    rule = rule_of(f'{PERMIT} when {{ context.request.action.user == "a" && context["request"] has resource }};')

    assert rule.check(call({"action": {"user": "a"}, "resource": 1})) is None


def test_the_actions_that_a_policy_names() -> None:
    rule = rule_of(
        'permit (principal == Agent::"agt_1", action in [Action::"a:b", Action::"a:c"], resource);\n'
        '// Action::"a:e"\n'
        'forbid (principal, action, resource) when { action == Action::"a:d" && context.action != "Action::" };'
    )

    assert isinstance(rule, Cedar)
    assert rule.named_actions == ("a:b", "a:c", "a:d")


def test_brackets_in_strings_and_comments_do_not_count() -> None:
    rule = rule_of(f'// {"(" * 99}\n{PERMIT} when {{ context.action != "\\"{"(" * 99}" }};')

    assert rule.check(call()) is None


def test_what_a_denial_says() -> None:
    forbid = rule_of(f"{PERMIT}; forbid (principal, action, resource);").check(call())
    none = rule_of('permit (principal, action == Action::"email:send", resource);').check(call())
    error = rule_of(f"{PERMIT} when {{ context.request.secret == 1 }};").check(call())

    assert [denial and denial.detail for denial in (forbid, none, error)] == [
        "A statement of the Cedar policy forbids the request.",
        "No statement of the Cedar policy permits the request.",
        "The Cedar policy cannot be evaluated for this request.",
    ]


class Panic(BaseException):
    """As a panic in Rust, which is no `Exception`."""


@cases("error", [Panic, ValueError, MemoryError])
def test_an_error_in_cedar_denies(monkeypatch: pytest.MonkeyPatch, error: type[BaseException]) -> None:
    def fail(*args: Any) -> Any:
        raise error("boom")

    monkeypatch.setattr(cedarpy, "is_authorized_batch", fail)

    assert rule_of(f"{PERMIT};").check(call())


def test_a_missing_result_denies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cedarpy, "is_authorized_batch", lambda *args: [])

    assert rule_of(f"{PERMIT};").check(call())


@cases(
    ("context", "scopes", "is_allowed"),
    [
        ({"a": [1] * 497}, 1, True),
        ({"a": [1] * 499}, 1, False),
        ({"a": [1] * 48}, 10, True),
        ({"a": [1] * 49}, 10, False),
        ({"a": "x" * 16_000}, 2, True),
        ({"a": "x" * 16_000}, 3, False),
        ({}, 15, True),
        ({}, 40, False),
        ({}, 100, False),
    ],
)
def test_a_call_that_is_too_large_denies(context: dict[str, Any], scopes: int, is_allowed: bool) -> None:
    asked = tuple(f"email:s{number}" for number in range(scopes))

    assert (rule_of(f"{PERMIT};").check(call(context, asked)) is None) == is_allowed


@cases(
    ("body", "context"),
    [
        ('context.request.t like "*' + "a" * 250 + 'b*"', {"t": "a" * 16_000}),
        (" || ".join(['context.request.t like "*ab*"'] * 40), {"t": "a" * 16_000}),
        ("[" + ",".join(["context"] * 450) + "].contains(1)", {"t": RECORDS}),
        ("[" + ",".join(["[context]"] * 230) + "].contains(1)", {"t": RECORDS}),
        (" && ".join(["context.request.t.containsAll(context.request.t)"] * 50), {"t": list(range(490))}),
    ],
)
def test_hostile_policies_and_calls_take_little_time(body: str, context: dict[str, Any]) -> None:
    rule = rule_of(f"{PERMIT} when {{ {body} }};")
    scopes = ("a:a", "a:b") if len(str(context)) > 8000 else ("a:a",)
    start = time.process_time()
    rule.check(call(context, scopes))

    assert time.process_time() - start < 0.2


NESTED = """
import threading
from datetime import UTC, datetime
import django
django.setup()
from policies.rules import RuleContext, parse_rules

BODIES = (
    "(" * 18 + " && ".join(["true"] * 450) + ")" * 18,
    "[" * 18 + " + ".join(["1"] * 450) + "]" * 18 + " == 1",
    "{a:" * 18 + " + ".join(["1"] * 400) + "}" * 18 + " == 1",
    "if true then " * 150 + "true" + " else true" * 150,
    "(" * 18 + "if true then " * 120 + "true" + " else true" * 120 + ")" * 18,
    "context.request" + ".a" * 450,
    "context.request.contains(" * 19 + "1" + ")" * 19,
    "1" + " + 1" * 470 + " == 1",
    "(" * 18 + "!!!!true" + ")" * 18,
)

def run():
    for body in BODIES:
        config = {"policy": "permit (principal, action, resource) when { " + body + " };"}
        (rule,) = parse_rules([{"type": "cedar", "config": config}])
        rule.check(RuleContext(now=datetime.now(UTC), agent_id="agt_1", scopes=("a:b",)))
        print("checked")

threading.stack_size(1024 * 1024)
thread = threading.Thread(target=run)
thread.start()
thread.join()
"""


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_what_the_bounds_accept_is_evaluated_with_one_mebibyte_of_stack() -> None:
    assert run_python(NESTED).count("checked") == 9


def test_cedar_is_loaded_only_for_a_policy_that_uses_it() -> None:
    code = """
import sys
import django
django.setup()
from policies.rules import parse_rules
parse_rules([{"type": "action_blocklist", "config": {"actions": ["email:send"]}}])
print("cedarpy" in sys.modules)
parse_rules([{"type": "cedar", "config": {"policy": "permit (principal, action, resource);"}}])
print("cedarpy" in sys.modules)
"""
    assert run_python(code).split() == ["False", "True"]


HEADS = st.sampled_from(
    ["principal, action, resource", 'principal == Agent::"agt_1", action, resource']
    + [f'principal, action == Action::"{name}", resource' for name in ("a:b", "a:c")]
    + ['principal, action, resource == Resource::"x"']
)
TESTS = st.sampled_from(
    [
        "true",
        "context.request.n > 1",
        "context.request has n",
        'context.request.t == "x"',
        "context.request.l.contains(1)",
        'context.action == "a:b"',
    ]
)
STATEMENTS = st.builds(
    "{} ({}) {} {{ {} }};".format,
    st.sampled_from(["permit", "forbid"]),
    HEADS,
    st.sampled_from(["when", "unless"]),
    TESTS,
)
CONTEXTS = st.fixed_dictionaries(
    {},
    optional={
        "n": st.integers(0, 3) | st.just("x"),
        "t": st.sampled_from(["x", "y"]),
        "l": st.lists(st.integers(0, 2), max_size=2),
    },
)


@given(
    st.lists(STATEMENTS, min_size=1, max_size=4),
    CONTEXTS,
    st.lists(st.sampled_from(["a:b", "a:c"]), min_size=1, max_size=2, unique=True),
    st.sampled_from([None, "x"]),
)
def test_each_scope_is_decided_as_by_cedarpy(
    statements: list[str], context: dict[str, Any], scopes: list[str], resource: str | None
) -> None:
    policy = "\n".join(statements)
    results = [
        cedarpy.is_authorized(
            {
                "principal": 'Agent::"agt_1"',
                "action": f'Action::"{scope}"',
                "resource": f'Resource::"{resource or ""}"',
                "context": {"request": context, "action": scope},
            },
            policy,
            [],
        )
        for scope in scopes
    ]
    expected = all(result.allowed and not result.diagnostics.errors for result in results)

    denial = rule_of(policy).check(call(context, tuple(scopes), resource=resource))
    assert (denial is None) == expected


DOCUMENTED = re.compile(r"^```cedar\n(.*?)^```$", re.M | re.S)


@cases(
    ("recipient", "is_allowed"),
    [
        ("office@acme.com", True),
        ("x@evil.com, office@acme.com", False),
        ("x\uff20evil.com@acme.com", False),
        ("x@evil.com;billing@acme.com", False),
        ("x@acme.com", False),
        (["office@acme.com", "x@evil.com"], False),
        (None, False),
    ],
)
def test_the_example_of_the_documentation_passes_one_known_recipient(recipient: Any, is_allowed: bool) -> None:
    (policy,) = DOCUMENTED.findall((ROOT / "docs/policies.md").read_text())
    context = {} if recipient is None else {"recipient": recipient}
    denial = rule_of(policy).check(call(context, ("email:send",)))
    assert (denial is None) is is_allowed
    assert rule_of(policy).check(call({}, ("email:read",))) is None
    assert rule_of(policy).check(call(context, ("files:read",))) is not None
