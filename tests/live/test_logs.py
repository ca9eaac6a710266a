"""The log of a whole journey, in JSON: one object per line, with the ids of requests, without secrets and addresses."""

import json
import secrets
from collections.abc import Callable

import httpx

from tests.constants import PASSWORD, basic
from tests.live.gate import Agent, Gate, Json, expect
from tests.live.server import LiveServer
from tests.live.test_known_attacks import signed_in_browser

WRONG = "a-wrong-password-9131"
NO_MAILS = "django.core.mail.backends.dummy.EmailBackend"


def test_the_log_of_a_journey_has_request_ids_and_no_secret(start_server: Callable[..., LiveServer]) -> None:
    server = start_server(processes=1, LOG_FORMAT="json", EMAIL_BACKEND=NO_MAILS)
    gate = Gate(server.url)
    used = travel(gate)

    lines = [json.loads(line) for line in server.log_text().splitlines()]
    log = server.log_text()
    assert [secret for secret in used if secret in log] == []
    assert server.secrets_in_log() == []

    requests = [line for line in lines if line["logger"] == "agentgate.requests"]
    assert {"api", "token", "decision", "oauth", "page"} <= {line["kind"] for line in requests}
    assert all(line["requestId"] for line in requests)
    (known,) = [line for line in lines if line.get("requestId") == "trace-of-the-exchange"]
    assert (known["method"], known["route"], known["status"]) == ("POST", "/api/v1/tokens/exchange", 200)


def travel(gate: Gate) -> set[str]:
    """Do what people, developers, agents and attackers do. Return every secret and address that was used."""
    developer, person = gate.developer(), gate.person()
    agent = gate.agent(developer)
    consent_id = gate.initiate(agent, userId=person.id)
    code = gate.approve(consent_id, person)
    tokens = expect(200, gate.exchange(agent, code, X_Request_Id="trace-of-the-exchange"))
    refreshed = expect(200, gate.refresh(agent, tokens["refreshToken"]))
    assert gate.verify(tokens["accessToken"])["allowed"]
    browser = signed_in_browser(gate, person)
    assert browser.get("/connections").status_code == 200

    key = f"usr_{person.id.partition('_')[2]}-{secrets.token_urlsafe(24)}"
    offend(
        gate,
        agent,
        {"code": code, "token": tokens["accessToken"], "refreshToken": refreshed["refreshToken"], "key": key},
    )
    found = {PASSWORD, WRONG, developer.email, person.email, developer.api_key, person.session_token, code, key}
    found |= {agent.client_secret, basic(agent.client_id, agent.client_secret).partition(" ")[2]}
    found |= {each[name] for each in (tokens, refreshed) for name in ("accessToken", "refreshToken")}
    return found | set(browser.cookies.values())


def offend(gate: Gate, agent: Agent, used: Json) -> None:
    """Send what is refused: each refusal is a chance to log what was sent."""
    url = gate.url
    gate.exchange(agent, used["code"])  # a second time
    gate.post(
        "/tokens/refresh", {"refreshToken": used["refreshToken"], "clientId": agent.client_id, "clientSecret": WRONG}
    )
    gate.post("/tokens/verify", {"token": used["token"], "unknown": used["token"]})
    gate.post("/tokens/verify", {"token": f"{used['token']}x"})
    gate.get(f"/agents/{used['code']}", X_Api_Key=WRONG)
    gate.get("/users/me", Authorization=f"Bearer {used['refreshToken']}")
    form = {"token": used["token"], "client_id": agent.client_id, "client_secret": WRONG}
    httpx.post(f"{url}/oauth/introspect", data=form)
    httpx.get(f"{url}/oauth/authorize", params={"client_id": agent.client_id, "state": used["code"]})
    httpx.get(f"{url}/no/such/page/{used['token']}?token={used['token']}")
    httpx.get(f"{url}/accounts/password/reset/key/{used['key']}/")
    httpx.post(f"{url}/api/v1/users/login", content=f'{{"email": "{used["code"]}')
    httpx.post(f"{url}/api/v1/users/login", json={"email": "x@example.com", "password": WRONG})
