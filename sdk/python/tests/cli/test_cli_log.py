"""The `log` and `verify` commands."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from in_process import DENIAL, page


def test_the_log_prints_oldest_first(api, cli):
    older = {**DENIAL, "id": "log_1", "outcome": "allowed", "reason": None}
    api.answers["GET /audit"] = page(DENIAL, older)
    lines = cli("log", "--outcome", "denied", "--agent", "SmartMail", "--user", "usr_1").splitlines()
    assert [line.split()[-1] for line in lines] == ["log_1", "log_2"]
    asked = api.requests[-1].url.params
    assert (asked["outcome"], asked["agentId"], asked["userId"]) == ("denied", "agt_1", "usr_1")
    assert [entry["id"] for entry in cli.json("log")["items"]] == ["log_1", "log_2"]


@pytest.fixture
def two_polls(api, monkeypatch):
    """Let `--follow` poll twice, the first time with a new entry, then interrupt it."""
    polls: list[Callable[[], None]] = [
        lambda: api.answers.update({"GET /audit": page({**DENIAL, "id": "log_3"}, DENIAL)}),
        lambda: None,
    ]

    def sleep(_: float) -> None:
        if not polls:
            raise KeyboardInterrupt
        polls.pop(0)()

    monkeypatch.setattr("agentgate_oauth.cli.log.time.sleep", sleep)


def test_following_prints_each_new_entry_once(two_polls, cli):
    output = cli("log", "--follow", code=130)
    assert output.count("log_2") == 1 and output.count("log_3") == 1


def test_following_as_json_prints_one_entry_per_line(two_polls, cli):
    lines = cli("log", "--follow", "--json", code=130).splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["log_2", "log_3"]


def test_verify_reads_the_token_from_standard_input_and_exits_by_the_decision(api, cli):
    assert "allowed" in cli("verify", "--scope", "email:send", "--ip", "10.0.0.1", given="token\n")
    assert api.body() == {"token": "token", "requiredScopes": ["email:send"], "context": {"ip": "10.0.0.1"}}
    api.answers["POST /tokens/verify"] = {
        "allowed": False,
        "reason": "insufficient_scope",
        "missingScopes": ["email:send"],
        "auditId": "log_2",
    }
    output = cli("verify", "--scope", "email:send", given="token\n", code=1)
    assert "insufficient_scope" in output and "had not granted every scope" in output
    assert "agentgate explain log_2" in cli.err
    decision = cli.json("verify", "--scope", "email:send", given="token\n", code=1)
    assert (decision["allowed"], decision["missingScopes"]) == (False, ["email:send"])


def test_verify_takes_the_token_from_the_environment(api, cli, monkeypatch):
    monkeypatch.setenv("AGENTGATE_TOKEN", "token")
    cli("verify", "--scope", "email:send")
    assert api.body()["token"] == "token"
