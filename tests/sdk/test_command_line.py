"""The command line against a running server."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.live.gate import CALLBACK, PASSWORD, Agent, Developer, Gate, Person
from tests.live.outside import audit
from tests.sdk.conftest import SDK
from tests.sdk.terminal import Terminal
from tests.waiting import wait_until

README = (SDK / "README.md").read_text(encoding="utf-8")
WITHIN = {"field": "recipient", "operator": "ends_with", "value": "@acme.example"}
AGENT = ("--redirect-uri", CALLBACK, "--scope", "email:send")


@pytest.fixture
def own(gate: Gate) -> Developer:
    """A developer with an empty organization."""
    return gate.developer()


@pytest.fixture
def terminal(tmp_path: Path, gate: Gate, own: Developer) -> Terminal:
    return Terminal(tmp_path, AGENTGATE_URL=gate.url, AGENTGATE_API_KEY=own.api_key)


def make_agent(terminal: Terminal, name: str) -> Agent:
    made = terminal.json("agents", "create", name, *AGENT)
    return Agent(made["id"], made["clientId"], made["clientSecret"])


def test_a_session_at_the_terminal(
    terminal: Terminal, gate: Gate, own: Developer, person: Person, tmp_path: Path
) -> None:
    del terminal.environment["AGENTGATE_API_KEY"]
    assert "not signed in" in terminal.run("agents", "list", code=1)
    terminal.environment["AGENTGATE_PASSWORD"] = PASSWORD
    assert own.email in terminal.run("login", "--email", own.email)
    assert own.id in terminal.run("whoami")

    agent = make_agent(terminal, "Terminal")
    assert agent.client_id in terminal.run("agents", "list")
    token = gate.tokens(agent, person, ("email:send",))["accessToken"]
    assert "allowed" in terminal.run("verify", "--scope", "email:send", given=token)

    rules = [{"type": "action_blocklist", "config": {"actions": ["email:*"]}}]
    created = terminal.run("policies", "create", "No mail", "-", "--agent", "Terminal", given=json.dumps(rules))
    assert "Created pol_" in created
    denied = terminal.run("verify", "--scope", "email:send", given=token, code=1)
    assert "policy_denied" in denied
    audit_id = next(line.split()[-1] for line in denied.splitlines() if line.startswith("audit id"))
    explained = terminal.run("explain", audit_id)
    assert "The agent Terminal" in explained
    assert "The policy “No mail”" in explained
    assert "never email:*" in explained
    assert audit_id in terminal.run("log", "--outcome", "denied", "--lines", "50")

    assert "Signed out" in terminal.run("logout")
    assert not list(tmp_path.rglob("session.json"))


def test_explain_names_the_replay_that_ended_the_family(terminal: Terminal, gate: Gate, person: Person) -> None:
    agent = make_agent(terminal, "Replayer")
    tokens = gate.tokens(agent, person, ("email:send",))
    other = gate.tokens(agent, person, ("email:send",))
    assert gate.refresh(agent, tokens["refreshToken"]).status_code == 200
    assert gate.refresh(agent, tokens["refreshToken"]).status_code == 400
    assert gate.post("/tokens/revoke", {"token": other["refreshToken"]}).status_code == 200
    decision = terminal.json("verify", "--scope", "email:send", given=tokens["accessToken"], code=1)
    assert decision["reason"] == "token_revoked"
    explained = terminal.json("explain", decision["auditId"])
    assert explained["cause"]["event"] == "token.replayed"
    assert "A refresh token was used a second time" in " ".join(explained["explanation"]["sentences"])


def test_whoami_and_rotation_work_with_an_api_key(terminal: Terminal, own: Developer) -> None:
    assert terminal.json("whoami")["developer"] == {"id": own.id}
    assert terminal.json("keys", "rotate", code=2)["code"] == "confirmation_required"
    terminal.environment["AGENTGATE_API_KEY"] = terminal.json("keys", "rotate", "--yes")["apiKey"]
    assert terminal.json("whoami")["developer"] == {"id": own.id}
    terminal.environment["AGENTGATE_API_KEY"] = own.api_key
    assert terminal.json("whoami", code=1)["code"] == "not_authenticated"


def test_verify_uses_the_secret_of_a_resource_server(
    terminal: Terminal, gate: Gate, own: Developer, person: Person
) -> None:
    identifier = f"https://{own.id}.example"
    made = terminal.json("resource-servers", "create", "Mail", identifier, "--scope", "email:send")
    assert made["identifier"] == identifier
    rotated = terminal.json("resource-servers", "rotate-secret", "mail")
    terminal.run("resource-servers", "scopes", identifier, "--add", "email:read")
    assert terminal.json("resource-servers", "show", "Mail")["scopes"] == ["email:send", "email:read"]
    token = gate.tokens(make_agent(terminal, "Caller"), person, ("email:send",))["accessToken"]
    terminal.environment["AGENTGATE_RESOURCE_SERVER_ID"] = made["id"]
    terminal.environment["AGENTGATE_RESOURCE_SERVER_SECRET"] = rotated["secret"]
    assert terminal.json("verify", "--scope", "email:send", given=token)["allowed"]
    terminal.environment["AGENTGATE_RESOURCE_SERVER_SECRET"] = made["secret"]
    assert terminal.json("verify", "--scope", "email:send", given=token, code=1)["code"] == "not_authenticated"
    assert terminal.json("resource-servers", "delete", "Mail", "--yes")["deleted"]


def test_a_shadow_policy_is_tried_enforced_and_deleted(terminal: Terminal, gate: Gate, person: Person) -> None:
    agent = make_agent(terminal, "Writer")
    token = gate.tokens(agent, person, ("email:send",))["accessToken"]
    named = f"Writer ({agent.id})"
    rule = {"type": "context_match", "config": {"conditions": [WITHIN]}}
    create = ("policies", "create", "Within", "-", "--agent", "Writer", "--mode", "shadow")
    assert "mode shadow" in terminal.run(*create, given=json.dumps(rule))
    shown = terminal.run("policies", "list")
    assert named in shown
    assert "shadow" in shown

    ask = ("verify", "--scope", "email:send", "--context", '{"recipient": "eve@evil.example"}')
    assert named in terminal.run(*ask, given=token)
    shadowed = terminal.run("log", "--event", "policy.shadowed")
    assert "Within (pol_" in shadowed
    assert named in shadowed
    assert "would have denied it" in terminal.run("explain", shadowed.split()[-1])

    simulate = ("policies", "simulate", "Within", "--agent", "Writer", "--scope", "email:send", "--context")
    assert terminal.run(*simulate, '{"recipient": "eve@evil.example"}', code=1).startswith("denied\n")
    assert terminal.run(*simulate, '{"recipient": "ada@acme.example"}').startswith("passed\n")
    never = json.dumps({"type": "action_blocklist", "config": {"actions": ["email:*"]}})
    replay = ("policies", "replay", "Within", "--rules", "-")
    # A replay does not include the last seconds.
    wait_until(lambda: "newly denied   1" in terminal.run(*replay, given=never), seconds=10, pause=1)
    assert named in terminal.run(*replay, given=never)

    assert terminal.json("policies", "update", "Within", "--mode", "enforce")["mode"] == "enforce"
    assert "Within (pol_" in terminal.run(*ask, given=token, code=1)
    assert "add --yes" in terminal.run("policies", "delete", "Within", code=2)
    assert "Deleted Within" in terminal.run("policies", "delete", "Within", "--yes")


def test_keys_are_created_used_rotated_and_revoked(terminal: Terminal) -> None:
    created = terminal.json("keys", "create", "laptop")
    assert f"laptop  {created['hint']}" in terminal.run("keys", "list")
    first = terminal.environment["AGENTGATE_API_KEY"]
    terminal.environment["AGENTGATE_API_KEY"] = terminal.json("keys", "rotate", "laptop")["apiKey"]
    terminal.run("whoami")
    terminal.environment["AGENTGATE_API_KEY"] = first
    assert terminal.json("keys", "revoke", "laptop", "--yes")["deleted"]
    assert [key["name"] for key in terminal.json("keys", "list")["items"]] == [""]


def test_an_export_holds_before_agentgate_audit(terminal: Terminal, gate: Gate, tmp_path: Path) -> None:
    terminal.json("agents", "list")
    assert "agentgate-audit verify log.jsonl" in terminal.run("log", "export", "log.jsonl")
    key = gate.get("/audit/key").text
    (tmp_path / "gate.key").write_text(key, encoding="utf-8")
    status, printed = audit("verify", tmp_path / "log.jsonl", "--key", tmp_path / "gate.key")
    assert (status, "Everything holds." in printed) == (0, True), printed
    assert "log.jsonl exists" in terminal.run("log", "export", "log.jsonl", code=2)


def test_a_key_of_the_organization_has_its_own_role(terminal: Terminal, gate: Gate) -> None:
    created = terminal.json("keys", "create", "siem", "--role", "auditor", "--for-organization")
    terminal.environment["AGENTGATE_API_KEY"] = created["apiKey"]
    shown = terminal.json("whoami")
    assert (shown["role"], shown["developer"], shown["organization"]["name"]) == ("auditor", {"id": None}, "Acme")
    assert terminal.json("agents", "create", "x", *AGENT, code=1)["code"] == "role_insufficient"


def test_a_limited_key_names_what_it_reaches(terminal: Terminal) -> None:
    agent = make_agent(terminal, "Limited")
    created = terminal.json("keys", "create", "pipeline", "--agent", "Limited")
    terminal.environment["AGENTGATE_API_KEY"] = created["apiKey"]
    assert agent.id in terminal.run("whoami")
    assert terminal.json("policies", "list", code=1)["code"] == "key_limited"
    assert terminal.json("agents", "rotate-secret", "Limited")["clientSecret"]


def test_two_agents_with_the_same_name_are_distinguished_by_id(terminal: Terminal) -> None:
    ids = {make_agent(terminal, "Twin").id for _ in range(2)}
    refused = terminal.json("agents", "suspend", "Twin", code=2)
    assert {candidate["id"] for candidate in refused["candidates"]} == ids
    assert terminal.json("agents", "suspend", ids.pop())["status"] == "suspended"


def test_the_commands_of_the_readme_run_in_order(
    terminal: Terminal, gate: Gate, own: Developer, person: Person, tmp_path: Path
) -> None:
    token = gate.tokens(make_agent(terminal, "Earlier"), person, ("email:send",))["accessToken"]
    terminal.run("verify", "--scope", "email:read", given=token, code=1)
    (tmp_path / "token").write_text(token, encoding="utf-8")
    del terminal.environment["AGENTGATE_API_KEY"]
    terminal.environment["AGENTGATE_PASSWORD"] = PASSWORD
    block = readers_commands(gate, own)
    (makes_rules,) = re.findall(r"^echo .*?> rules\.json$", block, re.MULTILINE | re.DOTALL)
    subprocess.run(["sh", "-euc", makes_rules], cwd=tmp_path, check=True)
    commands = re.findall(r"^agentgate .*$", block, re.MULTILINE)
    assert len(commands) + len(makes_rules.splitlines()) == len(block.splitlines())
    printed = "".join(map(terminal.type, commands))
    assert "had not granted email:read" in printed
    assert "paused" in printed
    assert printed.endswith("Signed out.\n")


def readers_commands(gate: Gate, own: Developer) -> str:
    """Return the README's commands with this server's values for the placeholders."""
    section = README.split("## The command line")[1]
    block = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert block is not None
    places = {"https://api.agentgate.dev": gate.url, "dev@example.com": own.email, "mail.example": f"{own.id}.example"}
    commands = block[1]
    for place, value in places.items():
        commands = commands.replace(place, value)
    return commands
