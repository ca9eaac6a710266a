"""The command line, as a developer would use it on the first evening."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live.gate import PASSWORD, Developer, Gate, Person
from tests.sdk.conftest import SDK


class Terminal:
    def __init__(self, home: Path, **environment: str) -> None:
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(SDK / "src"),
            "AGENTGATE_CONFIG_DIR": str(home),
            "COLUMNS": "200",
            **environment,
        }

    def run(self, *arguments: str, given: str = "", code: int = 0) -> str:
        """Return what `agentgate` printed on both streams."""
        command = [sys.executable, "-c", "from agentgate_oauth.cli import main; main()", *arguments]
        ran = subprocess.run(
            command, env=self.environment, input=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert ran.returncode == code, ran.stdout
        return ran.stdout


@pytest.fixture
def terminal(tmp_path: Path, gate: Gate) -> Terminal:
    return Terminal(tmp_path, AGENTGATE_URL=gate.url)


def test_an_evening_at_the_terminal(
    terminal: Terminal, gate: Gate, developer: Developer, person: Person, tmp_path: Path
):
    assert "not signed in" in terminal.run("agents", "list", code=1)
    terminal.environment["AGENTGATE_PASSWORD"] = PASSWORD
    assert developer.email in terminal.run("login", "--email", developer.email)

    created = terminal.run("agents", "create", "Terminal", "--redirect-uri", "https://x/cb", "--scope", "email:send")
    secret = created.strip().splitlines()[-1]
    client_id = next(line.split()[-1] for line in created.splitlines() if line.startswith("client id"))
    assert client_id in terminal.run("agents", "list")

    body = {"clientId": client_id, "requestedScopes": ["email:send"], "redirectUri": "https://x/cb"}
    code = gate.approve(gate.post("/consent/initiate", body).json()["consentId"], person)
    answer = gate.post("/tokens/exchange", {"code": code, "clientId": client_id, "clientSecret": secret})
    token = answer.json()["accessToken"]
    assert "allowed" in terminal.run("verify", "--scope", "email:send", given=token)

    rules = [{"type": "action_blocklist", "config": {"actions": ["email:*"]}}]
    assert "Created pol_" in terminal.run(
        "policies", "create", "No mail", "-", "--agent", client_id, given=json.dumps(rules)
    )

    denied = terminal.run("verify", "--scope", "email:send", given=token, code=2)
    assert "policy_denied" in denied
    audit_id = next(line.split()[-1] for line in denied.splitlines() if line.startswith("audit id"))
    explained = terminal.run("explain", audit_id)
    assert "a policy denied it" in explained
    assert "No mail" in explained
    assert audit_id in terminal.run("log", "--outcome", "denied", "--lines", "50")

    assert "Signed out" in terminal.run("logout")
    assert not list(tmp_path.glob("session.json"))
