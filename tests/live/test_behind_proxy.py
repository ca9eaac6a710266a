"""AgentGate with an https URL behind the proxies that `docs/deployment.md` configures."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.environment import Servers
from tests.live.gate import Gate
from tests.live.oauth.proxies import Setting
from tests.live.oauth.services import running
from tests.live.server import ROOT, START_SECONDS, LiveServer
from tests.programs import find_program
from tests.waiting import wait_until

HOST = "gate.example.com"
PAGE = ROOT / "docs" / "deployment.md"
FORGED = "192.0.2.7"


@pytest.fixture(scope="module")
def server(start_for_module: Callable[..., LiveServer]) -> LiveServer:
    """Start a server without verified addresses, so that the tests need no mail."""
    https = {"API_URL": f"https://{HOST}", "TRUSTED_PROXIES": "127.0.0.1", "REQUIRE_VERIFIED_EMAIL": "false"}
    return start_for_module(processes=1, **https)


@pytest.fixture(scope="module", params=["caddyfile", "nginx"])
def gate(request: pytest.FixtureRequest, server: LiveServer, servers: Servers) -> Iterator[Gate]:
    """Yield a client that calls the server by https through the proxy."""
    folder = servers.folder / f"tls-{request.param}-{server.port}"
    folder.mkdir(mode=0o755)
    setting = Setting(folder, gate=server.port, service=0, page=PAGE)
    command = {"caddyfile": caddy, "nginx": nginx}[request.param](setting)
    home = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    gate = Gate(f"https://127.0.0.1:{setting.port}")
    gate.http = client(gate.url)
    with running(command, home, f"http://127.0.0.1:{setting.port}/", folder / "log"):
        wait_until(lambda: has_certificate(gate), (folder / "log").read_text, START_SECONDS)
        yield gate


def has_certificate(gate: Gate) -> bool:
    """Return whether the proxy encrypts. Caddy listens before it has made its certificate."""
    try:
        gate.http.get("/health")
    except httpx.ConnectError:
        return False
    return True


def client(url: str) -> httpx.Client:
    def name_host(request: httpx.Request) -> None:
        request.extensions["sni_hostname"] = HOST

    hooks = {"request": [name_host]}
    return httpx.Client(base_url=f"{url}/api/v1", headers={"Host": HOST}, verify=False, timeout=30, event_hooks=hooks)


def caddy(setting: Setting) -> list[str]:
    block = setting.block("caddyfile").replace(f"{HOST} {{", f"https://{HOST}:{setting.port} {{\n    tls internal")
    config = setting.write("Caddyfile", f"{{\n    admin off\n    skip_install_trust\n    http_port 0\n}}\n{block}")
    return [find_program("caddy"), "run", "--config", config, "--adapter", "caddyfile"]


def nginx(setting: Setting) -> list[str]:
    key, certificate = certify(setting.folder)
    block = setting.block("nginx").replace("listen 443", f"listen 127.0.0.1:{setting.port}")
    block = block.replace("/etc/ssl/gate.pem", certificate).replace("/etc/ssl/gate.key", key)
    return setting.nginx(block)


def certify(folder: Path) -> tuple[str, str]:
    key, certificate = str(folder / "gate.key"), str(folder / "gate.pem")
    names = ["-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    os.chmod(key, 0o600)
    return key, certificate


def test_pages_and_api_respond_without_redirect_loops(gate: Gate) -> None:
    for path in ("/", "/api/v1/scopes", "/accounts/login/"):
        answer = gate.http.get(f"{gate.url}{path}")
        assert (answer.status_code, answer.headers.get("Location")) == (200, None), path
    assert "__Host-csrftoken" in answer.headers["Set-Cookie"]
    assert "max-age=" in answer.headers["Strict-Transport-Security"]


def test_forged_addresses_are_ignored_in_every_spelling(gate: Gate) -> None:
    """WSGI gives `X_Forwarded_For` and `X-Forwarded-For` the same name, and the last one is used."""
    developer, person = gate.developer(), gate.person()
    agent = gate.agent(developer)
    policy = gate.policy(developer, "ip_allowlist", cidrs=[f"{FORGED}/32"])
    body = {"token": gate.tokens(agent, person)["accessToken"], "requiredScopes": ["email:read"]}
    forged = [{spelling: FORGED} for spelling in ("X-Forwarded-For", "X_Forwarded_For", "X-Forwarded_For")]
    for headers in [{}, *forged]:
        assert gate.http.post("/tokens/verify", json=body, headers=headers).json()["allowed"] is False, headers
    rules = [{"type": "ip_allowlist", "config": {"cidrs": ["127.0.0.1/32"]}}]
    gate.call("PATCH", f"/policies/{policy}", {"rules": rules}, **developer.headers)
    for headers in [{}, *forged]:
        assert gate.http.post("/tokens/verify", json=body, headers=headers).json()["allowed"] is True, headers


@pytest.mark.parametrize("name", [HOST, "localhost"])
def test_the_proxy_does_not_open_the_metrics(gate: Gate, server: LiveServer, name: str) -> None:
    through = gate.http.get(f"{gate.url}/metrics", headers={"Host": name, "X-Forwarded-For": "127.0.0.1"})
    assert "agentgate_" not in through.text
    assert "agentgate_connections" in httpx.get(f"{server.url}/metrics").text
