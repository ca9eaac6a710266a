"""The code on the page of a resource server, run as it stands there against a running server."""

import json
import subprocess
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.http import HttpResponse
from django.test import RequestFactory

from resources.models import ResourceServer
from tests.live.gate import Gate, Person, expect
from tests.live.oauth.door import Door, decide, query_of
from tests.live.server import ROOT, LiveServer
from web.portal.services.snippets import KINDS, metadata_url, snippet

IDENTIFIER = "https://tickets.example/it's?a=1"
NAME = "Tickets </pre> \U0001f600"
SCOPE = "snippets:read"
SCOPES = ["email:read", SCOPE]
OVER_MCP = "https://tickets.example/tools/v2"
WRONG = "garbage"


Registered = tuple[ResourceServer, str, str]
Register = Callable[[str], Registered]


@pytest.fixture(scope="module")
def register(server: LiveServer) -> Register:
    """Register a resource server. Return it as the page has it, its secret, and a token for it."""
    gate = Gate(server.url)
    developer, person = gate.developer(), gate.person()
    scope = {"id": SCOPE, "riskLevel": "low", "title": "Read", "description": "See", "cannot": "change"}

    def register(identifier: str) -> Registered:
        body = {"name": NAME, "identifier": identifier, "scopes": ["email:read", scope]}
        answer = expect(201, gate.post("/resource-servers", body, **developer.headers))
        row = ResourceServer(id=answer["id"], name=NAME, identifier=answer["identifier"], scopes=SCOPES)
        token = _token(gate, Door(gate, gate.agent(developer, (SCOPE,))), person, row.identifier)
        return row, answer["secret"], token

    return register


@pytest.fixture(scope="module")
def registered(register: Register) -> Registered:
    return register(IDENTIFIER)


def _token(gate: Gate, door: Door, person: Person, resource: str) -> str:
    url = door.authorization_url(scope=SCOPE, resource=resource)
    return str(expect(200, door.redeem(query_of(decide(gate, person, url))["code"]))["access_token"])


@pytest.fixture
def code(registered: Any, server: LiveServer, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Return the code of each kind, for the running server, and set the variable that it reads."""
    settings.API_URL = server.url
    monkeypatch.setenv("AGENTGATE_RESOURCE_SERVER_SECRET", registered[1])
    monkeypatch.syspath_prepend(ROOT / "sdk" / "python" / "src")
    return lambda kind: snippet(registered[0], kind).text


def run(text: str, name: str) -> dict[str, Any]:
    module = ModuleType(name)
    sys.modules[name] = module  # FastAPI looks up annotations in it
    exec(compile(text, name, "exec"), module.__dict__)
    return module.__dict__


def _use_defaults_of_drf(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set what a service without settings of its own has. The class keeps AgentGate's if it was imported before."""
    from rest_framework.settings import api_settings
    from rest_framework.views import APIView

    settings.REST_FRAMEWORK = {}
    for name in ("authentication", "parser", "permission", "renderer", "throttle"):
        classes = getattr(api_settings, f"DEFAULT_{name.upper()}_CLASSES")
        monkeypatch.setattr(APIView, f"{name}_classes", classes)


def _with_settings(text: str, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Run the settings and then the views of a snippet, and return its view."""
    from agentgate_oauth.integrations.django import _settings_guard

    first, _, second = text.partition("# views.py\n")
    _use_defaults_of_drf(settings, monkeypatch)
    settings.AGENTGATE = run(first, "snippet_settings")["AGENTGATE"]
    _settings_guard.cache_clear()
    found = run(second, "snippet_views")
    return found.get("protected") or found["Protected"].as_view()


def django_answer(view: Any, headers: dict[str, str]) -> tuple[int, Any, str]:
    answer: HttpResponse = view(RequestFactory().get("/", headers=headers))
    rendered: Any = answer.render() if hasattr(answer, "render") else answer
    return answer.status_code, json.loads(rendered.content), answer.headers.get("WWW-Authenticate", "")


def fastapi_answer(app: Any, headers: dict[str, str]) -> tuple[int, Any, str]:
    from starlette.testclient import TestClient

    answer = TestClient(app).get("/protected", headers=headers)
    return answer.status_code, answer.json(), answer.headers.get("WWW-Authenticate", "")


def flask_answer(app: Any, headers: dict[str, str]) -> tuple[int, Any, str]:
    answer = app.test_client().get("/protected", headers=headers)
    return answer.status_code, answer.get_json(), answer.headers.get("WWW-Authenticate", "")


@pytest.mark.parametrize("kind", ["django", "drf", "fastapi", "flask"])
def test_the_code_of_a_framework_lets_only_good_tokens_through(
    registered: Any, code: Callable[[str], str], settings: Any, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    pytest.importorskip({"drf": "rest_framework"}.get(kind, kind))
    text, ask = code(kind), {"fastapi": fastapi_answer, "flask": flask_answer}.get(kind, django_answer)
    if kind in ("fastapi", "flask"):
        app = run(text, f"snippet_{kind}")["app"]
    else:
        app = _with_settings(text, settings, monkeypatch)
    status, _, challenge = ask(app, {})
    assert (status, SCOPE in challenge, metadata_url(registered[0]) in challenge) == (401, True, True)
    assert ask(app, {"Authorization": f"Bearer {WRONG}"})[0] == 401
    status, answer, _ = ask(app, {"Authorization": f"Bearer {registered[2]}"})
    assert (status, answer["user"][:4]) == (200, "usr_")


@pytest.mark.usefixtures("code")
def test_the_code_of_fastmcp_lets_only_good_tokens_through(register: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    fastmcp = pytest.importorskip("fastmcp")
    from starlette.testclient import TestClient

    server, secret, token = register(OVER_MCP)
    monkeypatch.setenv("AGENTGATE_RESOURCE_SERVER_SECRET", secret)
    monkeypatch.setattr(fastmcp.settings, "stateless_http", True)
    monkeypatch.setattr(fastmcp.settings, "json_response", True)
    app = run(snippet(server, "fastmcp").text, "snippet_fastmcp")["app"]
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "protected", "arguments": {}}}
    headers = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-06-18"}
    with TestClient(app, base_url="http://127.0.0.1") as client:
        refused = client.post("/tools/v2", json=call, headers=headers)
        assert (refused.status_code, metadata_url(server) in refused.headers["WWW-Authenticate"]) == (401, True)
        document = client.get(urlsplit(metadata_url(server)).path).json()
        assert (document["resource"], document["scopes_supported"]) == (OVER_MCP, SCOPES)
        wrong = client.post("/tools/v2", json=call, headers={**headers, "Authorization": f"Bearer {WRONG}"})
        assert wrong.status_code == 401
        answer = client.post("/tools/v2", json=call, headers={**headers, "Authorization": f"Bearer {token}"})
    assert answer.json()["result"]["content"][0]["text"].startswith("Called for usr_"), answer.text


@pytest.mark.parametrize(("kind", "field"), [("verify", "allowed"), ("introspect", "active")])
def test_the_commands_answer(
    registered: Any, code: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, kind: str, field: str
) -> None:
    for token, expected in ((registered[2], True), (WRONG, False)):
        monkeypatch.setenv("TOKEN", token)
        ran = subprocess.run(["sh", "-c", code(kind)], capture_output=True, text=True, check=True, timeout=60)
        assert json.loads(ran.stdout)[field] is expected, ran.stdout


def test_the_metadata_names_the_service_and_the_server(
    registered: Any, code: Callable[[str], str], server: LiveServer
) -> None:
    document = json.loads(code("metadata"))
    assert document["resource"] == registered[0].identifier
    assert document["authorization_servers"] == [f"{server.url}/oauth"]
    assert document["scopes_supported"] == SCOPES
    assert metadata_url(registered[0]) == "https://tickets.example/.well-known/oauth-protected-resource/it's?a=1"


def test_every_kind_is_run() -> None:
    assert {"django", "drf", "fastapi", "flask", "fastmcp", "verify", "introspect", "metadata"} == set(KINDS)
