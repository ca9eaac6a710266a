"""The requests that the tests send both ways, about one scene."""

import base64
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import orjson

from developers.models import Developer
from resources.services import RegisteredResourceServer
from tests.server.hot.both import Sent
from tests.world import Grant

VERIFY, BATCH = "/api/v1/tokens/verify", "/api/v1/tokens/verify/batch"
INTROSPECT, FORWARD, HEALTH = "/oauth/introspect", "/api/v1/forward-auth", "/api/v1/health"
JSON, FORM = "application/json", "application/x-www-form-urlencoded"
ORIGIN = {"Host": "localhost:8000", "User-Agent": "tests/1.0", "X-Request-Id": "trace-12345"}
UNKNOWN = "not-a-token"


@dataclass
class Scene:
    """A live grant, a resource server of the agent's organization (`own`) and one of another (`foreign`)."""

    grant: Grant
    developer: Developer
    own: RegisteredResourceServer
    foreign: RegisteredResourceServer

    @property
    def token(self) -> str:
        return self.grant.access_token


def basic(server: RegisteredResourceServer, secret: str = "") -> str:
    return basic_of(f"{server.server.id}:{secret or server.secret}")


def basic_of(credential: str) -> str:
    return "Basic " + base64.b64encode(credential.encode()).decode()


def post(path: str, body: bytes, media_type: str = JSON, **headers: str) -> Sent:
    typed = {"Content-Type": media_type} if media_type else {}
    return Sent("POST", path, {**ORIGIN, **typed}, body).having(**headers)


def question(token: str, *scopes: str, **more: Any) -> dict[str, Any]:
    return {"token": token, "requiredScopes": list(scopes or ["email:read"]), **more}


def verify(token: str, *scopes: str, caller: str = "", **more: Any) -> Sent:
    """Return a verify. `caller` is its Authorization header."""
    return post(VERIFY, orjson.dumps(question(token, *scopes, **more)), **_authorized(caller))


def batch(*questions: dict[str, Any], caller: str = "") -> Sent:
    return post(BATCH, orjson.dumps({"requests": list(questions)}), **_authorized(caller))


def introspect(token: str, caller: str) -> Sent:
    return post(INTROSPECT, urlencode({"token": token}).encode(), FORM, **_authorized(caller))


def forward(token: str, query: str = "?scopes=email:read", *, method: str = "GET", caller: str = "") -> Sent:
    """Return a forwarded request. `caller` is the proxy's credential."""
    credential = {"X-Resource-Server": caller} if caller else {}
    return get(f"{FORWARD}{query}", method).having(Authorization=f"Bearer {token}", **credential)


def get(target: str, method: str = "GET") -> Sent:
    return Sent(method, target, ORIGIN)


def _authorized(caller: str) -> dict[str, str]:
    return {"Authorization": caller} if caller else {}
