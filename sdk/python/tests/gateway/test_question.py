"""Arguments become verify's question, and nothing reaches the upstream that was not asked about."""

from typing import Any

import pytest

from agentgate_oauth.gateway.config import Amount, ArgumentName, Context, Line, Mapped
from agentgate_oauth.gateway.lock import canonical_digest
from agentgate_oauth.gateway.question import Refused, ask_about_tool, normalize_path

ROOT = "/home/ada/notes"
LINE = Line(scope="notes:write", risk="high", labels=["untrusted"])


def ask(arguments: dict[str, Any], root: str | None = ROOT, **context: Any) -> Any:
    return ask_about_tool(LINE, Context(**context), arguments, "write_file", None, "00", root)


@pytest.mark.parametrize(
    "path, expected",
    [
        ("todo.md", "todo.md"),
        ("./a//b/./c.md", "a/b/c.md"),
        (".", "."),
        ("/home/ada/notes", "."),
        ("/home/ada/notes/a.md", "a.md"),
        ("//home/ada//notes/./a.md", "a.md"),
        ("a..b/...", "a..b/..."),
        ("r\u00e9sum\u00e9.md", "r\u00e9sum\u00e9.md"),
    ],
)
def test_a_path_is_relative_to_the_root(path: str, expected: str) -> None:
    assert normalize_path(path, ROOT) == expected


@pytest.mark.parametrize(
    "path",
    [
        "",
        "..",
        "a/../b",
        "a/..",
        "a/.. /b",
        "%2e%2e/etc",
        "a%2Fb",
        "%252e",
        "a\\b",
        "~/x",
        "a\x00b",
        "a\u200bb",
        "\uff0e\uff0e/x",
        "a\uff0fb",
        "/etc/passwd",
        "/home/ada/notes2/x",
        "/home/ada",
        "/HOME/ada/notes/x",
        " a",
        "a/b ",
        "x" * 4097,
        7,
        None,
        ["a"],
    ],
)
def test_a_path_that_can_be_read_in_two_ways_or_is_outside_is_refused(path: Any) -> None:
    with pytest.raises(Refused):
        normalize_path(path, ROOT)


def test_without_a_root_a_path_must_be_relative() -> None:
    assert normalize_path("a/b", None) == "a/b"
    with pytest.raises(Refused, match="relative"):
        normalize_path("/a", None)


def test_what_is_forwarded_is_what_was_asked_about() -> None:
    target = Mapped(arguments=["source", "more.paths"], kind="path")
    asked = ask({"source": "./a", "more": {"paths": ["/home/ada/notes/b", "c"]}, "x": 1}, target=target)
    assert asked.question.context["target"] == ["a", "b", "c"]
    assert asked.arguments == {
        "source": f"{ROOT}/a",
        "more": {"paths": [f"{ROOT}/b", f"{ROOT}/c"]},
        "x": 1,
    }
    assert asked.question.context["arguments"] == canonical_digest(asked.arguments)
    assert asked.question.context["labels"] == ["untrusted"]
    assert asked.question.resource == "write_file"


@pytest.mark.parametrize("value", [2**53, float("nan"), float("inf"), "\ud800"])
def test_arguments_that_parsers_read_differently_are_refused(value: Any) -> None:
    with pytest.raises(Refused, match="canonical"):
        ask({"x": value})


def test_an_argument_that_the_pinned_schema_does_not_name_is_refused() -> None:
    schema = {"type": "object", "properties": {"a": {}}}
    with pytest.raises(Refused, match="'b'"):
        ask_about_tool(LINE, Context(), {"a": 1, "b": 2}, "t", schema, "00", None)
    schema["additionalProperties"] = True
    assert ask_about_tool(LINE, Context(), {"a": 1, "b": 2}, "t", schema, "00", None).arguments == {
        "a": 1,
        "b": 2,
    }


@pytest.mark.parametrize(
    "value, minor_units, expected",
    [("12.50", None, "12.50"), (12.5, None, "12.5"), (12, None, "12"), (1250, 2, "12.50"), ("7", 2, "0.07")],
)
def test_an_amount_is_read_exactly(value: Any, minor_units: int | None, expected: str) -> None:
    amount = Amount(argument="amount", currency=ArgumentName(argument="currency"), minor_units=minor_units)
    asked = ask({"amount": value, "currency": "eur"}, amount=amount)
    assert asked.question.context["amount"] == {"value": expected, "currency": "EUR"}


@pytest.mark.parametrize(
    "value",
    [-1, "1e3", 1e22, True, None, "1,5", "", [1], {"value": "1"}, "1" * 16, "\u0661", 0.1 + 0.2],
)
def test_an_amount_that_is_not_plain_is_refused(value: Any) -> None:
    with pytest.raises(Refused, match="amount"):
        ask({"amount": value}, amount=Amount(argument="amount", currency="EUR"))


def test_a_long_text_is_shortened_and_covered_by_the_digest() -> None:
    first, second = ("x" * 3000 + end for end in "ab")
    text = Mapped(arguments=["text"])
    asked = [ask({"text": one}, text=text).question.context for one in (first, second)]
    assert asked[0]["text"] == asked[1]["text"] == "x" * 2000 + "…"
    assert asked[0]["arguments"] != asked[1]["arguments"]
    assert ask({"text": "a\0b"}, text=text).question.context["text"] == "a\ufffdb"
    several = ask({"text": ["x" * 101] * 21}, text=text).question.context["text"]
    assert several == ["x" * 100 + "…"] * 20 + ["…"]
    assert ask({"text": []}, text=text).question.context["text"] == []
