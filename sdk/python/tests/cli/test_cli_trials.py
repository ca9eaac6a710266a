"""`policies simulate` and `policies replay`."""

from __future__ import annotations

import json

import pytest
from in_process import POLICY, REPLAY, SIMULATION

RULE = {"type": "action_allowlist", "config": {"actions": ["email:read"]}}
CALL = ("--agent", "SmartMail", "--scope", "email:send")


@pytest.fixture
def rules(tmp_path):
    file = tmp_path / "rules.json"
    file.write_text(json.dumps(RULE))
    return "--rules", str(file)


def test_a_stored_policy_says_what_it_would_decide(api, cli):
    context = ("--context", '{"recipient": "ada@example.com"}', "--ip", "10.0.0.1")
    about = ("--action", "email:send", "--user", "usr_1", "--at", "2026-11-24T16:00:00")
    shown = cli("policies", "simulate", "Office [bold]hours", *CALL, *context, *about, code=1)
    assert shown.splitlines()[0] == "denied"
    assert "rule 1  action_blocklist  denied  Blocked.  retry after 60 s" in shown
    assert api.body() == {
        "policyId": "pol_1",
        "request": {
            "agentId": "agt_1",
            "requiredScopes": ["email:send"],
            "context": {"recipient": "ada@example.com", "ip": "10.0.0.1"},
            "action": "email:send",
            "userId": "usr_1",
            "at": "2026-11-24T16:00:00+00:00",
        },
    }
    assert cli.json("policies", "simulate", "pol_1", *CALL, code=1) == SIMULATION


@pytest.mark.parametrize(
    ("outcome", "code"), [("passed", 0), ("not_concerned", 0), ("asked", 1), ("denied", 1)]
)
def test_the_exit_code_is_that_of_the_outcome(api, cli, rules, outcome, code):
    api.answers["POST /policies/simulate"] = {"decision": {"outcome": outcome, "trace": []}}
    assert cli("policies", "simulate", *rules, *CALL, code=code) == f"{outcome}\n"


def test_a_draft_is_tried_alone_or_in_place_of_a_policy_for_the_same_agent(api, cli, rules):
    cli("policies", "simulate", *rules, *CALL, code=1)
    assert api.body()["policy"] == {"rules": [RULE]} and "policyId" not in api.body()
    api.answers["GET /policies/pol_1"] = {**POLICY, "agentId": "agt_1"}
    cli.json("policies", "replay", "pol_1", *rules)
    assert api.body() == {
        "policy": {"rules": [RULE], "agentId": "agt_1"},
        "policyId": "pol_1",
        "replay": {"days": 7},
    }


def test_a_replay_counts_changes_and_names_agents_and_policies(api, cli):
    shown = cli("policies", "replay", "Office [bold]hours", "--days", "3")
    replayed = next(each for each in api.requests if each.url.path.endswith("/simulate"))
    assert json.loads(replayed.content) == {"policyId": "pol_1", "replay": {"days": 3}}
    assert "newly denied   3" in shown and "erased 2" in shown and "lacks the newest decisions" in shown
    rows = shown.splitlines()[-2:]
    assert rows[0].startswith("SmartMail (agt_1)  the draft") and rows[0].split()[-3:] == ["3", "1", "0"]
    assert rows[1].startswith("agt_9") and "Office [bold]hours (pol_1)" in rows[1]
    assert cli.json("policies", "replay", "pol_1") == REPLAY


def test_a_replay_without_changes_prints_the_totals_only(api, cli):
    api.answers["POST /policies/simulate"] = {"replay": {**REPLAY, "changes": [], "truncated": False}}
    assert len(cli("policies", "replay", "pol_1").splitlines()) == 5


@pytest.mark.parametrize("words", [("simulate", *CALL), ("replay",)], ids=["simulate", "replay"])
def test_nothing_to_try_is_a_usage_error(api, cli, words):
    assert "--rules FILE" in cli.error("policies", *words, code=2)["detail"]
    assert api.requests == []
