"""Known attacks on authorization servers, over HTTP."""

import statistics
import time
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests import preloaded
from tests.constants import CHALLENGE, VERIFIER
from tests.live.gate import CALLBACK, PASSWORD, Gate, Person, code_of, decoded, expect
from tests.live.server import LiveServer, full, manage
from tests.servers import free_port


@pytest.mark.parametrize("verb", ["approve", "deny"])
def test_a_consent_cannot_be_decided_without_a_credential(gate: Gate, verb: str) -> None:
    person = gate.person()
    consent_id = gate.initiate(gate.agent(gate.developer()), userId=person.id)

    for body in ({}, {"userId": person.id}, {"scopes": ["email:read"]}):
        answer = gate.post(f"/consent/{consent_id}/{verb}", body)
        assert answer.status_code in (400, 401)
    assert gate.post(f"/consent/{consent_id}/{verb}").status_code == 401
    assert expect(200, gate.get(f"/consent/{consent_id}"))["status"] == "pending"


@pytest.mark.parametrize("verb", ["approve", "deny"])
def test_agents_and_developers_cannot_decide_for_the_user(gate: Gate, verb: str) -> None:
    developer = gate.developer()
    agent = gate.agent(developer)
    token = gate.tokens(agent, gate.person())["accessToken"]
    consent_id = gate.initiate(agent, userId=gate.person().id)

    attempts: list[dict[str, str]] = [
        {"Authorization": f"Bearer {token}"},
        {"Authorization": httpx.BasicAuth(agent.client_id, agent.client_secret)._auth_header},
        developer.headers,
    ]
    for headers in attempts:
        assert gate.post(f"/consent/{consent_id}/{verb}", **headers).status_code in (401, 403, 404)
    assert expect(200, gate.get(f"/consent/{consent_id}"))["status"] == "pending"


def test_a_cookie_without_a_csrf_token_cannot_decide(gate: Gate) -> None:
    person = gate.person()
    consent_id = gate.initiate(gate.agent(gate.developer()), userId=person.id)
    browser = signed_in_browser(gate, person)

    answer = browser.post(f"/api/v1/consent/{consent_id}/approve", json={})

    assert answer.status_code == 403
    assert expect(200, gate.get(f"/consent/{consent_id}"))["status"] == "pending"


def signed_in_browser(gate: Gate, person: Person) -> httpx.Client:
    """Sign in with the form, as a browser without JavaScript does."""
    browser = httpx.Client(base_url=gate.url, follow_redirects=True, timeout=30)
    page = browser.get("/accounts/login/")
    token = page.text.split('name="csrfmiddlewaretoken" value="', 1)[1].split('"', 1)[0]
    form = {"csrfmiddlewaretoken": token, "login": person.email, "password": PASSWORD}
    browser.post("/accounts/login/", data=form, headers={"Referer": f"{gate.url}/accounts/login/"})
    assert "sessionid" in browser.cookies
    return browser


@pytest.mark.parametrize("path", ["consents", "audit-logs"])
def test_a_users_data_requires_that_users_credential(gate: Gate, path: str) -> None:
    person, other = gate.person(), gate.person()
    for identifier in (person.id, "me"):
        assert gate.get(f"/users/{identifier}/{path}").status_code == 401
    assert gate.get(f"/users/{person.id}/{path}", **other.headers).status_code == 404
    expect(200, gate.get(f"/users/{person.id}/{path}", **person.headers))


def test_a_consent_cannot_be_revoked_without_a_credential(gate: Gate) -> None:
    person = gate.person()
    tokens = gate.tokens(gate.agent(gate.developer()), person)
    path = f"/users/{person.id}/consents/{tokens['consentId']}/revoke"
    assert gate.post(path).status_code == 401
    assert gate.verify(tokens["accessToken"])["allowed"] is True


def test_a_token_is_signed_with_a_key_pair_and_names_user_and_client(gate: Gate) -> None:
    agent, person = gate.agent(gate.developer()), gate.person()
    tokens = gate.tokens(agent, person)

    header, claims = decoded(tokens["accessToken"])

    assert (header["alg"], header["typ"]) == ("ES256", "at+jwt")
    assert header["kid"]
    assert claims["iss"] == f"{gate.url}/oauth"
    assert claims["aud"] in (gate.url, [gate.url])
    assert (claims["sub"], claims["client_id"]) == (person.id, agent.client_id)
    assert set(claims["scope"].split()) == set(tokens["grantedScopes"])
    assert claims["exp"] - claims["iat"] == tokens["expiresIn"] == 900


def test_a_weak_secret_stops_the_start_with_one_line(shared_server: LiveServer) -> None:
    secret = "secret" * 8
    environment = full({**shared_server.database.environment, "JWT_SECRET": secret, "API_PORT": str(free_port())})
    ended = preloaded.run(["-m", "server.main"], environment)
    assert ended.returncode != 0
    assert "JWT_SECRET" in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1
    assert secret not in ended.stderr


def test_state_and_issuer_are_returned_and_the_code_is_bound_to_the_challenge(gate: Gate) -> None:
    agent, person = gate.agent(gate.developer()), gate.person()
    challenge = {"codeChallenge": CHALLENGE, "codeChallengeMethod": "S256"}
    consent_id = gate.initiate(agent, state="s&t=a te", **challenge)
    approved = expect(200, gate.post(f"/consent/{consent_id}/approve", **person.headers))

    query = parse_qs(urlsplit(approved["redirectUrl"]).query)
    assert query == {"code": [approved["code"]], "state": ["s&t=a te"], "iss": [f"{gate.url}/oauth"]}
    assert approved["redirectUrl"].startswith(f"{CALLBACK}?")

    body = {"code": approved["code"], **agent.credentials}
    for wrong in ({}, {"codeVerifier": VERIFIER[:-1] + "X"}, {"codeVerifier": CHALLENGE}):
        refused = gate.post("/tokens/exchange", {**body, **wrong})
        assert (refused.status_code, code_of(refused)) == (400, "invalid_grant")


def test_denying_redirects_with_an_error_and_no_code(gate: Gate) -> None:
    consent_id = gate.initiate(gate.agent(gate.developer()), state="abc")
    denied = expect(200, gate.post(f"/consent/{consent_id}/deny", **gate.person().headers))
    query = parse_qs(urlsplit(denied["redirectUrl"]).query)
    assert query["error"] == ["access_denied"]
    assert query["state"] == ["abc"]
    assert query["iss"] == [f"{gate.url}/oauth"]
    assert "code" not in query


def test_forged_headers_do_not_pass_an_ip_allowlist(gate: Gate) -> None:
    developer = gate.developer()
    agent = gate.agent(developer)
    gate.policy(developer, "ip_allowlist", cidrs=["203.0.113.0/24"])
    token = gate.tokens(agent, gate.person())["accessToken"]
    body = {"token": token, "requiredScopes": ["email:read"]}

    for header in ("X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Client-IP", "True-Client-IP"):
        value = "for=203.0.113.7" if header == "Forwarded" else "203.0.113.7"
        answer = expect(200, gate.post("/tokens/verify", body, **{header: value}))
        assert (answer["reason"], answer["policy"]["ruleType"]) == ("policy_denied", "ip_allowlist")
    for address, allowed in (("203.0.113.7", True), ("::ffff:203.0.113.7", True), ("203.0.114.1", False)):
        assert gate.verify(token, context={"ip": address})["allowed"] is allowed


@pytest.mark.soak
def test_signing_in_does_not_reveal_who_has_an_account(start_server: Callable[..., LiveServer]) -> None:
    """With the real cost of password hashes."""
    gate = Gate(start_server(processes=1, DJANGO_SETTINGS_MODULE="agentgate.settings").url)
    known = gate.person().email
    seconds: dict[str, list[float]] = {known: [], "nobody@example.com": []}
    texts = {}
    for _ in range(5):
        for email, taken in seconds.items():
            began = time.perf_counter()
            answer = gate.post("/users/login", {"email": email, "password": "wrong-password-1"})
            taken.append(time.perf_counter() - began)
            texts[email] = (answer.status_code, code_of(answer), answer.json().get("detail"))
    assert texts[known] == texts["nobody@example.com"]
    assert texts[known][0] == 401
    slow, fast = (statistics.median(taken) for taken in seconds.values())
    assert 0.4 < slow / fast < 2.5


def test_secrets_are_shown_once_in_responses_that_are_not_cached(gate: Gate) -> None:
    developer, person = gate.developer(), gate.person()
    agent = gate.agent(developer)
    shown = expect(200, gate.get(f"/agents/{agent.id}", **developer.headers))
    assert "clientSecret" not in shown
    answer = gate.exchange(agent, gate.code(agent, person))
    assert "no-store" in answer.headers["cache-control"]
    rotated = gate.post("/developers/api-keys/rotate", **developer.headers)
    assert "no-store" in rotated.headers["cache-control"]
    assert gate.get("/agents", **developer.headers).status_code == 401


def test_the_database_contains_no_secret_in_clear(gate: Gate, shared_server: LiveServer) -> None:
    developer, person = gate.developer(), gate.person()
    agent = gate.agent(developer)
    tokens = gate.tokens(agent, person)
    dump = manage(shared_server.environment, "dumpdata", "--all")
    for secret in (developer.api_key, agent.client_secret, person.session_token, PASSWORD):
        assert secret not in dump
    for secret in (tokens["accessToken"], tokens["refreshToken"]):
        assert secret not in dump


def test_removing_a_scope_from_an_agent_narrows_old_grants_but_adding_one_does_not_widen_them(gate: Gate) -> None:
    developer, person = gate.developer(), gate.person()
    agent = gate.agent(developer, ("email:read", "email:send"))
    token = gate.tokens(agent, person, ("email:read",))["accessToken"]
    path = f"/agents/{agent.id}"

    grown = {"allowedScopes": ["email:read", "email:send", "files:read"]}
    expect(200, gate.call("PATCH", path, grown, **developer.headers))
    assert gate.verify(token, "files:read")["reason"] == "insufficient_scope"
    expect(200, gate.call("PATCH", path, {"allowedScopes": ["email:send"]}, **developer.headers))
    assert gate.verify(token, "email:read")["allowed"] is False
    assert gate.verify(token, "email:send")["reason"] == "insufficient_scope"


def test_a_forged_host_header_is_refused_or_ignored(gate: Gate) -> None:
    agent = gate.agent(gate.developer())
    body = {"clientId": agent.client_id, "requestedScopes": ["email:read"], "redirectUri": CALLBACK}
    assert gate.post("/consent/initiate", body, Host="evil.example").status_code == 400
    answer = gate.post("/consent/initiate", body, X_Forwarded_Host="evil.example")
    assert expect(201, answer)["consentUrl"].startswith(f"{gate.url}/consent/")
    assert "evil.example" not in answer.text
