"""How log records are written, and what is removed from them."""

import json
import logging
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agentgate.environment import Environment, read_log_format
from agentgate.logs import JsonFormatter, TextFormatter, redact
from agentgate.middleware import RequestIdFilter
from tests.shared import cases

SECRET = "4e6d8b0a2c9f71354e6d8b0a2c9f7135_-x"


def make_record(message: str = "Hello", *args: object, **more: Any) -> logging.LogRecord:
    record = logging.LogRecord("agentgate.x", logging.ERROR, "x.py", 1, message, args, more.pop("exc_info", None))
    vars(record).update(more)
    RequestIdFilter().filter(record)
    return record


def as_json(*args: Any, **more: Any) -> dict[str, Any]:
    line = JsonFormatter().format(make_record(*args, **more))
    assert "\n" not in line
    found: dict[str, Any] = json.loads(line)
    return found


def test_a_json_line_has_the_facts_of_the_record() -> None:
    found = as_json("%d of %s", 3, "é\n\ud800", request_id="req_1234", fields={"status": 503})

    assert found.pop("time").endswith("+00:00")
    assert isinstance(found.pop("process"), int)
    assert found == {
        "level": "ERROR",
        "logger": "agentgate.x",
        "message": "3 of é\n\ud800",
        "requestId": "req_1234",
        "status": 503,
    }


def test_outside_a_request_there_is_no_id() -> None:
    assert "requestId" not in as_json()
    assert "[-]" in TextFormatter().format(make_record())


def test_an_exception_is_one_member_without_secrets() -> None:
    try:
        raise ValueError(f"ags_{SECRET}")
    except ValueError:
        found = as_json(exc_info=sys.exc_info())

    assert found["exception"].startswith("Traceback")
    assert found["exception"].endswith("ValueError: ags_[redacted]")


@cases("formatter", [TextFormatter, JsonFormatter])
@cases(
    "text",
    [
        *(f"{prefix}_{SECRET}" for prefix in ("ag", "ags", "agr", "agcode", "rs", "st", "reg")),
        f"eyJhbGciOi.{SECRET}.{SECRET}",
        f"x-eyJ-eyJhbGciOi.{SECRET}.{SECRET}",
        f"a.b-eyJhbGciOi.{SECRET}",
        f"Authorization: Bearer {SECRET}",
        f"basic {SECRET}",
        f"postgresql://gate:{SECRET}@db.internal/gate",
        f"/accounts/password/reset/key/usr_01-{SECRET}/",
        f"duplicate key\nDETAIL:  Key (email)=({SECRET}) already exists.\nMore",
    ],
)
def test_secrets_are_removed(text: str, formatter: type[logging.Formatter]) -> None:
    written = formatter().format(make_record("It failed: %s", text))

    assert SECRET not in written
    assert "It failed" in written


def test_email_addresses_are_removed_and_other_text_is_not() -> None:
    assert redact("Ada.Lovelace+x@mail.example.com signed in") == "[email] signed in"
    for harmless in (
        "usr_01a215dd5cde71388bb2aa4a375ae90a",
        "GET /api/v1/agents 200 1.5 ms",
        "rs_256",
        "a @ b",
        "Basic plan",
    ):
        assert redact(harmless) == harmless


@cases("part", ["x", "-eyJ", "eyJaaaa.", "x@", "a.", "-ag_x", "ag_", "Bearer ", "://a:", "\nDETAIL: ", " "])
@cases("end", ["", "@yyyy", "@" + 200_000 * "y"], ids=["", "short", "long"])
def test_a_long_text_from_a_stranger_takes_linear_time(part: str, end: str, alarm: Callable[[int], None]) -> None:
    """Anyone can request a long path. Quadratic time would be minutes for this one, in which no request is answered."""
    alarm(30)

    assert len(redact(100_000 // len(part) * part + end)) > 0


@pytest.fixture
def alarm() -> Iterator[Callable[[int], None]]:
    """Return a function after which the test fails when so many seconds are over, also within a regular expression."""

    def fail(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, fail)
    yield signal.alarm  # type: ignore[misc]
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def test_the_format_is_text_or_json() -> None:
    assert read_log_format(Environment({})) == "text"
    assert read_log_format(Environment({"LOG_FORMAT": "json"})) == "json"
    with pytest.raises(SystemExit, match="LOG_FORMAT must be one of text, json"):
        read_log_format(Environment({"LOG_FORMAT": "xml"}))
