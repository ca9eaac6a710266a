"""Every Python example of the SDK's README runs unchanged against a live server."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from agentgate_oauth import AgentGateAdmin
from agentgate_oauth.models import NewResourceServer

from tests.live.gate import Agent, Developer, Gate, Person, expect
from tests.sdk.conftest import SDK, verified

README = (SDK / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
WEB = ("fastapi", "flask", "django", "drf", "fastmcp")
CALLBACKS = ["https://yourapp.com/callback", "http://127.0.0.1/callback"]
SCOPES = ("email:read", "email:send")


def framework(example: str) -> str | None:
    """Return the integration that an example uses, None if it uses none."""
    found = re.search(r"agentgate_oauth\.integrations\.(\w+)", example)
    return found[1] if found else None


@pytest.fixture
def readers_agent(gate: Gate, developer: Developer) -> Agent:
    body = {"name": "SmartMail", "redirectUris": CALLBACKS, "allowedScopes": list(SCOPES)}
    answer = gate.post("/agents", body, **developer.headers).json()
    return Agent(answer["id"], answer["clientId"], answer["clientSecret"])


class Reader:
    """Runs the examples in order, with real credentials for the placeholders."""

    def __init__(self, gate: Gate, person: Person, agent: Agent, placeholders: dict[str, str], home: Path) -> None:
        self.gate = gate
        self.person = person
        self.agent = agent
        self.placeholders = {"https://api.agentgate.dev": gate.url, "~/.local/state": str(home), **placeholders}
        self.mails_sent = 0
        self.names: dict[str, Any] = {"__name__": "__main__", "send_email": self.send_email}

    def send_email(self) -> None:
        self.mails_sent += 1

    def run(self, example: str) -> None:
        if "auth_code" in example:
            self.names["auth_code"] = self.code()
        if "access_token" in example:
            self.names["access_token"] = self.token()
        exec(compile(self.fill(example), "README.md", "exec"), self.names)

    def fill(self, example: str) -> str:
        for placeholder, value in self.placeholders.items():
            example = example.replace(placeholder, value)
        return example

    def code(self) -> str:
        body = {"clientId": self.agent.client_id, "requestedScopes": SCOPES, "redirectUri": CALLBACKS[0]}
        return self.gate.approve(self.gate.post("/consent/initiate", body).json()["consentId"], self.person)

    def token(self) -> str:
        return str(self.gate.exchange(self.agent, self.code()).json()["accessToken"])


@pytest.fixture
def reader(
    gate: Gate,
    developer: Developer,
    person: Person,
    readers_agent: Agent,
    mail_service: NewResourceServer,
    tmp_path: Path,
) -> Reader:
    placeholders = {
        "agc_...": readers_agent.client_id,
        "ags_...": readers_agent.client_secret,
        "usr_...": person.id,
        "ag_...": developer.api_key,
        "res_...": mail_service.id,
        "rs_...": mail_service.secret,
        # An identifier can be registered only once, and the fixture has this one.
        'identifier="https://mail.example"': f'identifier="https://{person.id}.example"',
        # The audience of tokens without a resource is the server's own URL.
        'audience="https://mail.example"': f'audience="{gate.url}", organization_id="{developer.organization_id}"',
    }
    return Reader(gate, person, readers_agent, placeholders, tmp_path)


def approve(consent_url: str) -> None:
    """Approve the request at this URL as a new user, and follow the redirect."""
    server, consent_id = consent_url.split("/consent/")
    gate = Gate(server)
    answer = expect(200, gate.post(f"/consent/{consent_id}/approve", **gate.person().headers))
    httpx.get(answer["redirectUrl"]).raise_for_status()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A browser in which the user allows everything, and a secret for the web application."""
    monkeypatch.setattr("webbrowser.open", approve)
    monkeypatch.setenv("SECRET_KEY", "only for this test")


def test_the_web_application_connects_only_the_browser_that_asked(reader: Reader, gate: Gate, person: Person):
    (example,) = [example for example in EXAMPLES if "pkce_pair" in example]
    reader.run(example)
    browser, other = reader.names["app"].test_client(), reader.names["app"].test_client()

    consent_id = browser.get("/connect").location.rsplit("/", 1)[1]
    answer = expect(200, gate.post(f"/consent/{consent_id}/approve", **person.headers))
    callback = answer["redirectUrl"].removeprefix("https://yourapp.com")

    assert other.get(callback).status_code == 400
    assert browser.get(callback).text == "Connected: email:read, email:send"
    assert browser.get(callback).status_code == 400


def test_the_web_application_accepts_a_denial(reader: Reader, gate: Gate, person: Person):
    (example,) = [example for example in EXAMPLES if "pkce_pair" in example]
    reader.run(example)
    browser = reader.names["app"].test_client()
    consent_id = browser.get("/connect").location.rsplit("/", 1)[1]
    answer = expect(200, gate.post(f"/consent/{consent_id}/deny", **person.headers))
    assert browser.get(answer["redirectUrl"].removeprefix("https://yourapp.com")).text == "You denied access."


def test_the_examples_run_in_order(reader: Reader, admin: AgentGateAdmin, capsys: pytest.CaptureFixture[str]):
    for example in EXAMPLES:
        if framework(example) is None:
            reader.run(example)
    assert reader.mails_sent == 1
    names = reader.names
    assert names["result"].allowed
    assert verified(admin, names["result"].audit_id).action == "email:send"
    assert names["logs"].items
    assert names["outcome"].unknown == ("actions", "policies", "approvals")
    assert (names["decision"].allowed, names["first"].allowed, names["second"].allowed) == (True, True, True)
    printed = capsys.readouterr().out
    assert "True\n" in printed
    assert "invalid_grant" in printed


PROLOGUE = """
import sys, json
def show(response):
    print(json.dumps([response.status_code, response.json() if response.status_code == 200 else None]))
tokens = [None, sys.argv[1]]
def headers(token):
    return {"Authorization": f"Bearer {token}"} if token else {}
"""
DJANGO = """
import django
from django.conf import settings
settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF="x", REST_FRAMEWORK={"UNAUTHENTICATED_USER": None,
    "DEFAULT_AUTHENTICATION_CLASSES": []})
django.setup()
"""
DJANGO_CALL = """
from django.test import RequestFactory
class Answer:
    def __init__(self, response):
        self.status_code = response.status_code
        body = response.rendered_content if hasattr(response, "rendered_content") else response.content
        self.json = lambda: json.loads(body)
for token in tokens:
    show(Answer(VIEW(RequestFactory().post("/send", {"recipient": "a@example.com"}, headers=headers(token)))))
"""
CALLS = {
    "fastapi": """
from fastapi.testclient import TestClient
for token in tokens:
    show(TestClient(app).post("/send", json={"recipient": "a@example.com"}, headers=headers(token)))
""",
    "flask": """
import types
for token in tokens:
    answer = app.test_client().post("/send", json={"recipient": "a@example.com"}, headers=headers(token))
    show(types.SimpleNamespace(status_code=answer.status_code, json=answer.get_json))
""",
    "django": DJANGO_CALL.replace("VIEW", "send"),
    "drf": DJANGO_CALL.replace("VIEW", "Send.as_view()"),
    "fastmcp": """
from starlette.testclient import TestClient
call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "send",
    "arguments": {"recipient": "a@example.com"}}}
accept = {"Accept": "application/json, text/event-stream"}
with TestClient(mcp.http_app(stateless_http=True, json_response=True), base_url="http://127.0.0.1") as http:
    for token in tokens:
        show(http.post("/mcp", json=call, headers={**accept, **headers(token)}))
""",
}


@pytest.mark.parametrize("name", WEB)
def test_the_framework_examples_refuse_and_allow(
    name: str, reader: Reader, gate: Gate, mail_service: NewResourceServer, tmp_path: Path
):
    (example,) = [example for example in EXAMPLES if framework(example) == name]
    program = tmp_path / "example.py"
    opening = DJANGO if name in ("django", "drf") else ""
    program.write_text(PROLOGUE + opening + example + CALLS[name], encoding="utf-8")
    environment = {
        **{key: value for key, value in os.environ.items() if key != "DJANGO_SETTINGS_MODULE"},
        "PYTHONPATH": str(SDK / "src"),
        "AGENTGATE_URL": gate.url,
        "AGENTGATE_RESOURCE_SERVER_ID": mail_service.id,
        "AGENTGATE_RESOURCE_SERVER_SECRET": mail_service.secret,
    }
    ran = subprocess.run(
        [sys.executable, str(program), reader.token()], env=environment, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    refused, passed = (json.loads(line) for line in ran.stdout.splitlines())
    assert (refused[0], passed[0]) == (401, 200)
    assert f"{reader.person.id}" in json.dumps(passed[1])


def test_every_integration_has_an_example():
    assert {framework(example) for example in EXAMPLES} - {None} == set(WEB)
