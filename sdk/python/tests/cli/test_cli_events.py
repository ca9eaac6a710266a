"""The command `events`: JSON Lines, and a cursor that loses nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import Any

import httpx
import pytest
from fake_gate import problem
from in_process import EVENT
from test_cli_errors import MAIN, SOURCE

END = 5


def numbered(number: int) -> dict[str, Any]:
    return {**EVENT, "stream": {"id": "org_1", "number": number}}


def feed(request: httpx.Request) -> dict[str, Any]:
    """Answer with two events per page, until the number `END`."""
    after = int(request.url.params["after"])
    numbers = range(after + 1, min(after + 2, END) + 1)
    return {"items": [numbered(number) for number in numbers], "next": max([after, *numbers])}


def numbers(lines: str) -> list[int]:
    return [json.loads(line)["stream"]["number"] for line in lines.splitlines()]


def asked(api) -> list[dict[str, str]]:
    return [dict(each.url.params) for each in api.requests if each.url.path == "/api/v1/events"]


@pytest.fixture
def events(api):
    api.answers["GET /events"] = feed
    return api


@pytest.fixture
def pauses(monkeypatch):
    """Let `--follow` pause twice, then interrupt it. Return the pauses."""
    made: list[float] = []

    def sleep(seconds: float) -> None:
        made.append(seconds)
        if len(made) > 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("agentgate_oauth._drivers.time.sleep", sleep)
    return made


def test_each_event_is_a_line_as_it_was_sent(events, cli):
    lines = cli("events")
    assert numbers(lines) == [1, 2, 3, 4, 5]
    assert json.loads(lines.splitlines()[0]) == numbered(1)
    assert [each["after"] for each in asked(events)] == ["0", "2", "4", "5"]
    assert numbers(cli("events", "--after", "3", "--json")) == [4, 5]


def test_filters_are_sent(events, cli):
    cli("events", "--types", "consent.*,token.replayed", "--agent", "SmartMail")
    assert asked(events)[0] == {
        "after": "0",
        "types": "consent.*,token.replayed",
        "agentId": "agt_1",
        "limit": "200",
    }


def test_following_waits_for_more(events, cli, pauses):
    assert numbers(cli("events", "--follow", code=130)) == [1, 2, 3, 4, 5]
    assert cli.err == ""
    assert {each["wait"] for each in asked(events)} == {"30"}
    assert pauses == [1.0] * 3, "the fake answers at once"


def test_following_survives_errors_that_pass_and_ends_with_others(events, cli, pauses):
    failures = [problem(503, "unavailable", detail="Restarting."), httpx.Response(502, text="<html>")]

    def fail_first(request: httpx.Request) -> Any:
        return failures.pop() if failures else feed(request)

    events.answers["GET /events"] = fail_first
    assert numbers(cli("events", "--follow", code=130)) == [1, 2, 3, 4, 5]
    assert 0.5 <= pauses[0] <= 1 <= pauses[1] <= 2

    events.answers["GET /events"] = problem(401, "not_authenticated", detail="This key was revoked.")
    cli("events", "--follow", code=1)
    assert "This key was revoked." in cli.err and "AGENTGATE_API_KEY" in cli.err
    events.answers["GET /events"] = problem(403, "key_limited", detail="This key reaches only agt_2.")
    assert cli.error("events", "--follow")["code"] == "key_limited"


def test_the_cursor_is_stored_after_the_lines(events, cli, tmp_path, monkeypatch):
    file = tmp_path / "events.cursor"
    assert numbers(cli("events", "--cursor-file", str(file), "--after", "1")) == [2, 3, 4, 5]
    assert file.read_text() == "5\n"
    assert [one.name for one in tmp_path.iterdir() if one.is_file()] == ["events.cursor"]
    file.write_text("2\n")
    assert numbers(cli("events", "--cursor-file", str(file), "--after", "1")) == [3, 4, 5], (
        "the file precedes"
    )

    file.write_text("0")
    printed: list[object] = []

    def fail_at_fourth(event: object) -> str:
        printed.append(event)
        if len(printed) == 4:
            raise OSError("No space left on device")
        return json.dumps(event)

    monkeypatch.setattr("agentgate_oauth.cli.events.json_text", fail_at_fourth)
    assert numbers(cli("events", "--cursor-file", str(file), code=1)) == [1, 2, 3]
    assert file.read_text() == "2\n", "the second page was not printed wholly"


def test_progress_without_events_is_stored_too(api, cli, tmp_path):
    api.answers["GET /events"] = lambda request: {
        "items": [],
        "next": min(int(request.url.params["after"]) + 2, 4),
    }
    file = tmp_path / "cursor"
    assert cli("events", "--types", "domain.*", "--cursor-file", str(file)) == ""
    assert file.read_text() == "4\n"


@pytest.mark.parametrize("content", ["", "x", "-1", "1.5", "٣"])
def test_a_cursor_file_without_a_number_is_refused(events, cli, tmp_path, content):
    file = tmp_path / "cursor"
    file.write_text(content, encoding="utf-8")
    assert cli.error("events", "--cursor-file", str(file), code=2)["code"] == "invalid_cursor"
    assert asked(events) == []


def test_a_cursor_file_that_cannot_be_written_is_named_at_once(events, cli, tmp_path):
    file = tmp_path / "missing" / "cursor"
    assert "missing" in cli.error("events", "--cursor-file", str(file))["detail"]
    assert asked(events) == []


@pytest.mark.parametrize(
    "document", [[], {"items": []}, {"items": {}, "next": 1}, {"items": [], "next": "1"}]
)
def test_an_answer_that_is_no_page_is_an_error(api, cli, document):
    api.answers["GET /events"] = httpx.Response(200, json=document)
    assert cli.error("events")["code"] == "unexpected_response"


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
def test_a_signal_ends_it_quietly(events, sent, code, tmp_path):
    process = _start(tmp_path, "--follow")
    assert process.stdout is not None and process.stdout.readline()
    process.send_signal(sent)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (code, b"")


def test_a_closed_pipe_ends_it_quietly_and_keeps_the_cursor(events, tmp_path):
    events.answers["GET /events"] = lambda request: {
        "items": [numbered(number) for number in range(1, 5000)],
        "next": 5000,
    }
    process = _start(tmp_path)
    assert process.stdout is not None and process.stdout.readline()
    process.stdout.close()
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (1, b"")
    assert (tmp_path / "cursor").read_text() == "0\n"


def _start(folder, *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", MAIN, "events", "--cursor-file", str(folder / "cursor"), *options]
    environment = {**os.environ, "PYTHONPATH": SOURCE}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
