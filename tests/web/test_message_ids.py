"""Messages that pages translate through a variable are marked, so that an extractor of texts finds them."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.utils.translation.template import templatize

from agents.emergency import NOTICE
from agents.stops import Stopper
from core.errors import DomainError
from core.validation import MESSAGES
from core.wording import Filled
from policies.rules import RULES, InvalidRules, Rule
from policies.rules.parsing import parse_rules
from tests.policies.test_cases import ONE_OF_EACH
from tests.shared import cases

# Django's makemessages lets xgettext look for these, and for `_`.
MARKS = {"_", "gettext", "gettext_lazy", "gettext_noop", "ngettext", "ngettext_lazy", "pgettext", "pgettext_lazy"}
APPS = ("accounts", "agents", "api", "approvals", "audit", "consent", "core", "decisions", "developers", "events")
APPS += ("insights", "limits", "oauth", "policies", "resources", "tokens", "web")
# The apps whose refusals reach pages.
SPEAKING = ("accounts", "agents", "approvals", "consent", "core", "developers", "policies", "resources")
# Texts in English only: for administrators, for operators, for developers of the product, and statements of SQL.
UNTRANSLATED = {
    "agents.selectors",
    "consent.codes",
    "consent.grants",
    "core.locks",
    "core.postgresql.base",
    "core.postgresql.driver",
    "core.sqlite",
    "core.strict_json",
    "core.timeouts",
    "policies.triggers",
    "resources.actions",
    "web.public.docs.reference",
}
# Texts for the code's authors and for the log: `check` and `problem` return why a rule denies.
INTERNAL = {"__str__", "__html__", "TypeError", "ValueError", "check", "problem", "_problem_of", "read_catalogue"}
INTERNAL |= {"_problem_with_row"}
SENTENCE = re.compile(r"[A-Za-z]{2,}[,:]? [a-z]{2,}|[a-z]\.$")
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]")
WRONG: list[Any] = [None, "", " x", "x" * 300, "\ud800", -1, 0, 10**30, 1.5, True, {}, {"x": 1}, "1", "a*b", "25:00"]
WRONG += [[], [[]], [""], ["a*b"], [9], ["x"] * 300, [{}], ["10.1.2.3/8"], "permit", "forbid (principal is X);"]
WRONG += [[{"field": "a", "operator": operator, "value": "x"}] for operator in ("at_most", "exists", "in", "nonsense")]
WRONG += [[{"field": field, "operator": "in", "values": [1, "x"]}] for field in ("context.a", "a b", "a")]
WRONG += [[{"field": "a", "operator": "equals", "value": value}] for value in ("", "x" * 300, 10**30, 1.5, "\u200b")]
IN_TEMPLATE = re.compile(r"gettext\(u?(['\"])(.*?)(?<!\\)\1", re.DOTALL)


@cache
def sources() -> dict[str, ast.Module]:
    """Return the syntax of each module, by its dotted name."""
    root = Path(settings.BASE_DIR)
    paths = [path.relative_to(root) for app in APPS for path in sorted((root / app).rglob("*.py"))]
    paths = [path for path in paths if not {"migrations", "management"} & set(path.parts)]
    return {".".join(path.with_suffix("").parts): ast.parse((root / path).read_text()) for path in paths}


@cache
def extracted() -> frozenset[str]:
    """Return the texts that `makemessages` would find."""
    calls = (node for tree in sources().values() for node in ast.walk(tree) if isinstance(node, ast.Call))
    in_code = {text for call in calls if _name(call.func) in MARKS for text in map(_text, call.args) if text}
    templates = (path.read_text() for path in (Path(settings.BASE_DIR) / "templates").rglob("*.*"))
    return frozenset(in_code | {found[1] for text in templates for found in IN_TEMPLATE.findall(templatize(text))})


def refusals() -> list[type[DomainError]]:
    """Return all errors of the server."""
    for name, tree in sources().items():
        if any(isinstance(node, ast.ClassDef) for node in tree.body):
            import_module(name)
    found, left = [], [DomainError]
    while left:
        left += (one := left.pop()).__subclasses__()
        found += [one] if one.__module__.partition(".")[0] in APPS else []
    return found


def said(tree: ast.Module, names: set[str]) -> Iterator[str]:
    """Return the fixed messages of errors with these names. Objects that are absent get the page for 404."""
    fixed = {
        target.id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call) or (place := _message_at(call, names)) is None or len(call.args) <= place:
            continue
        message = call.args[place]
        message = fixed.get(message.id, message) if isinstance(message, ast.Name) else message
        is_marked = isinstance(message, ast.Call) and _name(message.func) in MARKS and message.args
        if text := _text(message.args[0] if is_marked else message):  # type: ignore[attr-defined]
            yield text


def composed(tree: ast.Module) -> Iterator[str]:
    """Yield each sentence with values that no extractor finds: f-strings and texts filled without a mark."""
    internal = [node for node in ast.walk(tree) if _is_internal(node)]
    skipped = {id(node) for each in internal for node in ast.walk(each)}
    for node in ast.walk(tree):
        text = "" if id(node) in skipped else _composed_text(node)
        if SENTENCE.search(PLACEHOLDER.sub("{}", text)):
            yield text


def unmarked(message: str) -> Iterator[str]:
    """Yield each text of a message that an extractor does not find."""
    if not isinstance(message, Filled):
        yield from {message} - extracted()
        return
    if PLACEHOLDER.sub("", message.template).strip(" ."):
        yield from {message.template} - extracted()
    for value in message.values.values():
        yield from unmarked(value) if isinstance(value, Filled) else ()


def test_the_extractor_of_this_test_finds_texts_of_code_and_templates() -> None:
    assert "Access revoked. %(agent)s can no longer act for you." in extracted()
    assert "This is an unusually long list: most agents need a few permissions." in extracted()
    assert "Only to %(recipients)s" in extracted()


def test_the_title_of_each_error_is_found() -> None:
    assert len(refusals()) > 40
    assert [one.__name__ for one in refusals() if one.title not in extracted()] == []


@cases("app", SPEAKING)
def test_the_messages_of_errors_are_found(app: str) -> None:
    names = {one.__name__ for one in refusals()} - {"NotFound"}
    trees = [tree for name, tree in sources().items() if name.partition(".")[0] == app]
    found = {text for tree in trees for text in said(tree, names)}
    assert found - extracted() == set()


@cases("app", [*SPEAKING, "web"])
def test_messages_are_not_composed(app: str) -> None:
    trees = {name: tree for name, tree in sources().items() if name.partition(".")[0] == app}
    spoken = {name: tree for name, tree in trees.items() if name not in UNTRANSLATED}
    assert [(name, text) for name, tree in spoken.items() for text in composed(tree)] == []


@cases(
    "code",
    [
        'Invalid(f"At most {number} rules.")',
        'return f"Did you mean {name}?"',
        '"At most {} rules.".format(number)',
        '"At most %s rules." % number',
        '"At most " + number + " more rules."',
        'Filled("At most %(number)d rules.", number=3)',
        'text = "At most %(number)d rules."',
    ],
)
def test_composed_messages_are_noticed(code: str) -> None:
    assert list(composed(ast.parse(code)))


def test_the_messages_for_wrong_values_are_found() -> None:
    assert set(MESSAGES.values()) <= extracted()


@cases("wrong", WRONG, ids=lambda value: repr(value)[:40])
@cases("rule", ONE_OF_EACH, ids=lambda rule: rule.type)
def test_what_is_wrong_with_a_rule_is_found(rule: Rule, wrong: Any) -> None:
    config = rule.model_dump()
    tried = [{**config, name: wrong} for name in (*config, "actions", "unknown")]
    messages = {message for each in [*tried, {}, wrong] for message in _refused({"type": rule.type, "config": each})}
    assert messages
    assert [text for message in messages for text in unmarked(message)] == []


@cases("rules", [None, [None] * 21, [{"type": "x"}], [{"type": 1, "x": 1}], [{}] * 20, [[]]])
def test_what_is_wrong_with_rules_is_found(rules: Any) -> None:
    with pytest.raises(InvalidRules) as caught:
        parse_rules(rules)
    messages = [caught.value.detail, *(one.message for one in caught.value.errors)]
    assert [text for message in messages for text in unmarked(message)] == []


def test_the_words_of_the_forms_of_rules_are_found() -> None:
    titles = {rule.title for rule in RULES.values()}
    schemas = [schema for rule in RULES.values() for schema in rule.model_json_schema()["properties"].values()]
    words = {schema[name] for schema in schemas for name in ("title", "description") if name in schema}
    choices = {word for schema in schemas for word in schema.get("x-enumDescriptions", {}).values()}
    assert (titles | words | choices) - extracted() == set()


def test_messages_of_a_change_that_is_too_wide_are_found() -> None:
    found = set(said(sources()["consent.tightening"], set()))
    assert len(found) == 3
    assert found <= extracted()


def test_the_reasons_why_an_agent_is_stopped_are_found() -> None:
    assert {NOTICE, *(one.value for one in Stopper)} <= extracted()


def _message_at(call: ast.Call, names: set[str]) -> int | None:
    """Return which argument is the message, or None if the call makes no error."""
    if isinstance(call.func, ast.Attribute):
        return 1 if call.func.attr == "field" and _name(call.func.value) in names else None
    if _name(call.func) == "FieldError":
        return 1
    return 0 if _name(call.func) in names else None


def _is_internal(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return _name(node.func) in INTERNAL
    return isinstance(node, ast.FunctionDef) and node.name in INTERNAL


def _composed_text(node: ast.AST) -> str:
    """Return the text into which the node puts values, with braces for them."""
    match node:
        case ast.JoinedStr():
            return "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)  # type: ignore[misc]
        case ast.BinOp(left=ast.Constant(value=str(text)), op=ast.Mod() | ast.Add()):
            return text
        case ast.BinOp(right=ast.Constant(value=str(text)), op=ast.Add()):
            return text
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str(text)), attr="format")):
            return text
        case ast.Call(func=ast.Name(id="Filled"), args=[ast.Constant(value=str(text))]):
            return text
        case ast.Assign(targets=[ast.Name(id="text" | "message")], value=ast.Constant(value=str(text))):
            return text
    return ""


def _refused(raw: Any) -> Iterator[str]:
    try:
        parse_rules([raw])
    except InvalidRules as error:
        yield from (one.message for one in error.errors)


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def _text(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
