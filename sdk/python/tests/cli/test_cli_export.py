"""`agentgate log export`."""

from __future__ import annotations

import stat
import sys

import httpx
import pytest
from fake_gate import problem
from in_process import EXPORT


def test_an_export_is_a_new_private_file(api, cli, tmp_path):
    file = tmp_path / "log.jsonl"
    printed = cli("log", "export", str(file), "--from", "2026-11-01", "--to", "2026-11-02T10:00:00+02:00")
    assert file.read_bytes() == EXPORT and stat.S_IMODE(file.stat().st_mode) == 0o600
    assert f"agentgate-audit verify {file}" in printed
    asked = api.requests[-1]
    assert dict(asked.url.params) == {"from": "2026-11-01T00:00:00Z", "to": "2026-11-02T08:00:00Z"}
    assert asked.headers["X-Api-Key"] == "ag_key"
    assert cli.json("log", "export", str(tmp_path / "other")) == {"file": str(tmp_path / "other")}


def test_an_export_to_standard_output_is_the_log_alone(api, cli):
    assert cli("log", "export", "-", "--json").encode() == EXPORT and cli.err == ""


def test_an_export_is_not_written_to_a_terminal(api, cli, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    cli("log", "export", "-", code=2)
    assert "redirect the output" in cli.err and api.requests == []


def test_an_earlier_export_is_not_overwritten(api, cli, tmp_path):
    file = tmp_path / "log.jsonl"
    file.write_text("earlier")
    error = cli.error("log", "export", str(file), code=2)
    assert error["code"] == "file_exists" and file.read_text() == "earlier" and api.requests == []


def test_a_folder_that_does_not_exist_is_named(api, cli, tmp_path):
    file = tmp_path / "missing" / "log.jsonl"
    assert str(file) in cli.error("log", "export", str(file))["detail"]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (problem(503, "checkpoint_late", {"Retry-After": "2"}), "Retry in 2 seconds."),
        (problem(403, "reauthentication_required"), "agentgate login"),
        (httpx.Response(200, text="<html>"), "did not respond like AgentGate"),
        (
            httpx.Response(302, headers={"Location": "https://other.example"}),
            "did not respond like AgentGate",
        ),
    ],
)
def test_a_failed_export_leaves_no_file(api, cli, tmp_path, answer, words):
    api.answers["GET /audit/export"] = answer
    cli("log", "export", str(tmp_path / "log.jsonl"), code=1)
    assert words in cli.err and not (tmp_path / "log.jsonl").exists()


def test_an_export_that_ends_early_leaves_no_file(api, cli, tmp_path):
    headers = {"Content-Type": "application/jsonl", "Content-Length": str(len(EXPORT) + 9)}
    api.answers["GET /audit/export"] = httpx.Response(200, content=EXPORT, headers=headers)
    error = cli.error("log", "export", str(tmp_path / "log.jsonl"))
    assert error["code"] == "connection_failed" and not (tmp_path / "log.jsonl").exists()


def test_an_option_before_export_is_refused_because_it_would_be_ignored(api, cli, tmp_path):
    file = str(tmp_path / "log.jsonl")
    for option in (("--url", "http://localhost:1"), ("--agent", "SmartMail"), ("--allow-http",)):
        cli("log", *option, "export", file, code=2)
        assert f"agentgate log export {option[0]}" in cli.err
    assert cli.error("log", "export", file, "--agent", "SmartMail", code=2)["code"] == "usage"
    assert api.requests == []
