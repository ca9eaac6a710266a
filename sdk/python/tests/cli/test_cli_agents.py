"""Commands about agents, and names instead of ids."""

from __future__ import annotations

import pytest
from in_process import AGENT, page


def test_agents_are_created_with_their_secret(api, cli):
    options = ("--redirect-uri", "https://x/cb", "--scope", "email:read")
    assert "ags_secret" in cli("agents", "create", "Mail", *options)
    assert "not shown again" in cli.err
    assert api.body() == {"name": "Mail", "redirectUris": ["https://x/cb"], "allowedScopes": ["email:read"]}
    assert cli.json("agents", "create", "Mail", *options) == {**AGENT, "clientSecret": "ags_secret"}


def test_lists_show_full_ids_in_narrow_terminals(api, cli, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    long = {**AGENT, "id": "agt_" + "0" * 32, "name": "An agent with quite a long name"}
    api.answers["GET /agents"] = page(long)
    (header, row) = cli("agents", "list").splitlines()
    assert long["id"] in row and long["name"] in row and header.startswith("id ")
    assert cli.json("agents", "list") == {"items": [long]}


def test_an_agent_is_changed_suspended_and_activated(api, cli):
    cli("agents", "update", "SmartMail", "--scope", "email:send", "--scope", "email:read")
    assert api.body() == {"allowedScopes": ["email:send", "email:read"]}
    assert cli("agents", "suspend", "agt_1") == "SmartMail (agt_1) is suspended.\n"
    assert api.body() == {"status": "suspended"}
    cli("agents", "activate", "agt_1")
    assert api.body() == {"status": "active"}


def test_rotate_secret_prints_only_the_new_secret(api, cli):
    assert cli("agents", "rotate-secret", "agt_1", "--overlap-seconds", "3600") == "ags_next\n"
    assert "not shown again" in cli.err
    assert api.body() == {"overlapSeconds": 3600}
    assert cli.json("agents", "rotate-secret", "agt_1")["clientSecret"] == "ags_next"


@pytest.mark.parametrize("name", ["agt_1", "agc_1", "SmartMail", "smartmail"])
def test_agents_are_found_by_name_or_id(api, cli, name):
    assert "SmartMail" in cli("agents", "show", name)
    assert api.requests[-1].url.path == "/api/v1/agents/agt_1"


def test_a_name_in_the_same_case_takes_precedence(api, cli):
    api.answers["GET /agents"] = page({**AGENT, "id": "agt_2", "name": "SMARTMAIL"}, AGENT)
    assert cli.json("agents", "show", "SmartMail")["id"] == "agt_1"


def test_an_ambiguous_name_lists_the_candidates(api, cli):
    api.answers["GET /agents"] = page(AGENT, {**AGENT, "id": "agt_2"})
    cli("agents", "suspend", "SmartMail", code=2)
    assert "agt_1" in cli.err and "agt_2" in cli.err
    error = cli.error("agents", "suspend", "SmartMail", code=2)
    assert error["code"] == "ambiguous_name"
    assert [candidate["id"] for candidate in error["candidates"]] == ["agt_1", "agt_2"]
    assert all(request.method == "GET" for request in api.requests)


def test_an_unknown_name_suggests_the_nearest(api, cli):
    cli("agents", "show", "SmartMial", code=1)
    assert "Did you mean: SmartMail?" in cli.err


def test_an_administrator_s_stop_is_shown(api, cli):
    stop = {"at": "2026-11-25T01:39:00Z", "reason": "Spam."}
    api.answers["PATCH /agents/agt_1"] = {**AGENT, "stop": stop}
    shown = cli("agents", "activate", "agt_1")
    assert "active, but stopped by an administrator on 2026-11-25 01:39 UTC: Spam." in shown
    api.answers["GET /agents"] = page({**AGENT, "stop": stop})
    assert "stopped" in cli("agents", "list")


def test_names_cannot_control_the_terminal(api, cli):
    api.answers["GET /agents"] = page({**AGENT, "name": "Evil\x1b[2J\nagent"})
    assert "Evil?[2J?agent" in cli("agents", "list")
