"""Check the text of a Cedar policy when it is saved: its bounds, its syntax with the line, and the names that it uses.

Cedar's parser recurses, and a text that is nested too deeply ends the process. So the bounds come first.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from django.utils.translation import gettext_noop

from core.text import echo, nearest
from core.validation import invalid_value
from core.wording import Filled

MAX_BYTES = 8 * 1024
# Measured: with half a MiB of stack, such texts are parsed, evaluated and freed (docs/adr/0034).
MAX_DEPTH, MAX_TOKENS = 20, 1000
# The time of `like` is the product of the lengths of text and pattern.
MAX_PATTERN = 256

# An unterminated string runs to the end, so that no text is looked through once per quotation mark.
TOKEN = re.compile(r'(?P<comment>//[^\n]*)|"(?:[^"\\]++|\\.)*+"?|\w+|&&|\|\||[=!<>]=|::|\S')
OPENING, CLOSING = "([{", ")]}"
ENTITIES = frozenset({"Agent", "Action", "Resource"})
VARIABLES = frozenset({"principal", "action", "resource"})
# The attributes of Cedar's `context` (`policies.rules.cedar_call`).
ATTRIBUTES = frozenset({"action", "scopes", "resource", "userId", "organizationId", "chain", "ip", "now", "request"})
SLOTS = Filled(gettext_noop("?principal and ?resource are not supported"))


class Token(NamedTuple):
    """A word, sign or string, with its place in the text."""

    word: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.word)

    @property
    def string(self) -> str:
        """The content of a string, with its escapes, or the word itself."""
        return self.word[1:-1] if self.word.startswith('"') else self.word


class Sizes(NamedTuple):
    """The size of a text: its tokens, the characters of its patterns, one more for each, and its longest token."""

    tokens: int
    patterns: int
    longest: int


# A `permit` or `forbid`, up to its semicolon.
type Statement = Sequence[Token]


def require_policy(text: str) -> str:
    """Return the text, with each line break as one character. Raises an error that names the line."""
    text = text.replace("\r\n", "\n").strip()
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise invalid_value(Filled(gettext_noop("Must be at most %(most)d bytes."), most=MAX_BYTES))
    if not all(character.isprintable() or character in "\n\t" for character in text):
        raise invalid_value(gettext_noop("Must not contain control or invisible characters."))
    statements = list(_statements(text))
    if not statements:
        raise invalid_value(gettext_noop("Must have at least one permit or forbid."))
    for statement in statements:
        _require_bounds(text, statement)
    if _problem(text):
        raise _locate(text, statements)
    _require_names(text, statements)
    return text


def named_actions(text: str) -> tuple[str, ...]:
    """Return the ids of the actions that a valid text names."""
    named = (each for statement in _statements(text) for each in _entities(statement))
    return tuple(dict.fromkeys(entity.string for kind, entity in named if kind == "Action"))


def sizes_of(text: str) -> Sizes:
    """Return the sizes of a valid text."""
    statements = list(_statements(text))
    patterns = [pattern for statement in statements for pattern in _patterns(statement)]
    longest = max((len(token.word) for statement in statements for token in statement), default=0)
    return Sizes(sum(map(len, statements)), sum(map(len, patterns)) + len(patterns), longest)


def _statements(text: str) -> Iterator[Statement]:
    tokens: list[Token] = []
    for match in TOKEN.finditer(text):
        if match["comment"]:
            continue
        tokens.append(Token(match[0], match.start()))
        if match[0] == ";":
            yield tokens
            tokens = []
    if tokens:
        yield tokens


def _require_bounds(text: str, statement: Statement) -> None:
    if len(statement) > MAX_TOKENS:
        message = gettext_noop("a statement must have at most %(most)d words and signs.")
        raise _at(text, statement[0].start, Filled(message, most=MAX_TOKENS))
    depth = 0
    for token in statement:
        depth += (token.word in OPENING) - (token.word in CLOSING)
        if depth > MAX_DEPTH:
            message = gettext_noop("brackets must be nested at most %(most)d levels deep.")
            raise _at(text, token.start, Filled(message, most=MAX_DEPTH))


def _locate(text: str, statements: Sequence[Statement]) -> Exception:
    """Return the error of a text that Cedar refuses, with the line of the first statement that it refuses."""
    for statement in statements:
        if problem := _problem(text[statement[0].start : statement[-1].end]):
            return _at(text, _place(text, statement, problem), _sentence(problem))
    return invalid_value(_sentence(_problem(text) or ""))


def _sentence(problem: str) -> str:
    return Filled("%(problem)s.", problem=problem)


def _place(text: str, statement: Statement, problem: str) -> int:
    if problem.startswith("unexpected end"):
        return statement[-1].start
    if problem.startswith("unexpected token"):
        return statement[_first_wrong(text, statement)].start
    return statement[0].start


def _first_wrong(text: str, statement: Statement) -> int:
    """Return the number of the first token that Cedar does not expect: the text before it only lacks an end."""
    low, high = 0, len(statement) - 1
    while low < high:
        middle = (low + high) // 2
        problem = _problem(text[statement[0].start : statement[middle].end])
        if problem is None or problem.startswith("unexpected end"):
            low = middle + 1
        else:
            high = middle
    return low


def _problem(text: str) -> str | None:
    """Return what Cedar says about the text, in one line, or None if it is valid."""
    from cedarpy import PolicySet

    try:
        policies = PolicySet.from_str(text)
    except ValueError as error:
        return echo(" ".join(str(error).split()).rstrip("."))
    # A template decides nothing until it is linked, so a forbid with ?principal would forbid nothing.
    return SLOTS if policies.templates() else None


def _require_names(text: str, statements: Sequence[Statement]) -> None:
    """Refuse names that never match or always fail, because a forbid with one would forbid nothing.

    By the tokens: Cedar's own description of a text takes several times as long as to parse it.
    """
    pattern = 0
    for statement in statements:
        for kind, entity in _entities(statement):
            if kind not in ENTITIES:
                message = gettext_noop("unknown entity type %(type)s. It must be one of Action, Agent, Resource.")
                raise _at(text, entity.start, Filled(message, type=echo(kind)))
        for variable, attribute in _attributes(statement):
            if variable != "context":
                message = gettext_noop("%(variable)s has no attributes. Use context, such as context.resource.")
                raise _at(text, attribute.start, Filled(message, variable=variable))
            if attribute.string not in ATTRIBUTES:
                raise _at(text, attribute.start, _unknown_attribute(attribute.string))
        pattern += sum(map(len, _patterns(statement)))
    if pattern > MAX_PATTERN:
        message = gettext_noop("The patterns of like must have at most %(most)d characters together.")
        raise invalid_value(Filled(message, most=MAX_PATTERN))


def _patterns(statement: Statement) -> Iterator[str]:
    return (after.string for token, after in pairwise(statement) if token.word == "like")


def _entities(statement: Statement) -> Iterator[tuple[str, Token]]:
    """Yield each entity that is named, with its type, and each type after `is`, with its first word."""
    for number, token in enumerate(statement):
        before = statement[number - 1].word if number else ""
        if before == "::" and token.word.startswith('"'):
            yield "".join(_path_before(statement, number - 1)), token
        elif before == "is":
            yield token.word if statement[number + 1].word != "::" else f"{token.word}::", token


def _path_before(statement: Statement, number: int) -> list[str]:
    """Return the words and colons of the type before the token with this number."""
    start = number
    while start >= 0 and statement[start].word == "::":
        start -= 2
    return [token.word for token in statement[start + 1 : number]]


def _attributes(statement: Statement) -> Iterator[tuple[str, Token]]:
    """Yield each attribute of a variable that is read or looked for, with the variable."""
    for number, token in enumerate(statement[:-2]):
        is_variable = token.word in VARIABLES or token.word == "context"
        is_field = number > 0 and statement[number - 1].word == "."
        if is_variable and not is_field and statement[number + 1].word in (".", "[", "has"):
            yield token.word, statement[number + 2]


def _unknown_attribute(name: str) -> str:
    near = nearest(name, ATTRIBUTES)
    text = gettext_noop("unknown attribute context.%(name)s. context has %(names)s.")
    if near:
        text = gettext_noop("unknown attribute context.%(name)s. Did you mean context.%(near)s? context has %(names)s.")
    return Filled(text, name=echo(name), near=near, names=", ".join(sorted(ATTRIBUTES)))


def _at(text: str, place: int, message: str) -> Exception:
    line = text.count("\n", 0, place) + 1
    return invalid_value(Filled(gettext_noop("Line %(number)d: %(message)s"), number=line, message=message))
