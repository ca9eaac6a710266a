"""The command line against an AgentGate on a socket: what it sends, what it prints, what it keeps."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fake_gate import problem
from served import served
from test_admin import AGENT
from typer.testing import CliRunner

from agentgate_oauth.cli import app as cli_app
from agentgate_oauth.cli import main

SESSION = {
    "id": "dev_1",
    "name": "Ada",
    "email": "ada@example.com",
    "sessionToken": "st_secret",
    "expiresAt": "2099-01-01T00:00:00Z",
}
DENIAL = {
    "id": "log_2",
    "timestamp": "2026-11-24T16:00:00Z",
    "event": "token.verify",
    "outcome": "denied",
    "reason": "policy_denied",
    "policyId": "pol_1",
    "agentId": "agt_1",
    "userId": "usr_1",
    "scopes": ["email:send"],
}
POLICY = {
    "id": "pol_1",
    "name": "Office [bold]hours",
    "description": None,
    "agentId": None,
    "enabled": True,
    "rules": [{"type": "action_blocklist", "config": {"actions": ["email:send"]}}],
    "createdAt": "2026-11-24T16:00:00Z",
    "updatedAt": "2026-11-24T16:00:00Z",
}


class Api:
    """Answers by method and path; keeps the requests."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.answers: dict[str, Any] = {
            "POST /developers/login": SESSION,
            "POST /developers/logout": {},
            "GET /agents": {"items": [AGENT], "nextCursor": None},
            "POST /agents": {**AGENT, "clientSecret": "ags_secret"},
            "POST /agents/agt_1/rotate-secret": {"clientId": "agc_1", "clientSecret": "ags_next"},
            "PATCH /agents/agt_1": {**AGENT, "status": "suspended"},
            "GET /policies": {"items": [POLICY], "nextCursor": None},
            "GET /policies/pol_1": POLICY,
            "POST /policies": POLICY,
            "PATCH /policies/pol_1": {**POLICY, "enabled": False},
            "DELETE /policies/pol_1": None,
            "GET /audit": {"items": [DENIAL], "nextCursor": None},
            "POST /tokens/verify": {"allowed": True, "userId": "usr_1"},
        }

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.get(f"{request.method} {request.url.path.removeprefix('/api/v1')}", ...)
        if answer is ...:
            return problem(404, "not_found")
        return httpx.Response(204) if answer is None else httpx.Response(200, json=answer)

    def body(self) -> Any:
        return json.loads(self.requests[-1].content)


@pytest.fixture
def api(monkeypatch, tmp_path) -> Iterator[Api]:
    fake = Api()
    with served(fake) as url:
        monkeypatch.setenv("AGENTGATE_URL", url)
        monkeypatch.setenv("AGENTGATE_CONFIG_DIR", str(tmp_path / "config"))
        monkeypatch.setenv("AGENTGATE_API_KEY", "ag_key")
        monkeypatch.setenv("COLUMNS", "200")
        yield fake


def agentgate(*arguments: str, given: str | None = None, code: int = 0) -> str:
    result = CliRunner().invoke(cli_app.app, arguments, input=given)
    assert result.exit_code == code, result.output + repr(result.exception)
    return result.output


def test_login_keeps_the_session_privately_and_logout_ends_it(api, monkeypatch, tmp_path):
    monkeypatch.delenv("AGENTGATE_API_KEY")
    output = agentgate("login", "--email", "ada@example.com", given="hunter22\n")
    assert "ada@example.com" in output and "st_secret" not in output and "hunter22" not in output
    kept = tmp_path / "config" / "session.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    agentgate("agents", "list")
    assert api.requests[-1].headers["Authorization"] == "Bearer st_secret"
    agentgate("logout")
    assert api.requests[-1].url.path.endswith("/developers/logout") and not kept.exists()


def test_without_a_credential_it_says_what_to_do(api, monkeypatch, capsys):
    monkeypatch.delenv("AGENTGATE_API_KEY")
    monkeypatch.setattr(sys, "argv", ["agentgate", "agents", "list"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1 and "agentgate login" in capsys.readouterr().err


def test_refusals_are_one_line_and_not_a_traceback(api, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["agentgate", "agents", "show", "agt_9"])
    with pytest.raises(SystemExit):
        main()
    errors = capsys.readouterr().err
    assert "404 not_found" in errors and "Traceback" not in errors


def test_an_administrator_s_stop_is_shown(api):
    stop = {"at": "2026-11-25T01:39:00Z", "reason": "Spam."}
    api.answers["PATCH /agents/agt_1"] = {**AGENT, "stop": stop}
    shown = " ".join(agentgate("agents", "activate", "agt_1").split())
    assert "active, but stopped by an administrator on 2026-11-25 01:39 UTC: Spam." in shown


def test_agents(api):
    assert "agc_1" in agentgate("agents", "list")
    created = agentgate("agents", "create", "Mail", "--redirect-uri", "https://x/cb", "--scope", "email:read")
    assert "ags_secret" in created
    assert api.body() == {"name": "Mail", "redirectUris": ["https://x/cb"], "allowedScopes": ["email:read"]}
    assert "suspended" in agentgate("agents", "suspend", "agt_1")
    assert api.body() == {"status": "suspended"}
    assert "ags_next" in agentgate("agents", "rotate-secret", "agt_1", "--overlap-seconds", "3600")
    assert api.body() == {"overlapSeconds": 3600}


def test_policies(api):
    assert "Office [bold]hours" in agentgate("policies", "list")
    assert "action_blocklist" in agentgate("policies", "show", "pol_1")
    rule = {"type": "action_allowlist", "config": {"actions": ["email:read"]}}
    assert "pol_1" in agentgate("policies", "create", "Only reading", "-", given=json.dumps([rule]))
    assert api.body() == {"name": "Only reading", "rules": [rule]}
    assert "is off" in agentgate("policies", "disable", "pol_1")
    assert api.body() == {"enabled": False}
    agentgate("policies", "delete", "pol_1")
    assert api.requests[-1].method == "DELETE"


def test_the_log_prints_oldest_first(api):
    older = {**DENIAL, "id": "log_1", "outcome": "allowed", "reason": None}
    api.answers["GET /audit"] = {"items": [DENIAL, older], "nextCursor": None}
    lines = agentgate("log", "--outcome", "denied").strip().splitlines()
    assert [line.split()[-1] for line in lines] == ["log_1", "log_2"]
    assert api.requests[-1].url.params["outcome"] == "denied"


def test_following_prints_what_is_new_once(api, monkeypatch):
    looks: list[Callable[[], None]] = [
        lambda: api.answers.update({"GET /audit": page({**DENIAL, "id": "log_3"}, DENIAL)}),
        lambda: None,
    ]

    def sleep(_: float) -> None:
        if not looks:
            raise KeyboardInterrupt
        looks.pop(0)()

    monkeypatch.setattr("agentgate_oauth.cli.log.time.sleep", sleep)
    output = agentgate("log", "--follow", code=130)
    assert output.count("log_2") == 1 and output.count("log_3") == 1


def page(*items: dict[str, Any]) -> dict[str, Any]:
    return {"items": list(items), "nextCursor": None}


def test_explain_names_the_reason_the_policy_and_what_helps(api):
    text = agentgate("explain")
    assert "agt_1 was denied email:send, because a policy denied it." in text
    assert "Office [bold]hours" in text and "action_blocklist" in text and "Change the policy" in text
    assert "no such denial" in str(invoke_failing("explain", "log_9"))


def invoke_failing(*arguments: str) -> BaseException | None:
    return CliRunner().invoke(cli_app.app, arguments).exception


def test_verify_reads_the_token_from_standard_input_and_exits_by_the_decision(api):
    assert "allowed" in agentgate("verify", "--scope", "email:send", "--ip", "10.0.0.1", given="token\n")
    assert api.body() == {"token": "token", "requiredScopes": ["email:send"], "context": {"ip": "10.0.0.1"}}
    api.answers["POST /tokens/verify"] = {
        "allowed": False,
        "reason": "insufficient_scope",
        "missingScopes": ["email:send"],
        "auditId": "log_2",
    }
    output = agentgate("verify", "--scope", "email:send", given="token\n", code=2)
    assert "insufficient_scope" in output and "agentgate explain log_2" in output


def test_without_the_extra_it_names_the_extra(tmp_path):
    program = "import sys; sys.modules['typer'] = None; from agentgate_oauth.cli import main; main()"
    source = str(Path(__file__).parent.parent / "src")
    result = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": source}, capture_output=True, text=True
    )
    assert (
        result.returncode == 1
        and "agentgate-oauth[cli]" in result.stderr
        and "Traceback" not in result.stderr
    )
