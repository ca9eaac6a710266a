"""A client of the JSON API. It uses only the documented API, none of the code under test."""

import base64
import json
import secrets
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Barrier
from typing import Any

import httpx

from tests.constants import CALLBACK, PASSWORD, SCOPES

Json = dict[str, Any]
# Each client would otherwise read the certificates of all authorities, which takes longer than a request.
TLS = ssl.create_default_context()


@dataclass(frozen=True)
class Developer:
    id: str
    email: str
    organization_id: str
    api_key: str = field(repr=False)

    @property
    def headers(self) -> dict[str, str]:
        return {"X-Api-Key": self.api_key}


@dataclass(frozen=True)
class Agent:
    id: str
    client_id: str
    client_secret: str = field(repr=False)

    @property
    def credentials(self) -> Json:
        return {"clientId": self.client_id, "clientSecret": self.client_secret}


@dataclass(frozen=True)
class Person:
    id: str
    email: str
    session_token: str = field(repr=False)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.session_token}"}


class Gate:
    """The API at `url`, with one method per step. Most methods assert that the step succeeds."""

    def __init__(self, url: str) -> None:
        limits = httpx.Limits(max_connections=200, max_keepalive_connections=200)
        self.url = url
        self.http = httpx.Client(base_url=f"{url}/api/v1", timeout=60, limits=limits, verify=TLS)

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """Send one request. `_` in the name of a header becomes `-`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.request(method, path, json=body, headers=named)

    def post(self, path: str, body: Any = None, **headers: str) -> httpx.Response:
        return self.call("POST", path, body if body is not None else {}, **headers)

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.call("GET", path, **headers)

    def developer(self, name: str = "Acme") -> Developer:
        email = f"dev-{secrets.token_hex(8)}@example.com"
        answer = expect(201, self.post("/developers/register", registration(name, email)))
        return Developer(answer["id"], email, answer["organizationId"], answer["apiKey"])

    def person(self) -> Person:
        email = f"user-{secrets.token_hex(8)}@example.com"
        registered = expect(201, self.post("/users/register", registration("Ada", email)))
        return Person(registered["id"], email, self.sign_in(email))

    def sign_in(self, email: str) -> str:
        answer = expect(200, self.post("/users/login", {"email": email, "password": PASSWORD}))
        return str(answer["sessionToken"])

    def agent(self, developer: Developer, scopes: tuple[str, ...] = SCOPES) -> Agent:
        body = {"name": "SmartMail", "redirectUris": [CALLBACK], "allowedScopes": list(scopes)}
        answer = expect(201, self.post("/agents", body, **developer.headers))
        return Agent(answer["id"], answer["clientId"], answer["clientSecret"])

    def initiate(self, agent: Agent, scopes: tuple[str, ...] = SCOPES, **more: Any) -> str:
        """Return the id of a new pending consent."""
        body = {"clientId": agent.client_id, "requestedScopes": list(scopes), "redirectUri": CALLBACK, **more}
        return str(expect(201, self.post("/consent/initiate", body))["consentId"])

    def approve(self, consent_id: str, person: Person, **body: Any) -> str:
        """Return the authorization code."""
        answer = self.post(f"/consent/{consent_id}/approve", body, **person.headers)
        return str(expect(200, answer)["code"])

    def code(self, agent: Agent, person: Person, scopes: tuple[str, ...] = SCOPES) -> str:
        return self.approve(self.initiate(agent, scopes), person)

    def exchange(self, agent: Agent, code: str, **headers: str) -> httpx.Response:
        return self.post("/tokens/exchange", {"code": code, **agent.credentials}, **headers)

    def tokens(self, agent: Agent, person: Person, scopes: tuple[str, ...] = SCOPES) -> Json:
        return expect(200, self.exchange(agent, self.code(agent, person, scopes)))

    def refresh(self, agent: Agent, refresh_token: str, **headers: str) -> httpx.Response:
        return self.post("/tokens/refresh", {"refreshToken": refresh_token, **agent.credentials}, **headers)

    def verify(self, token: str, *scopes: str, **more: Any) -> Json:
        """Return the decision."""
        body = {"token": token, "requiredScopes": list(scopes or ("email:read",)), **more}
        return expect(200, self.post("/tokens/verify", body))

    def policy(self, developer: Developer, rule: str, agent: Agent | None = None, **config: Any) -> str:
        """Return the id of a new policy with one rule."""
        rules = [{"type": rule, "config": config}]
        body = {"name": rule, "agentId": agent.id if agent else None, "rules": rules}
        return str(expect(201, self.post("/policies", body, **developer.headers))["id"])

    def entries(self, developer: Developer, **filters: str) -> Iterator[Json]:
        """Yield the organization's audit entries from all pages, newest first."""
        cursor: str | None = ""
        while cursor is not None:
            query = {**filters, "limit": "200", **({"cursor": cursor} if cursor else {})}
            answer = self.http.get("/audit", params=query, headers=developer.headers)
            page = expect(200, answer)
            yield from page["items"]
            cursor = page["nextCursor"]


def registration(name: str, email: str) -> Json:
    return {"name": name, "email": email, "password": PASSWORD}


def expect(status: int, response: httpx.Response) -> Json:
    """Return the JSON of `response`. If it has another status, fail and show the body."""
    assert response.status_code == status, f"{response.request.url}: {response.status_code} {response.text}"
    return dict(response.json())


def code_of(response: httpx.Response) -> str:
    """Return a problem's stable `code`."""
    return str(response.json()["code"])


def race[T](contestants: int, run: Callable[[int], T]) -> list[T]:
    """Call `run` with 0, 1, … in parallel threads that start together, and return the results in order."""
    barrier = Barrier(contestants)

    def start(number: int) -> T:
        barrier.wait()
        return run(number)

    with ThreadPoolExecutor(contestants) as pool:
        return list(pool.map(start, range(contestants)))


def decoded(token: str) -> tuple[Json, Json]:
    """Return the header and the claims of a JWT, without verifying it."""
    header, claims, _ = token.split(".")
    return json.loads(unbase64(header)), json.loads(unbase64(claims))


def unbase64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
