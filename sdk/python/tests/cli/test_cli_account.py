"""Signing in and out, `whoami`, and the choice of the server."""

from __future__ import annotations

import json
import re
import stat

import pytest
from fake_gate import problem
from in_process import NAMED, ORGANIZATION
from typer.main import get_command

from agentgate_oauth.cli.app import app
from agentgate_oauth.cli.connection import read_secret


def test_login_stores_the_session_in_a_private_file_and_logout_ends_it(api, cli, monkeypatch, tmp_path):
    monkeypatch.delenv("AGENTGATE_API_KEY")
    output = cli("login", "--email", "ada@example.com", given="hunter22\n") + cli.err
    assert "ada@example.com" in output and "st_secret" not in output and "hunter22" not in output
    assert api.body() == {"email": "ada@example.com", "password": "hunter22"}
    kept = tmp_path / "config" / "session.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    cli("agents", "list")
    assert api.requests[-1].headers["Authorization"] == "Bearer st_secret-of-the-session"
    cli("logout")
    assert api.requests[-1].url.path.endswith("/users/logout") and not kept.exists()
    assert cli.json("logout") == {"signedOut": False}


def test_no_command_takes_a_secret_as_an_argument():
    def parameters(command):
        yield from ((command.name, one.name) for one in command.params)
        for one in getattr(command, "commands", {}).values():
            yield from parameters(one)

    known = set(parameters(get_command(app)))
    secret = re.compile("password|token|secret|code|key")
    found = {one for one in known if secret.search(one[1]) and one[1] != "keyring"}
    assert found == {("rotate", "key"), ("revoke", "key")}
    assert ("login", "email") in known


def test_secrets_are_typed_unseen(monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    asked = []
    monkeypatch.setattr(
        "typer.prompt", lambda label, **options: asked.append(options["hide_input"]) or "hunter22"
    )
    assert read_secret("Password", "AGENTGATE_PASSWORD") == "hunter22"
    assert asked == [True]


def test_login_as_json_prints_no_secret(api, cli):
    document = cli.json("login", "--email", "ada@example.com", given="hunter22")
    assert document["user"] == {"id": "usr_1", "name": "Ada", "email": "ada@example.com"}
    assert "st_secret" not in json.dumps(document)


def test_login_says_that_an_api_key_takes_precedence(api, cli, monkeypatch):
    cli("login", "--email", "ada@example.com", given="hunter22")
    assert "AGENTGATE_API_KEY is set, and takes precedence" in cli.err
    monkeypatch.delenv("AGENTGATE_API_KEY")
    cli("login", "--email", "ada@example.com", given="hunter22")
    assert cli.err == ""


def test_a_session_that_the_server_has_ended_can_be_signed_out(signed_in, cli, tmp_path):
    del signed_in.answers["POST /users/logout"]
    cli("logout", code=1)
    assert (tmp_path / "config" / "session.json").exists()
    signed_in.answers["POST /users/logout"] = problem(401, "not_authenticated")
    cli("logout")
    assert not (tmp_path / "config" / "session.json").exists()


def test_whoami_with_a_session(signed_in, cli, tmp_path):
    document = cli.json("whoami")
    assert document["url"].startswith("http://127.0.0.1:")
    assert document["developer"] == {"id": "dev_1", "name": "Ada", "email": "ada@example.com"}
    assert (document["organization"], document["role"]) == (NAMED, "owner")
    assert document["credential"] == f"session in {tmp_path / 'config' / 'session.json'}"
    assert "2099-01-01" in cli("whoami") and "Acme (org_1)" in cli.out


def test_whoami_with_an_api_key(api, cli):
    assert "API key from AGENTGATE_API_KEY" in cli("whoami") and "Acme (org_1)" in cli.out
    assert api.requests[-1].headers["X-Api-Key"] == "ag_key"
    assert cli.json("whoami")["developer"] == {"id": "dev_1"}
    api.answers["GET /organization"] = {**ORGANIZATION, "role": "developer", "memberId": None}
    document = cli.json("whoami")
    assert (document["role"], document["developer"]) == ("developer", {"id": None})
    api.answers["GET /organization"] = problem(403, "key_limited", detail="This key reaches only agt_1.")
    assert "This key reaches only agt_1." in cli("whoami") and "unknown" in cli.out


def test_a_missing_credential_names_the_login_command(api, cli, monkeypatch):
    monkeypatch.delenv("AGENTGATE_API_KEY")
    cli("agents", "list", code=1)
    assert "agentgate login" in cli.err and "http://127.0.0.1:" in cli.err
    assert cli.error("agents", "list")["code"] == "not_signed_in"


def test_a_session_is_sent_to_its_own_server_only(signed_in, cli):
    asked = len(signed_in.requests)
    cli("agents", "list", "--url", "http://localhost:1", code=1)
    assert "not to http://localhost:1" in cli.err and len(signed_in.requests) == asked


def test_an_expired_session_is_reported(signed_in, cli, tmp_path):
    file = tmp_path / "config" / "session.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "expires": "2020-01-01T00:00:00+00:00"}))
    cli("agents", "list", code=1)
    assert "expired" in cli.err


@pytest.mark.parametrize("text", ["{", "[]", '{"url": "http://localhost"}'])
def test_a_damaged_session_file_is_named(signed_in, cli, tmp_path, text):
    file = tmp_path / "config" / "session.json"
    file.write_text(text)
    cli("agents", "list", code=1)
    assert str(file) in cli.err


@pytest.mark.parametrize("change", [{"expires": "soon"}, {"expires": 5}, {"url": None}, {"token": ["a"]}])
def test_a_session_file_with_values_of_other_types_is_damaged(signed_in, cli, tmp_path, change):
    file = tmp_path / "config" / "session.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    cli("agents", "list", code=1)
    assert str(file) in cli.err


def test_a_session_file_that_others_can_read_is_refused(signed_in, cli, tmp_path):
    file = tmp_path / "config" / "session.json"
    file.chmod(0o644)
    cli("agents", "list", code=1)
    assert str(file) in cli.err and "0600" in cli.err


def test_plain_http_needs_the_option(api, cli, monkeypatch):
    remote = ("scopes", "list", "--url", "http://gate.invalid:1")
    assert "--allow-http" in cli.error(*remote, code=2)["hint"]
    assert cli.error(*remote, "--allow-http")["code"] == "connection_failed"
    monkeypatch.setenv("AGENTGATE_ALLOW_HTTP", "1")
    assert cli.error(*remote)["code"] == "connection_failed"


def test_plain_http_that_was_allowed_at_sign_in_stays_allowed(signed_in, cli, tmp_path, monkeypatch):
    file = tmp_path / "config" / "session.json"
    remote = {"url": "http://gate.invalid:1", "allow_http": True}
    file.write_text(json.dumps({**json.loads(file.read_text()), **remote}))
    monkeypatch.delenv("AGENTGATE_URL")
    assert cli.error("agents", "list")["code"] == "connection_failed"
    assert cli.error("scopes", "list", "--url", "http://other.invalid", code=2)["code"] == "insecure_url"


def test_connection_errors_name_the_url(api, cli):
    cli("agents", "list", "--url", "http://localhost:1", code=1)
    assert "http://localhost:1" in cli.err


def test_an_invalid_url_is_named(api, cli):
    error = cli.error("scopes", "list", "--url", "http://localhost:1/api/v1", code=2)
    assert error["code"] == "invalid_url" and "http://localhost:1/api/v1" in error["detail"]


def test_a_password_in_a_url_is_not_repeated(api, cli):
    cli("scopes", "list", "--url", "https://ada:hunter22@gate.example", code=2)
    assert "hunter22" not in cli.err


def test_login_sends_the_code_of_the_app_only_if_the_account_needs_one(api, cli, monkeypatch):
    monkeypatch.setenv("AGENTGATE_CODE", "123456")
    cli("login", "--email", "ada@example.com", given="hunter22")
    assert "code" not in api.body()
    api.answers["POST /users/login"] = problem(401, "second_factor_required", detail="Send the code.")
    cli("login", "--email", "ada@example.com", given="hunter22", code=1)
    assert api.body() == {"email": "ada@example.com", "password": "hunter22", "code": "123456"}


def test_login_without_a_code_says_that_one_is_needed(api, cli, monkeypatch):
    monkeypatch.delenv("AGENTGATE_CODE", raising=False)
    api.answers["POST /users/login"] = problem(401, "second_factor_required", detail="Send the code.")
    cli("login", "--email", "ada@example.com", given="hunter22", code=1)
    assert len(api.requests) == 1 and "Send the code." in cli.err
