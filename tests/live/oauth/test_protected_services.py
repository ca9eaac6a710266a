"""The services of the Django and FastAPI pages, run as they stand there. Their agents run in `test_guides.py`."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.environment import Servers
from tests.live.gate import TLS, Developer, Gate, Json, Person, expect
from tests.live.oauth.door import Door, decide, query_of
from tests.live.oauth.services import code_on, register, running
from tests.live.server import ROOT, LiveServer
from tests.servers import free_port

PAGES = ("protect-django.md", "protect-fastapi.md")
SDK = ROOT / "sdk" / "python" / "src"


@pytest.fixture(scope="module", params=PAGES)
def service(request: pytest.FixtureRequest, server: LiveServer, servers: Servers) -> Iterator[tuple[str, Developer]]:
    """A page's service; its address, and the developer it belongs to."""
    gate = Gate(server.url)
    developer, port = gate.developer(), free_port()
    url = f"http://127.0.0.1:{port}"
    # A prefix belongs to one organization, and each page has one of its own.
    prefix = Path(request.param).stem
    registered = register(gate, developer, request.param, url, prefix)
    script = servers.folder / f"{prefix}-{port}.py"
    script.write_text(code_on(request.param).replace("tickets:", f"{prefix}:"))
    environment = {**registered, "PORT": str(port), "PYTHONPATH": str(SDK)}
    with running([sys.executable, str(script)], environment, url, script.with_suffix(".log")):
        yield url, developer


class Caller:
    """An agent of the service's organization with a person's consent."""

    def __init__(self, gate: Gate, service: tuple[str, Developer], person: Person, page: str) -> None:
        self.url, developer = service
        self.gate, self.prefix = gate, page
        self.read, self.close = f"{page}:read", f"{page}:close"
        self.door = Door(gate, gate.agent(developer, (self.read, self.close)))
        self.person = person

    def token(self, *scopes: str, **changes: str) -> str:
        url = self.door.authorization_url(scope=" ".join(scopes), resource=self.url, **changes)
        code = query_of(decide(self.gate, self.person, url))["code"]
        return str(expect(200, self.door.redeem(code))["access_token"])

    def get(self, path: str, token: str | None = None, method: str = "GET") -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.request(method, f"{self.url}{path}", headers=headers, timeout=30, verify=TLS)

    def post(self, path: str, token: str) -> httpx.Response:
        return self.get(path, token, "POST")


@pytest.fixture
def page(request: pytest.FixtureRequest) -> str:
    return str(request.node.callspec.params["service"])


@pytest.fixture
def caller(gate: Gate, service: tuple[str, Developer], person: Person, page: str) -> Caller:
    return Caller(gate, service, person, Path(page).stem)


def challenge(answer: httpx.Response) -> Json:
    return dict(re.findall(r'(\w+)="([^"]*)"', answer.headers["WWW-Authenticate"]))


def test_a_good_token_passes(caller: Caller) -> None:
    answer = expect(200, caller.get("/tickets", caller.token(caller.read)))
    assert answer == {"tickets": ["The printer is on fire"], "for": caller.person.id}


def test_no_token_is_401_and_says_where_to_go(caller: Caller) -> None:
    answer = caller.get("/tickets")
    assert answer.status_code == 401
    said = challenge(answer)
    assert "error" not in said
    assert said["scope"] == caller.read
    metadata = httpx.get(said["resource_metadata"], timeout=30).json()
    assert (metadata["resource"], metadata["authorization_servers"]) == (caller.url, [f"{caller.gate.url}/oauth"])


def test_a_bad_token_is_401_invalid_token(caller: Caller) -> None:
    answer = caller.get("/tickets", "garbage")
    assert (answer.status_code, challenge(answer)["error"]) == (401, "invalid_token")


def test_too_little_scope_is_403_with_all_that_is_needed_and_the_union_passes(caller: Caller) -> None:
    answer = caller.post("/tickets/close?title=printer", caller.token(caller.read))
    said = challenge(answer)
    assert (answer.status_code, said["error"]) == (403, "insufficient_scope")
    assert said["scope"].split() == [caller.read, caller.close]
    stepped_up = caller.token(*said["scope"].split())
    assert expect(200, caller.post("/tickets/close?title=printer", stepped_up)) == {"closed": "printer"}


def test_closing_a_ticket_is_a_post(caller: Caller) -> None:
    assert caller.get("/tickets/close?title=printer", caller.token(caller.read, caller.close)).status_code == 405


def test_a_token_in_the_url_is_ignored(caller: Caller) -> None:
    assert caller.get(f"/tickets?access_token={caller.token(caller.read)}").status_code == 401


def test_a_token_for_another_audience_is_401(caller: Caller, gate: Gate, developer: Developer) -> None:
    stranger = Door(gate, gate.agent(developer))
    assert caller.get("/tickets", stranger.tokens(caller.person)["access_token"]).status_code == 401


def test_a_revoked_consent_counts_at_the_very_next_request(caller: Caller) -> None:
    token = caller.token(caller.read)
    assert caller.get("/tickets", token).status_code == 200
    for consent in caller.gate.get("/users/me/consents", **caller.person.headers).json()["items"]:
        caller.gate.post(f"/users/me/consents/{consent['id']}/revoke", **caller.person.headers)
    answer = caller.get("/tickets", token)
    assert (answer.status_code, challenge(answer)["error"]) == (401, "invalid_token")
