"""Messages that pages translate through a variable are marked, so that an extractor of texts finds them."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest
from django.conf import settings
from django.utils.translation.template import templatize

from agents.emergency import NOTICE
from agents.stops import Stopper
from core.errors import DomainError

# Django's makemessages lets xgettext look for these, and for `_`.
MARKS = {"_", "gettext", "gettext_lazy", "gettext_noop", "ngettext", "ngettext_lazy", "pgettext", "pgettext_lazy"}
APPS = ("accounts", "agents", "api", "audit", "consent", "core", "decisions", "developers", "limits", "oauth")
APPS += ("policies", "resources", "tokens", "web")
# The apps whose refusals reach pages.
SPEAKING = ("accounts", "agents", "consent", "core", "developers", "policies", "resources")
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


def test_the_extractor_of_this_test_finds_texts_of_code_and_templates() -> None:
    assert "Access revoked. %(agent)s can no longer act for you." in extracted()
    assert "This is an unusually long list." in extracted()
    assert "Only to %(recipients)s" in extracted()


def test_the_title_of_each_error_is_found() -> None:
    assert len(refusals()) > 40
    assert [one.__name__ for one in refusals() if one.title not in extracted()] == []


@pytest.mark.parametrize("app", SPEAKING)
def test_the_messages_of_errors_are_found(app: str) -> None:
    names = {one.__name__ for one in refusals()} - {"NotFound"}
    trees = [tree for name, tree in sources().items() if name.partition(".")[0] == app]
    found = {text for tree in trees for text in said(tree, names)}
    assert found - extracted() == set()


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


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def _text(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
