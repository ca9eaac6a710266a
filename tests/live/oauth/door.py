"""The OAuth door of a running server, as a client and the person's browser see it. It knows nothing of the code."""

import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx

from tests.constants import challenge_for
from tests.live.gate import CALLBACK, TLS, Agent, Developer, Gate, Json, Person, expect


def decide(gate: Gate, person: Person, authorization_url: str, verb: str = "approve") -> str:
    """Open the URL, decide as the person, and return the URL that the browser would be sent to."""
    asked = httpx.get(authorization_url, timeout=60, verify=TLS)
    assert asked.status_code == 303, asked.text
    consent_id = asked.headers["Location"].rpartition("/")[2]
    assert consent_id.startswith("cns_"), asked.headers["Location"]
    answer = expect(200, gate.post(f"/consent/{consent_id}/{verb}", {}, **person.headers))
    return str(answer["redirectUrl"])


def query_of(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


@dataclass(frozen=True)
class Handed:
    """What one agent of a developer hands to another, with the delegation token."""

    id: str
    token: str
    to: Agent


def hand_over(gate: Gate, developer: Developer, person: Person, **asked: Any) -> Handed:
    """Let the person allow an agent to hand work on, and let it do so. `asked` are fields of the consent request."""
    agent, to = gate.agent(developer), gate.agent(developer)
    scopes = ("email:read", "email:send")
    code = gate.approve(gate.initiate(agent, scopes, **asked), person, delegation="developer")
    token = expect(200, gate.exchange(agent, code))["accessToken"]
    body = {"token": token, "to": to.client_id, "scopes": scopes, **agent.credentials}
    made = expect(201, gate.post("/delegations", body))
    return Handed(made["id"], made["delegationToken"], to)


class Door:
    """An agent at /oauth/authorize and /oauth/token."""

    def __init__(self, gate: Gate, agent: Agent) -> None:
        self.gate, self.agent = gate, agent
        self.verifier = secrets.token_urlsafe(48)
        limits = httpx.Limits(max_connections=200, max_keepalive_connections=200)
        self.http = httpx.Client(timeout=60, limits=limits, verify=TLS, auth=(agent.client_id, agent.client_secret))

    def authorization_url(self, **changes: Any) -> str:
        parameters = {
            "response_type": "code",
            "client_id": self.agent.client_id,
            "redirect_uri": CALLBACK,
            "scope": "email:read email:send",
            "state": "st4te",
            "code_challenge": challenge_for(self.verifier),
            "code_challenge_method": "S256",
            **changes,
        }
        return f"{self.gate.url}/oauth/authorize?{urlencode(parameters)}"

    def code(self, person: Person) -> str:
        return query_of(decide(self.gate, person, self.authorization_url()))["code"]

    def token(self, **form: str) -> httpx.Response:
        return self.http.post(f"{self.gate.url}/oauth/token", data=form)

    def redeem(self, code: str) -> httpx.Response:
        return self.token(grant_type="authorization_code", code=code, code_verifier=self.verifier)

    def refresh(self, refresh_token: str) -> httpx.Response:
        return self.token(grant_type="refresh_token", refresh_token=refresh_token)

    def tokens(self, person: Person) -> Json:
        return expect(200, self.redeem(self.code(person)))

    def revoke(self, token: str) -> httpx.Response:
        return self.http.post(f"{self.gate.url}/oauth/revoke", data={"token": token})


class PublicDoor(Door):
    """A stock client that has registered itself: it has no secret, and says only who it is."""

    def __init__(self, gate: Gate) -> None:
        metadata = {"client_name": "Stock", "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"}
        answer = expect(201, httpx.post(f"{gate.url}/oauth/register", json=metadata, verify=TLS))
        super().__init__(gate, Agent("", answer["client_id"], ""))
        self.http.auth = None

    def token(self, **form: str) -> httpx.Response:
        return super().token(client_id=self.agent.client_id, **form)
