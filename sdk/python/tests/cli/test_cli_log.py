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
    asked = next(each.url.params for each in api.requests if each.url.path.endswith("/audit"))
    assert (asked["outcome"], asked["agentId"], asked["userId"]) == ("denied", "agt_1", "usr_1")
    assert [entry["id"] for entry in cli.json("log")["items"]] == ["log_1", "log_2"]


def test_names_are_beside_ids(api, cli):
    foreign = {**DENIAL, "agentId": "agt_9", "policyId": None, "metadata": {}}
    unnamed = {**DENIAL, "metadata": None}
    api.answers["GET /audit"] = page(DENIAL, foreign, unnamed)
    last, second, first = cli("log").splitlines()
    assert "policy_denied Office [bold]hours (pol_1) email:send SmartMail (agt_1) usr_1 log_2" in first
    assert "policy_denied email:send agt_9 usr_1" in second
    assert "policy_denied pol_1 email:send SmartMail (agt_1)" in last


def test_work_that_was_handed_over_is_found_and_shows_from_whom(api, cli):
    chain = [{"agentId": "agt_1", "delegationId": None}, {"agentId": "agt_9", "delegationId": "del_1"}]
    api.answers["GET /audit"] = page({**DENIAL, "agentId": "agt_9", "chain": chain})
    assert "email:send agt_9 from SmartMail (agt_1) usr_1" in cli("log", "--chain", "del_1")
    asked = next(each.url.params for each in api.requests if each.url.path.endswith("/audit"))
    assert asked["chain"] == "del_1"


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


def polls(api):
    """Return the start of each poll, as it was asked for."""
    return [each.url.params.get("from") for each in api.requests if each.url.path.endswith("/audit")]


def test_following_reads_on_from_the_newest_entry_whatever_the_clock_says(api, cli, two_polls):
    api.answers["GET /audit"] = page({**DENIAL, "timestamp": "2031-01-01T00:00:00Z"})
    cli("log", "--follow", "--lines", "0", code=130)
    assert polls(api) == [None, "2031-01-01T00:00:00Z", "2031-01-01T00:00:00Z"]


def test_following_an_empty_log_prints_its_first_entry(api, cli, two_polls):
    api.answers["GET /audit"] = page()
    assert cli("log", "--follow", code=130).count("log_3") == 1
    assert polls(api) == [None, None, "2026-11-24T15:59:00Z"]


def test_following_goes_on_after_an_entry_of_the_first_moment(api, cli, two_polls, monkeypatch):
    monkeypatch.setitem(DENIAL, "timestamp", "0001-01-01T00:00:00Z")
    api.answers["GET /audit"] = page()
    assert cli("log", "--follow", code=130).count("log_3") == 1
    assert polls(api) == [None, None, "0001-01-01T00:00:00Z"]


def test_no_lines_are_printed_if_none_are_asked_for(api, cli):
    assert cli("log", "--lines", "0") == ""


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
    del api.answers["POST /tokens/verify"]["missingScopes"]
    assert "No scope covers the action." in cli("verify", "--scope", "email:send", given="token\n", code=1)


def test_verify_names_the_agent_if_a_developer_of_its_organization_asks(api, cli, monkeypatch):
    api.answers["POST /tokens/verify"] = {"allowed": True, "agentId": "agt_1"}
    assert "agent  SmartMail (agt_1)" in cli("verify", "--scope", "email:send", given="token")
    api.answers["POST /tokens/verify"] = {"allowed": True, "agentId": "agt_9"}
    assert "agent  agt_9" in cli("verify", "--scope", "email:send", given="token")
    monkeypatch.delenv("AGENTGATE_API_KEY")
    assert "agent  agt_9" in cli("verify", "--scope", "email:send", given="token")


def test_verify_sends_the_context_of_an_argument_or_a_file(api, cli, tmp_path):
    context = {"recipient": "ada@example.com", "amount": {"value": "12.50", "currency": "EUR"}}
    file = tmp_path / "context.json"
    file.write_text(json.dumps(context))
    for given in (json.dumps(context), f"@{file}"):
        cli("verify", "--scope", "email:send", "--context", given, "--ip", "10.0.0.1", given="token")
        sent = next(each for each in reversed(api.requests) if each.method == "POST")
        assert json.loads(sent.content)["context"] == {**context, "ip": "10.0.0.1"}


@pytest.mark.parametrize(
    ("context", "words"),
    [
        ("{", "--context is not JSON: "),
        ("[]", "--context must be a JSON object."),
        ('{"a": 1, "a": 2}', "--context: a name is repeated in an object."),
        ('{"amount": NaN}', "--context: NaN is not JSON."),
        ('{"ip": "10.0.0.1"}', "not in both"),
    ],
)
def test_a_context_that_cannot_be_sent_is_a_usage_error(api, cli, context, words):
    error = cli.error("verify", "--scope", "email:send", "--ip", "10.0.0.2", "--context", context, code=2)
    assert words in error["detail"] and api.requests == []


def test_a_context_file_that_does_not_exist_is_named(api, cli, tmp_path):
    missing = str(tmp_path / "missing.json")
    error = cli.error("verify", "--scope", "email:send", "--context", f"@{missing}")
    assert missing in error["detail"] and api.requests == []


def test_verify_takes_the_token_from_the_environment(api, cli, monkeypatch):
    monkeypatch.setenv("AGENTGATE_TOKEN", "token")
    cli("verify", "--scope", "email:send")
    assert api.body()["token"] == "token"
