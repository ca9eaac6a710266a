"""A service behind a real nginx, configured as `docs/forward-auth.md` has it, protected without a line of code."""

import base64
import os
import re
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from tests.conftest import Servers
from tests.live.gate import SCOPES, Agent, Developer, Gate, Json, Person, expect
from tests.live.oauth.services import running
from tests.live.server import ROOT, LiveServer
from tests.servers import free_port

NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
pytestmark = pytest.mark.skipif(not os.access(NGINX, os.X_OK), reason="nginx is not installed")


class Echo(BaseHTTPRequestHandler):
    """The service: it answers what it was told about the caller."""

    def do_GET(self) -> None:
        self.server.seen.append(dict(self.headers))  # type: ignore[attr-defined]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"hello {self.headers['X-AgentGate-User']}".encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def service() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as service:
        service.seen = []  # type: ignore[attr-defined]
        threading.Thread(target=service.serve_forever, daemon=True).start()
        yield service
        service.shutdown()


@pytest.fixture
def resource_server(gate: Gate, developer: Developer) -> Json:
    identifier = f"https://mail-{developer.id[-8:]}.example/api"
    body = {"name": "Mail", "identifier": identifier, "scopes": list(SCOPES)}
    return expect(201, gate.post("/resource-servers", body, **developer.headers))


@pytest.fixture
def agent(gate: Gate, developer: Developer) -> Agent:
    return gate.agent(developer)


@pytest.fixture
def proxy(server: LiveServer, servers: Servers, service: ThreadingHTTPServer, resource_server: Json) -> Iterator[str]:
    """nginx in front of the service; its address."""
    port = free_port()
    folder = servers.folder / f"nginx-{port}"
    folder.mkdir(mode=0o755)
    credential = base64.b64encode(f"{resource_server['id']}:{resource_server['secret']}".encode()).decode()
    block = _documented("nginx").replace("127.0.0.1:8080", f"127.0.0.1:{port}")
    block = block.replace("127.0.0.1:8000", f"127.0.0.1:{server.port}").replace("cmVzXy4uLjpyc18uLi4=", credential)
    block = block.replace("127.0.0.1:9000", f"127.0.0.1:{service.server_port}")
    config = folder / "nginx.conf"
    config.write_text(f"{_surroundings(folder)}\nhttp {{ access_log off; {_temporary(folder)}\n{block} }}\n")
    command = [NGINX, "-p", str(folder), "-c", str(config), "-g", "daemon off;"]
    with running(command, {}, f"http://127.0.0.1:{port}/", folder / "log"):
        yield f"http://127.0.0.1:{port}/mail/inbox"


def _documented(language: str) -> str:
    text = (ROOT / "docs" / "forward-auth.md").read_text()
    found = re.search(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert found
    return found[1]


def _surroundings(folder: Path) -> str:
    user = "user root;" if os.geteuid() == 0 else ""
    return f"{user} pid {folder}/pid; error_log {folder}/error.log; events {{}}"


def _temporary(folder: Path) -> str:
    names = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    return " ".join(f"{name}_temp_path {folder}/{name};" for name in names)


def ask(proxy: str, token: str | None = None, **headers: str) -> httpx.Response:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    if token:
        given["Authorization"] = f"Bearer {token}"
    return httpx.get(proxy, headers=given, timeout=30)


def test_a_good_token_passes_and_the_service_learns_who_it_is(
    gate: Gate, agent: Agent, person: Person, proxy: str, service: ThreadingHTTPServer
) -> None:
    token = gate.tokens(agent, person)["accessToken"]
    assert ask(proxy, token, X_AgentGate_User="usr_forged").text == f"hello {person.id}"
    (seen,) = service.seen  # type: ignore[attr-defined]
    assert seen["X-AgentGate-Agent"] == agent.id
    assert seen["X-AgentGate-Decision"].startswith("log_")
    assert "Authorization" not in seen, "the service never sees the token"


def test_what_is_not_good_does_not_pass(
    gate: Gate, agent: Agent, person: Person, proxy: str, service: ThreadingHTTPServer
) -> None:
    low = gate.tokens(agent, person, ("calendar:read",))["accessToken"]
    answers = [ask(proxy), ask(proxy, "garbage"), ask(proxy, low)]
    assert [answer.status_code for answer in answers] == [401, 401, 403]
    assert answers[0].headers["WWW-Authenticate"] == 'Bearer scope="email:read"'
    assert 'error="invalid_token"' in answers[1].headers["WWW-Authenticate"]
    assert 'error="insufficient_scope", scope="email:read"' in answers[2].headers["WWW-Authenticate"]
    assert service.seen == []  # type: ignore[attr-defined]


def test_a_caller_cannot_lower_what_is_required(gate: Gate, agent: Agent, person: Person, proxy: str) -> None:
    low = gate.tokens(agent, person, ("calendar:read",))["accessToken"]
    assert ask(proxy, low, X_Required_Scopes="calendar:read").status_code == 403
    assert ask(f"{proxy}?scopes=calendar:read", low).status_code == 403


def test_a_revocation_counts_at_the_very_next_request(gate: Gate, agent: Agent, person: Person, proxy: str) -> None:
    tokens = gate.tokens(agent, person)
    assert ask(proxy, tokens["accessToken"]).status_code == 200
    gate.post(f"/users/me/consents/{tokens['consentId']}/revoke", **person.headers)
    assert ask(proxy, tokens["accessToken"]).status_code == 401


def test_a_policy_counts_behind_the_proxy_too(
    gate: Gate, developer: Developer, agent: Agent, person: Person, proxy: str
) -> None:
    gate.policy(developer, "rate_limit", maxRequests=1, windowSeconds=3600, scope="per_user")
    token = gate.tokens(agent, person)["accessToken"]
    assert [ask(proxy, token).status_code for _ in range(2)] == [200, 403]


def test_a_token_for_another_service_does_not_pass(gate: Gate, person: Person, proxy: str) -> None:
    stranger = gate.agent(gate.developer())
    assert ask(proxy, gate.tokens(stranger, person)["accessToken"]).status_code == 401


def test_without_agentgate_nothing_passes(
    servers: Servers, service: ThreadingHTTPServer, agent: Agent, gate: Gate, person: Person
) -> None:
    port, folder = free_port(), servers.folder / f"nginx-closed-{free_port()}"
    folder.mkdir(mode=0o755)
    block = _documented("nginx").replace("127.0.0.1:8080", f"127.0.0.1:{port}")
    block = block.replace("127.0.0.1:8000", f"127.0.0.1:{free_port()}")
    block = block.replace("127.0.0.1:9000", f"127.0.0.1:{service.server_port}")
    config = folder / "nginx.conf"
    config.write_text(f"{_surroundings(folder)}\nhttp {{ access_log off; {_temporary(folder)}\n{block} }}\n")
    command = [NGINX, "-p", str(folder), "-c", str(config), "-g", "daemon off;"]
    with running(command, {}, f"http://127.0.0.1:{port}/", folder / "log"):
        answer = ask(f"http://127.0.0.1:{port}/mail/inbox", gate.tokens(agent, person)["accessToken"])
    assert answer.status_code == 500
    assert service.seen == []  # type: ignore[attr-defined]
