"""Check the text of a Cedar policy when it is saved: its bounds, its syntax with the line, and the names that it uses.

Cedar's parser recurses, and a text that is nested too deeply ends the process. So the bounds come first.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from core.text import echo, nearest
from core.validation import invalid_value

MAX_BYTES = 8 * 1024
# Measured: with half a MiB of stack, such texts are parsed, evaluated and freed (docs/adr/0034).
MAX_DEPTH, MAX_TOKENS = 20, 1000
# The time of `like` is the product of the lengths of text and pattern.
MAX_PATTERN = 256

TOKEN = re.compile(r'(?P<comment>//[^\n]*)|"(?:[^"\\]|\\.)*"|\w+|&&|\|\||[=!<>]=|::|\S')
OPENING, CLOSING = "([{", ")]}"
ENTITIES = frozenset({"Agent", "Action", "Resource"})
VARIABLES = frozenset({"principal", "action", "resource"})
# The attributes of Cedar's `context` (`policies.rules.cedar_call`).
ATTRIBUTES = frozenset({"action", "scopes", "resource", "userId", "organizationId", "ip", "now", "request"})


class Statement(NamedTuple):
    """A `permit` or `forbid`, up to its semicolon: the places of its tokens in the text."""

    tokens: list[tuple[int, int]]

    @property
    def start(self) -> int:
        return self.tokens[0][0]

    @property
    def end(self) -> int:
        return self.tokens[-1][1]


def require_policy(text: str) -> str:
    """Return the text, with each line break as one character. Raises an error that names the line."""
    text = text.replace("\r\n", "\n").strip()
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise invalid_value(f"Must be at most {MAX_BYTES} bytes.")
    if not all(character.isprintable() or character in "\n\t" for character in text):
        raise invalid_value("Must not contain control or invisible characters.")
    statements = list(_statements(text))
    if not statements:
        raise invalid_value("Must have at least one permit or forbid.")
    for statement in statements:
        _require_bounds(text, statement)
        _require_syntax(text, statement)
        _require_names(text, statement)
    _require_short_patterns(_parsed(text))
    return text


def named_actions(text: str) -> tuple[str, ...]:
    """Return the ids of the actions that a valid text names."""
    return tuple(dict.fromkeys(entity["id"] for entity in _entities(_parsed(text)) if entity["type"] == "Action"))


def _statements(text: str) -> Iterator[Statement]:
    tokens: list[tuple[int, int]] = []
    for match in TOKEN.finditer(text):
        if match["comment"]:
            continue
        tokens.append(match.span())
        if match[0] == ";":
            yield Statement(tokens)
            tokens = []
    if tokens:
        yield Statement(tokens)


def _require_bounds(text: str, statement: Statement) -> None:
    if len(statement.tokens) > MAX_TOKENS:
        raise _at(text, statement.start, f"a statement must have at most {MAX_TOKENS} words and signs.")
    depth = 0
    for start, end in statement.tokens:
        token = text[start:end]
        depth += (token in OPENING) - (token in CLOSING)
        if depth > MAX_DEPTH:
            raise _at(text, start, f"brackets must be nested at most {MAX_DEPTH} levels deep.")


def _require_syntax(text: str, statement: Statement) -> None:
    problem = _problem(text, statement, len(statement.tokens))
    if problem is None:
        return
    place = statement.start
    if problem.startswith("unexpected end"):
        place = statement.tokens[-1][0]
    elif problem.startswith("unexpected token"):
        place = statement.tokens[_first_wrong(text, statement)][0]
    raise _at(text, place, f"{problem}.")


def _first_wrong(text: str, statement: Statement) -> int:
    """Return the number of the first token that Cedar does not expect: the text before it only lacks an end."""
    low, high = 0, len(statement.tokens) - 1
    while low < high:
        middle = (low + high) // 2
        problem = _problem(text, statement, middle + 1)
        if problem is None or problem.startswith("unexpected end"):
            low = middle + 1
        else:
            high = middle
    return low


def _problem(text: str, statement: Statement, number: int) -> str | None:
    """Return what Cedar says about the first tokens of a statement, in one line, or None if they are valid."""
    from cedarpy import PolicySet

    start, end = statement.start, statement.tokens[number - 1][1]
    try:
        policies = PolicySet.from_str(text[start:end])
    except ValueError as error:
        return echo(" ".join(str(error).split()).rstrip("."))
    # A template decides nothing until it is linked, so a forbid with ?principal would forbid nothing.
    return "?principal and ?resource are not supported" if policies.templates() else None


def _parsed(text: str) -> Any:
    from cedarpy import policies_to_json_str

    return json.loads(policies_to_json_str(text))


def _require_names(text: str, statement: Statement) -> None:
    """Refuse names that never match or always fail, because a forbid with one would forbid nothing."""
    start, end = statement.start, statement.end
    policies = _parsed(text[start:end])
    for kind in _entity_types(policies):
        if kind not in ENTITIES:
            message = f"unknown entity type {echo(kind)}. It must be one of Action, Agent, Resource."
            raise _at(text, text.find(kind, start, end), message)
    for variable, name in _attributes(policies):
        if variable in VARIABLES:
            message = f"{variable} has no attributes. Use context, such as context.resource."
            raise _at(text, text.find(name, start, end), message)
        if variable == "context" and name not in ATTRIBUTES:
            raise _at(text, text.find(name, start, end), _unknown_attribute(name))


def _unknown_attribute(name: str) -> str:
    near = nearest(name, ATTRIBUTES)
    hint = f" Did you mean context.{near}?" if near else ""
    return f"unknown attribute context.{echo(name)}.{hint} context has {', '.join(sorted(ATTRIBUTES))}."


def _require_short_patterns(policies: Any) -> None:
    if sum(len(node["like"]["pattern"]) for node in _nodes(policies) if "like" in node) > MAX_PATTERN:
        raise invalid_value(f"The patterns of like must have at most {MAX_PATTERN} characters together.")


def _entity_types(policies: Any) -> Iterator[str]:
    for node in _nodes(policies):
        if isinstance(node.get("entity_type"), str):
            yield node["entity_type"]
    yield from (entity["type"] for entity in _entities(policies))


def _entities(policies: Any) -> Iterator[dict[str, str]]:
    """Yield each entity that is named, in the head of a policy or in its conditions."""
    for node in _nodes(policies):
        for name in ("entity", "__entity"):
            if isinstance(node.get(name), dict):
                yield node[name]
        yield from (each for each in node.get("entities", ()) if isinstance(each, dict))


def _attributes(policies: Any) -> Iterator[tuple[str, str]]:
    """Yield each attribute that is read or looked for, with its variable."""
    for node in _nodes(policies):
        for operator in (".", "has"):
            part = node.get(operator)
            if isinstance(part, dict) and "attr" in part and "Var" in part.get("left", ()):
                yield part["left"]["Var"], part["attr"]


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every object within a JSON value. A loop, because a chain of operators is nested deeply."""
    rest = [value]
    while rest:
        each = rest.pop()
        if isinstance(each, dict):
            yield each
            rest += each.values()
        elif isinstance(each, list):
            rest += each


def _at(text: str, place: int, message: str) -> Exception:
    return invalid_value(f"Line {text.count(chr(10), 0, place) + 1}: {message}")
