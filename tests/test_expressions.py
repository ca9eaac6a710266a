"""Every regular expression of the product takes time in proportion to what it is given.

Callers, upstreams, developers and users send what they match. This finds the expressions in the source, so that
none can be forgotten, makes hostile texts from each one's own parts, and compares the times that a text and one
of four times the length take.
"""

import ast
import re
import time
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib import import_module
from itertools import product
from pathlib import Path
from re import _parser  # type: ignore[attr-defined]
from typing import Any

from tests.shared import cases

ROOT = Path(__file__).parents[1]
# They read our own files and tables, not what others send.
OURS = {"tests", "benchmarks", "tools", "demo", "docs", "migrations", "doctor"}
WHOLE, WITHIN = {"match", "fullmatch"}, {"search", "sub", "subn", "split", "findall", "finditer"}
INSPECTION = "sdk/python/src/agentgate_oauth/gateway/inspection.py"


def instructions() -> str:
    """Return an expression of all that the gateway looks for in the texts of upstreams."""
    lines = ast.parse((ROOT / INSPECTION).read_text()).body
    known = {ast.unparse(one.targets[0]): one.value for one in lines if isinstance(one, ast.Assign)}
    return "|".join(pattern for patterns in ast.literal_eval(known["_INSTRUCTIONS"]).values() for pattern in patterns)


# Made while the program runs, so not found in the source: by file, one of its kind, and how it is used.
MADE = {
    "developers/erasure.py": (r"(?<!\w)aaa(?!\w)", "search"),
    "policies/rules/globs.py": (r"a(?>.*?aa)(?>.*?ab).*b", "fullmatch"),
    INSPECTION: (instructions(), "search"),
    "web/portal/logs/forms.py": (r"log_[0-9a-f]{32,64}", "fullmatch"),
}
Found = tuple[str, str | bytes, int, frozenset[str]]


def sources() -> Iterator[tuple[str, str]]:
    folders = [one for one in ROOT.iterdir() if (one / "__init__.py").exists() and one.name not in OURS]
    for folder in [*folders, *ROOT.glob("sdk/*/src")]:
        for path in folder.rglob("*.py"):
            if not OURS & set(path.relative_to(folder).parts):
                yield str(path.relative_to(ROOT)), path.read_text()


def flags_of(call: ast.Call) -> int:
    given = [ast.unparse(one) for one in (*call.args, *(key.value for key in call.keywords))]
    return sum(int(getattr(re, flag)) for one in given for flag in re.findall(r"\bre\.([A-Z]+)\b", one))


@cache
def expressions() -> list[Found]:
    """Return file and line, pattern, flags and methods of each expression. Fails if a pattern is not to be found."""
    texts = dict(sources())
    found = []
    for file, text in texts.items():
        tree = ast.parse(text)
        names = {one.value: one.targets[0] for one in ast.walk(tree) if isinstance(one, ast.Assign)}
        for call in ast.walk(tree):
            if not (isinstance(call, ast.Call) and ast.unparse(call.func).startswith("re.") and call.args):
                continue
            method = ast.unparse(call.func).removeprefix("re.")
            if method not in WHOLE | WITHIN | {"compile"}:
                continue
            name = ast.unparse(names[call]) if call in names else ""
            methods = used(name, texts) if method == "compile" else {method}
            try:
                pattern, flags = ast.literal_eval(call.args[0]), flags_of(call)
            except ValueError:
                if name.isidentifier():
                    made = getattr(import_module(module_of(file)), name)
                    pattern, flags = made.pattern, made.flags & ~re.UNICODE
                else:
                    assert file in MADE, f"{file}:{call.lineno} makes an expression: name one of its kind in MADE"
                    (pattern, method), flags = MADE[file], flags_of(call)
                    methods = {method}
            found.append((f"{file}:{call.lineno}", pattern, flags, frozenset(methods)))
    return found


def used(name: str, texts: dict[str, str]) -> set[str]:
    calls = re.compile(rf"\b{name or '_'}\.(\w+)\b")
    known = WHOLE | WITHIN
    return {one for text in texts.values() if name and name in text for one in calls.findall(text)} & known or {
        "search"
    }


def module_of(file: str) -> str:
    return re.sub(r"^sdk/\w+/src/|\.py$", "", file).replace("/", ".")


def inner(operation: object, argument: Any) -> list[Any]:
    """Return the expressions in a part of an expression."""
    match str(operation):
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            return [argument[2]]
        case "SUBPATTERN":
            return [argument[3]]
        case "ATOMIC_GROUP":
            return [argument]
        case "BRANCH":
            return list(argument[1])
    return []


def sample(tree: Iterable[Any]) -> str:
    """Return a short text that an expression matches, or nearly."""
    text = ""
    for operation, argument in tree:
        match str(operation):
            case "LITERAL":
                text += chr(argument)
            case "NOT_LITERAL" | "ANY":
                text += "b" if argument == ord("a") else "a"
            case "IN":
                text += member(argument)
            case name:
                times = max(argument[0], 1) if "REPEAT" in name else 1
                text += "".join(map(sample, inner(operation, argument)[:1])) * times
    return text


def member(items: list[Any]) -> str:
    """Return a character that a class has."""
    (first, value), *_ = items
    if str(first) == "LITERAL":
        return chr(value)
    if str(first) == "RANGE":
        return chr(value[0])
    taken = {chr(one) for kind, one in items if str(kind) == "LITERAL"}
    blank = any("SPACE" in str(value) for kind, value in items) and str(first) != "NEGATE"
    return " " if blank else next(one for one in "a-0" if one not in taken)


def repeats(tree: Iterable[Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Yield what stands before each part that repeats, and what it repeats."""
    for operation, argument in tree:
        for one in inner(operation, argument):
            if "REPEAT" in str(operation):
                yield before, sample(one)
            yield from repeats(one, before)
        before += sample([(operation, argument)])


def seconds(run: Callable[[Any], object], text: str | bytes, times: int = 3) -> float:
    taken = []
    for _ in range(times):
        begun = time.process_time()
        run(text)
        taken.append(time.process_time() - begun)
    return min(taken)


def grows(run: Callable[[Any], object], longer: str | bytes, shorter: str | bytes, times: int) -> bool:
    """Return whether the longer text takes so many times as long, each time that it is tried."""
    return all(seconds(run, longer) > times * seconds(run, shorter) for _ in range(3))


def slowest(pattern: str | bytes, flags: int, methods: frozenset[str]) -> str | None:
    """Return a text for which an expression takes more than in proportion to its length, if one is found."""
    compiled = re.compile(pattern, flags)
    tree = _parser.parse(pattern, flags)
    places = list(repeats(tree))
    starts = {"", *(before for before, _ in places)}
    fillers = {"a", "0", "-", ".", " ", ":", sample(tree), *(part for place in places for part in place)} - {""}
    for method, start, filler, end in product(methods, starts, fillers, ("", "\n\0")):
        run = getattr(compiled, method) if method in {*WHOLE, "search"} else lambda text: list(compiled.finditer(text))

        def text(length: int, start: str = start, filler: str = filler, end: str = end) -> str | bytes:
            made = start + (filler * length)[:length] + end
            return made.encode("latin-1", "replace") if isinstance(pattern, bytes) else made

        # What doubles with each character takes longer for 24 than what is linear takes for 2,000.
        if seconds(run, text(24), 1) > 0.005 and grows(run, text(24), text(12), 100):
            return f"{method} {start!r}, {filler!r}, {end!r} doubles"
        # 4 if it is linear, 16 if it is quadratic. What takes less time cannot be.
        if seconds(run, text(2000), 1) > 0.0005 and grows(run, text(2000), text(500), 9):
            return f"{method} {start!r}, {filler!r}, {end!r}"
    return None


def test_no_expression_backtracks() -> None:
    assert len(expressions()) > 100
    slow = {place: slowest(pattern, flags, methods) for place, pattern, flags, methods in expressions()}
    assert {place: text for place, text in slow.items() if text} == {}


@cases(
    "pattern, method",
    [
        (r"(a+)+b", "fullmatch"),
        (r"(a|aa)*b", "match"),
        (r"[\w.]*\.[\w.]*", "fullmatch"),
        (r"<\s*/?\s*b", "search"),
        (r"(?:\.\*)+\Z", "search"),
    ],
)
def test_one_that_does_is_found(pattern: str, method: str) -> None:
    assert slowest(pattern, 0, frozenset({method}))
