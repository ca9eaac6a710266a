"""Commands about policies, resource servers and scopes."""

from __future__ import annotations

import json

import pytest
from in_process import OWN_SCOPE, POLICY, SCOPE, SERVER, page

RULE = {"type": "action_allowlist", "config": {"actions": ["email:read"]}}


def test_policies_are_found_by_name_or_id(api, cli):
    assert "Office [bold]hours" in cli("policies", "list")
    assert "action_blocklist" in cli("policies", "show", "Office [bold]hours")
    assert cli.json("policies", "show", "pol_1") == POLICY
    assert "is disabled" in cli("policies", "disable", "office [bold]hours")
    assert api.body() == {"enabled": False}
    assert cli.json("policies", "enable", "pol_1")["id"] == "pol_1"
    assert api.body() == {"enabled": True}


def test_a_policy_is_shown_with_its_mode_and_the_name_of_its_agent(api, cli):
    shadow = {**POLICY, "mode": "shadow", "agentId": "agt_1"}
    foreign = {**POLICY, "id": "pol_2", "agentId": "agt_9"}
    api.answers |= {"GET /policies": page(shadow, foreign, POLICY), "GET /policies/pol_1": shadow}
    header, first, second, third = cli("policies", "list").splitlines()
    assert header.split() == ["id", "name", "agent", "mode", "enabled", "rules"]
    assert "SmartMail (agt_1)" in first and "shadow" in first
    assert "agt_9" in second and "every agent" in third and "enforce" in third
    shown = cli("policies", "show", "pol_1")
    assert "mode         shadow" in shown and "agent        SmartMail (agt_1)" in shown
    assert cli.json("policies", "show", "pol_1") == shadow


def test_a_shadow_policy_is_created_and_enforced(api, cli):
    api.answers["POST /policies"] = {**POLICY, "mode": "shadow"}
    created = cli("policies", "create", "Only reading", "-", "--mode", "shadow", given=json.dumps(RULE))
    assert created == "Created pol_1, mode shadow.\n" and api.body()["mode"] == "shadow"
    cli("policies", "update", "pol_1", "--mode", "enforce")
    assert api.body() == {"mode": "enforce"}


def test_a_policy_is_updated_in_what_is_given(api, cli, tmp_path):
    file = tmp_path / "rules.json"
    file.write_text(json.dumps([RULE]))
    changes = ("--name", "Reading", "--description", "", "--agent", "SmartMail", "--rules", str(file))
    assert "action_blocklist" in cli("policies", "update", "Office [bold]hours", *changes)
    patched = next(json.loads(each.content) for each in api.requests if each.method == "PATCH")
    assert patched == {"name": "Reading", "description": "", "agentId": "agt_1", "rules": [RULE]}
    cli.json("policies", "update", "pol_1", "--every-agent")
    assert api.body() == {"agentId": None}
    error = cli.error("policies", "update", "pol_1", "--every-agent", "--agent", "SmartMail", code=2)
    assert "not both" in error["detail"]


def test_a_policy_is_created_from_a_file_or_standard_input_for_a_named_agent(api, cli, tmp_path):
    file = tmp_path / "rules.json"
    file.write_text(json.dumps(RULE))
    assert "pol_1" in cli("policies", "create", "Only reading", str(file), "--agent", "SmartMail")
    assert api.body() == {"name": "Only reading", "rules": [RULE], "agentId": "agt_1"}
    cli("policies", "create", "Only reading", "-", given=json.dumps([RULE]))
    assert api.body() == {"name": "Only reading", "rules": [RULE]}


def test_file_errors_name_the_file(api, cli, tmp_path):
    missing, broken = tmp_path / "missing.json", tmp_path / "broken.json"
    broken.write_text('{"type": ')
    assert str(missing) in cli.error("policies", "create", "x", str(missing), code=2)["detail"]
    assert f"{broken} is not JSON" in cli.error("policies", "create", "x", str(broken), code=2)["detail"]
    assert "standard input is not JSON" in cli.error("policies", "create", "x", "-", code=2)["detail"]
    broken.write_text("[" * 100_000)
    assert "nested too deeply" in cli.error("policies", "create", "x", str(broken), code=2)["detail"]
    broken.write_bytes(b'"\xff"')
    assert f"{broken} is not UTF-8" in cli.error("policies", "create", "x", str(broken), code=2)["detail"]


@pytest.mark.parametrize("name", ["res_1", "Mail", "https://mail.example"])
def test_resource_servers_are_found_by_name_identifier_or_id(api, cli, name):
    assert cli.json("resource-servers", "show", name) == SERVER
    assert "mail:archive" in cli("resource-servers", "show", name)


def test_a_resource_server_is_created_with_its_secret(api, cli, tmp_path):
    file = tmp_path / "own.json"
    file.write_text(json.dumps([OWN_SCOPE]))
    options = ("--scope", "email:read", "--own-scopes", str(file))
    assert "rs_secret" in cli("resource-servers", "create", "Mail", "https://mail.example", *options)
    assert "not shown again" in cli.err
    assert api.body() == {
        "name": "Mail",
        "identifier": "https://mail.example",
        "scopes": ["email:read", OWN_SCOPE],
    }


def test_a_resource_server_s_scopes_are_listed_and_changed(api, cli):
    assert "Archive mail" in cli("resource-servers", "scopes", "Mail")
    assert api.requests[-1].method == "GET"
    cli("resource-servers", "scopes", "Mail", "--add", "email:send", "--remove", "mail:archive")
    assert api.body() == {"scopes": ["email:read", "email:send"]}
    cli("resource-servers", "scopes", "Mail", "--add", "email:read")
    assert api.body() == {"scopes": [OWN_SCOPE, "email:read"]}
    error = cli.error("resource-servers", "scopes", "Mail", "--remove", "email:send", code=2)
    assert "email:send" in error["detail"]


def test_a_resource_server_is_rotated(api, cli):
    assert cli("resource-servers", "rotate-secret", "Mail") == "rs_next\n"
    assert "not shown again" in cli.err


def test_scopes_need_no_sign_in(api, cli, monkeypatch):
    monkeypatch.delenv("AGENTGATE_API_KEY")
    assert "Send email as you" in cli("scopes", "list", "--category", "email")
    assert api.requests[-1].url.path == "/api/v1/scopes/email"
    assert cli.json("scopes", "list") == {"items": [SCOPE]}
    assert "does not permit  read mail" in cli("scopes", "show", "email:send")
    assert "email:send" in cli.error("scopes", "show", "email:snd")["hint"]
