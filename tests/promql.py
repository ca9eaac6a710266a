"""A parser for the part of PromQL that the dashboard and the alerts use. It finds metrics and labels."""

import re
from dataclasses import dataclass, field

TOKEN = re.compile(
    r"""\s*(?:
    (?P<duration>(?:\d+(?:ms|[smhdwy]))+\b|\$__rate_interval) | (?P<number>\d+(?:\.\d+)?(?:e[+-]?\d+)?)
    | (?P<string>"(?:[^"\\]|\\.)*") | (?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)
    | (?P<operator>==|!=|>=|<=|=~|!~|[-+*/%^><=(){}\[\],])
    )""",
    re.X,
)
AGGREGATIONS = ("sum", "min", "max", "avg", "count")
ON_RANGES = ("rate", "increase")
FUNCTIONS = (*ON_RANGES, "histogram_quantile", "time", "absent")
BINARY = ("+", "-", "*", "/", "%", "^", "==", "!=", ">", "<", ">=", "<=", "and", "or", "unless")
MATCHERS = ("=", "!=", "=~", "!~")


class NotPromQL(ValueError):
    """The text is no expression, or needs more of the language than this parser knows."""


@dataclass
class Selector:
    """A metric, its matchers as (label, operator, value), and whether it has a range."""

    metric: str
    matchers: list[tuple[str, str, str]] = field(default_factory=list)
    has_range: bool = False


@dataclass
class Expression:
    """What an expression names. `grouped` has the labels of each `by`, with the metrics that they group."""

    selectors: list[Selector] = field(default_factory=list)
    grouped: list[tuple[list[str], list[Selector]]] = field(default_factory=list)

    @property
    def metrics(self) -> set[str]:
        return {selector.metric for selector in self.selectors}


def parse(text: str) -> Expression:
    """Return what the expression names. Raises `NotPromQL`."""
    parser = _Parser(text)
    parser.binary()
    if parser.tokens:
        raise NotPromQL(f"{text}: {parser.tokens[0][1]!r} is too much.")
    return parser.found


class _Parser:
    def __init__(self, text: str) -> None:
        self.text, self.tokens, self.found = text, _tokens(text), Expression()

    def binary(self) -> None:
        self.unary()
        while self.peek() in BINARY:
            self.take()
            self.unary()

    def unary(self) -> None:
        while self.peek() in ("-", "+"):
            self.take()
        self.primary()

    def primary(self) -> None:
        kind, value = self.take()
        if value == "(":
            self.binary()
            self.expect(")")
        elif kind == "name" and value in AGGREGATIONS:
            self.aggregation()
        elif kind == "name" and self.peek() == "(":
            self.call(value)
        elif kind == "name":
            self.selector(value)
        elif kind != "number":
            raise NotPromQL(f"{self.text}: {value!r} begins no expression.")

    def aggregation(self) -> None:
        first = len(self.found.selectors)
        labels = self.labels() if self.peek() == "by" else []
        self.expect("(")
        self.binary()
        self.expect(")")
        if self.peek() == "by":
            labels = self.labels()
        self.found.grouped.append((labels, self.found.selectors[first:]))

    def labels(self) -> list[str]:
        self.expect("by")
        self.expect("(")
        found = [self.take("name")]
        while self.peek() == ",":
            self.take()
            found.append(self.take("name"))
        self.expect(")")
        return found

    def call(self, function: str) -> None:
        if function not in FUNCTIONS:
            raise NotPromQL(f"{self.text}: {function} is no function.")
        first = len(self.found.selectors)
        self.expect("(")
        while self.peek() != ")":
            self.binary()
            if self.peek() == ",":
                self.take()
        self.expect(")")
        if function in ON_RANGES and not all(each.has_range for each in self.found.selectors[first:]):
            raise NotPromQL(f"{self.text}: {function} needs a range.")

    def selector(self, metric: str) -> None:
        selector = Selector(metric)
        self.found.selectors.append(selector)
        if self.peek() == "{":
            self.take()
            while self.peek() != "}":
                label, (_, operator), value = self.take("name"), self.take(), self.take("string")
                if operator not in MATCHERS:
                    raise NotPromQL(f"{self.text}: {operator!r} matches nothing.")
                selector.matchers.append((label, operator, value[1:-1]))
                if self.peek() == ",":
                    self.take()
            self.take()
        if self.peek() == "[":
            self.take()
            self.take("duration")
            self.expect("]")
            selector.has_range = True
        if self.peek() == "offset":
            self.take()
            self.take("duration")

    def peek(self) -> str:
        return self.tokens[0][1] if self.tokens else ""

    def take(self, kind: str = "") -> "tuple[str, str] | str":
        if not self.tokens or (kind and self.tokens[0][0] != kind):
            raise NotPromQL(f"{self.text}: {kind or 'more'} is missing before {self.peek()!r}.")
        token = self.tokens.pop(0)
        return token[1] if kind else token

    def expect(self, value: str) -> None:
        if self.take()[1] != value:
            raise NotPromQL(f"{self.text}: {value!r} is missing.")


def _tokens(text: str) -> list[tuple[str, str]]:
    found, end = [], 0
    text = text.rstrip()
    while end < len(text):
        match = TOKEN.match(text, end)
        if match is None:
            raise NotPromQL(f"{text}: {text[end:]!r} has no token.")
        found.append((str(match.lastgroup), match[str(match.lastgroup)]))
        end = match.end()
    return found
