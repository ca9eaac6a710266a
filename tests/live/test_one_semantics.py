"""The server answers alike in its event loop and by Django's views.

`tests/semantics/` compares the two in every detail, inside one process. Here they are compared in a running server. A
path with an escaped letter is the same path for Django, and none that the event loop knows.
"""

import base64
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import orjson
import pytest

from tests.live.gate import Gate, Json, expect
from tests.live.metrics import TOKEN, answered_directly
from tests.live.server import LiveServer
from tests.live.test_containers import remove_database
from tests.semantics.both import Answer, Sent, masked, parse, raw
from tests.semantics.requests import FORM, HEALTH, INTROSPECT, UNKNOWN, batch, forward, get, post, question, verify

OWN = ("id", "timestamp")
PROXY = "127.0.0.2"


class Compared:
    """Asks a server both ways."""

    def __init__(self, server: LiveServer, host: str = "localhost") -> None:
        self._server = server
        self._host = host

    def ask(self, sent: Sent, *, is_direct: bool = True) -> Answer:
        """Return the answer after checking that both are equal, and whether Django had to give both."""
        sent = sent.having(Host=self._host)
        with answered_directly(self._server, by_django=1 if is_direct else 2):
            direct, spelled = self._send(sent), self._send(replace(sent, target=sent.target.replace("a", "%61", 1)))
        assert direct == spelled, f"{sent}\nevent loop: {direct}\nDjango:     {spelled}"
        return direct

    def _send(self, sent: Sent) -> Answer:
        with socket.create_connection(("127.0.0.1", self._server.port), 30, source_address=(sent.peer, 0)) as client:
            client.sendall(raw(sent))
            return masked(parse(b"".join(iter(lambda: client.recv(65536), b"")), sent.method))


@dataclass
class Scene:
    gate: Gate
    server: LiveServer
    compared: Compared
    developer: Any
    token: str
    caller: str


@pytest.fixture
def scene(start_server: Callable[..., LiveServer]) -> Scene:
    server = start_server(processes=1, METRICS_TOKEN=TOKEN)
    gate = Gate(server.url)
    developer = gate.developer()
    token = gate.tokens(gate.agent(developer), gate.person())["accessToken"]
    body = {"name": "Mail", "identifier": "https://mail.example", "scopes": ["email:read"]}
    service = expect(201, gate.post("/resource-servers", body, **developer.headers))
    caller = "Basic " + base64.b64encode(f"{service['id']}:{service['secret']}".encode()).decode()
    server.restart()  # so that the process has read the token's key
    return Scene(gate, server, Compared(server), developer, token, caller)


def last_two(scene: Scene) -> list[Json]:
    """Return the newest two entries of the log without what is their own."""
    entries = scene.gate.entries(scene.developer, event="token.verify")
    return [{name: value for name, value in next(entries).items() if name not in OWN} for _ in range(2)]


def test_decisions(scene: Scene) -> None:
    ask = scene.compared.ask
    details = {"action": "email:read", "context": {"ip": "192.0.2.9", "amount": 3}}
    for caller in ("", scene.caller):
        assert ask(verify(scene.token, caller=caller, **details)).json["allowed"] is True
        first, second = last_two(scene)
        assert first == second
        assert first["outcome"] == "allowed"
        assert ask(verify(scene.token, "email:send", "no:scope", caller=caller)).json["reason"] == "insufficient_scope"
        first, second = last_two(scene)
        assert first == second
        assert ask(verify(UNKNOWN, caller=caller)).json["reason"] == "invalid_token"
        assert len(ask(batch(question(scene.token), question(UNKNOWN), caller=caller)).json["decisions"]) == 2
        assert ask(forward(scene.token, caller=caller)).header("X-AgentGate-Decision") == "log_*"
        assert ask(forward(UNKNOWN, method="HEAD", caller=caller)).status == 401
    scene.gate.policy(scene.developer, "action_blocklist", actions=["email:*"])
    assert ask(verify(scene.token, **details)).json["reason"] == "policy_denied"
    assert ask(forward(scene.token, "?scopes=email:read&action=email:read")).status == 403


def test_introspection_and_health(scene: Scene) -> None:
    form = f"token={scene.token}".encode()
    sent = post(INTROSPECT, form, FORM, Authorization=scene.caller)
    assert scene.compared.ask(sent).json["active"] is True
    expect(200, scene.gate.post("/tokens/revoke", {"token": scene.token}))
    assert scene.compared.ask(sent).json == {"active": False}
    assert scene.compared.ask(get(HEALTH)).json["status"] == "ok"


def test_refusals(scene: Scene) -> None:
    wrong = scene.caller[:-8] + "AAAAAAA="
    refusals = {
        400: post("/api/v1/tokens/verify", b'{"token": "a", "token": "b"}'),
        401: verify(scene.token, caller=wrong),
        403: forward(scene.token, caller=wrong),
        405: get("/api/v1/tokens/verify"),
        415: post("/api/v1/tokens/verify", b"{}", "text/plain"),
    }
    for status, sent in refusals.items():
        assert scene.compared.ask(sent, is_direct=False).status == status
    foreign = Compared(scene.server, host="evil.example")
    assert foreign.ask(verify(UNKNOWN), is_direct=False).status == 400


def test_a_missing_database(scene: Scene, servers: Any) -> None:
    remove_database(scene.server.database, servers)
    for sent in (get(HEALTH), verify(scene.token), forward(scene.token), batch(question(scene.token))):
        answer = scene.compared.ask(sent)
        assert (answer.status, answer.header("Retry-After")) == (503, "1"), sent
    answer = scene.compared.ask(post(INTROSPECT, b"token=" + scene.token.encode(), FORM, Authorization=scene.caller))
    assert (answer.status, answer.json["error"]) == (503, "temporarily_unavailable")


def test_https_behind_a_trusted_proxy(start_server: Callable[..., LiveServer]) -> None:
    https = {"API_URL": "https://gate.example.com", "TRUSTED_PROXIES": PROXY}
    compared = Compared(start_server(processes=1, METRICS_TOKEN=TOKEN, **https), host="gate.example.com")
    for sent in (verify(UNKNOWN), forward(UNKNOWN), get(HEALTH)):
        secure = sent.having(X_Forwarded_Proto="https", X_Forwarded_For="203.0.113.9")
        answer = compared.ask(secure.at(PROXY))
        assert "max-age" in answer.header("Strict-Transport-Security")
        assert answer.status in (200, 401)
        for plain in (secure, sent.at(PROXY)):
            assert compared.ask(plain, is_direct=False).status == (200 if sent.target == HEALTH else 301)
    assert orjson.loads(compared.ask(get(HEALTH).having(X_Forwarded_Proto="https").at(PROXY)).body)["status"] == "ok"
