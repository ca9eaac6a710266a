"""All commands: help, version, completion, exit codes, and errors without secrets."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from fake_gate import problem
from in_process import AGENT, page
from typer.main import get_command

from agentgate_oauth import __version__
from agentgate_oauth.cli.app import app

SOURCE = str(Path(__file__).parent.parent.parent / "src")
MAIN = "from agentgate_oauth.cli import main; main()"


def commands():
    """Yield the words of every command."""
    for name, command in sorted(get_command(app).commands.items()):
        below = getattr(command, "commands", {})
        yield from ((name, inner) for inner in sorted(below))
        if not below or command.invoke_without_command:
            yield (name,)


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_every_command_has_an_example_and_the_common_options(words, cli):
    text = cli(*words, "--help")
    assert f"agentgate {' '.join(words)}" in text.split("Example:")[1]
    assert all(option in text for option in ("--json", "--url", "--organization", "--allow-http"))


def test_version(cli):
    assert cli("--version") == f"agentgate {__version__}\n"


def test_a_group_without_a_command_shows_its_help(cli):
    cli("agents", code=2)
    assert cli.err.startswith("Usage: agentgate agents") and "rotate-secret" in cli.err


def test_usage_errors_exit_with_2_and_name_the_help(api, cli):
    cli("agents", "show", code=2)
    assert "AGENT" in cli.err and "agentgate agents show --help" in cli.err
    assert cli.error("agents", "list", "--bogus", code=2)["code"] == "usage"


def test_errors_of_the_api_are_one_line(api, cli):
    cli("agents", "show", "agt_9", code=1)
    assert cli.err == "Error: No such thing. (404 not_found, request req-1)\n"
    error = cli.error("agents", "show", "agt_9")
    assert (error["code"], error["status"], error["requestId"]) == ("not_found", 404, "req-1")


def test_validation_errors_name_each_field(api, cli):
    errors = [{"field": "allowedScopes", "message": "Unknown scope."}]
    api.answers["POST /agents"] = problem(400, "validation_failed", errors=errors)
    create = ("agents", "create", "x", "--redirect-uri", "https://x/cb", "--scope", "emial:read")
    cli(*create, code=1)
    assert "  allowedScopes: Unknown scope." in cli.err.splitlines()
    assert cli.error(*create)["errors"] == errors


def test_a_rate_limit_says_when_to_retry(api, cli):
    api.answers["GET /agents"] = problem(429, "throttled", {"Retry-After": "3600"})
    cli("agents", "list", code=1)
    assert "Retry in 3600 seconds." in cli.err


def test_a_wrong_key_names_its_variable(api, cli):
    api.answers["GET /agents"] = problem(401, "not_authenticated")
    cli("agents", "list", code=1)
    assert "AGENTGATE_API_KEY" in cli.err


@pytest.mark.parametrize("answer", [httpx.Response(200, text="<html>"), httpx.Response(404, text="<html>")])
def test_a_server_that_is_not_agentgate_is_named(api, cli, answer):
    api.answers["GET /scopes"] = answer
    error = cli.error("scopes", "list")
    assert error["code"] == "unexpected_response" and "http://127.0.0.1:" in error["detail"]


@pytest.mark.parametrize(
    "secret",
    ["eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "ag_0123456789abcdef", "ags_0123456789abcdef"],
)
def test_a_secret_in_the_wrong_place_is_not_repeated(api, cli, secret):
    cli("verify", secret, "--scope", "email:read", code=2)
    assert secret not in cli.err and "***" in cli.err
    cli("agents", "show", secret, code=1)
    assert secret not in cli.err


def test_a_directory_that_cannot_be_created_is_named(api, cli, monkeypatch, tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    monkeypatch.setenv("AGENTGATE_CONFIG_DIR", str(file / "config"))
    monkeypatch.delenv("AGENTGATE_API_KEY")
    assert str(file) in cli.error("agents", "list")["detail"]


def test_a_missing_extra_is_named():
    program = f"import sys; sys.modules['typer'] = None; {MAIN}"
    result = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": SOURCE}, capture_output=True, text=True
    )
    assert result.returncode == 1 and "Traceback" not in result.stderr
    assert "agentgate-oauth[cli]" in result.stderr


def test_shell_completion_offers_commands_and_options():
    words = {"COMP_WORDS": "agentgate agents rot", "COMP_CWORD": "2"}
    environment = {**os.environ, "PYTHONPATH": SOURCE, "_AGENTGATE_COMPLETE": "complete_bash", **words}
    result = subprocess.run([sys.executable, "-c", MAIN], env=environment, capture_output=True, text=True)
    assert result.stdout.split() == ["rotate-secret"]


def test_a_name_that_the_encoding_of_the_output_lacks_is_escaped(api):
    api.answers["GET /agents"] = page({**AGENT, "name": "Zoë 😀"})
    environment = {**os.environ, "PYTHONPATH": SOURCE, "PYTHONIOENCODING": "cp1252"}
    command = [sys.executable, "-c", MAIN, "agents", "list"]
    result = subprocess.run(command, env=environment, capture_output=True, encoding="cp1252")
    assert "Zoë \\U0001f600" in result.stdout and result.stderr == ""


def test_an_interrupt_ends_a_command_without_a_traceback(api):
    environment = {**os.environ, "PYTHONPATH": SOURCE}
    command = [sys.executable, "-c", MAIN, "log", "--follow"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and b"log_2" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (130, b"")


def test_a_closed_pipe_causes_no_traceback(api):
    command = f"{json.dumps(sys.executable)} -c {json.dumps(MAIN)} scopes list | true"
    environment = {**os.environ, "PYTHONPATH": SOURCE}
    result = subprocess.run(["sh", "-c", command], env=environment, capture_output=True, text=True)
    assert "Traceback" not in result.stderr
