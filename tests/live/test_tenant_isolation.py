"""Objects of other tenants and users get the same response as objects that do not exist, for every method."""

import re
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.live.gate import CALLBACK, Agent, Developer, Gate, Json, Person, code_of, expect
from tests.live.server import LiveServer

VERBS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
BODIES: tuple[Json, ...] = (
    {},
    {"name": "renamed"},
    {"status": "suspended"},
    {"enabled": False},
    {"scopes": ["email:read"]},
    {"unknown": 1},
)
HEADERS = ("allow", "cache-control", "content-type", "vary", "www-authenticate")


@dataclass
class World:
    """An organization and a user with one object of each kind, and another organization and user."""

    gate: Gate
    developer: Developer
    stranger: Developer
    agent: Agent
    policy: str
    person: Person
    neighbor: Person
    pending: str
    tokens: Json = field(repr=False)


@pytest.fixture(scope="module")
def world(shared_server: LiveServer) -> World:
    gate = Gate(shared_server.url)
    developer, person = gate.developer(), gate.person()
    agent = gate.agent(developer)
    return World(
        gate=gate,
        developer=developer,
        stranger=gate.developer("Other"),
        agent=agent,
        policy=gate.policy(developer, "action_blocklist", actions=["files:*"]),
        person=person,
        neighbor=gate.person(),
        pending=gate.initiate(agent, userId=person.id),
        tokens=gate.tokens(agent, person),
    )


def random_id_like(identifier: str) -> str:
    """Return a random id of the same form. Like the real one, it contains the current time."""
    prefix, _, body = identifier.partition("_")
    if re.fullmatch("[0-9a-f]+", body):
        stamp = f"{int(time.time() * 1000):012x}"
        return f"{prefix}_{stamp}{body[12:16]}{secrets.token_hex(len(body))[: len(body) - 16]}"
    return f"{prefix}_{secrets.token_urlsafe(len(body))[: len(body)]}"


def trace(answer: httpx.Response, *identifiers: str) -> tuple[Any, ...]:
    """Return everything by which a caller could distinguish two responses, without the ids of request and object."""
    text = re.sub(r'"requestId": ?"[^"]*"', "", answer.text)
    for identifier in identifiers:
        text = text.replace(identifier, "<id>")
    return answer.status_code, text, tuple(answer.headers.get(name) for name in HEADERS)


def assert_not_found(gate: Gate, template: str, theirs: str, headers: dict[str, str]) -> None:
    """Compare another owner's id with a random id, for every method and several bodies."""
    absent = random_id_like(theirs)
    for verb in VERBS:
        for body in BODIES if verb in ("POST", "PUT", "PATCH") else (None,):
            found = gate.call(verb, template.format(theirs), body, **headers)
            missing = gate.call(verb, template.format(absent), body, **headers)
            context = f"{verb} {template} {body}"
            assert trace(found, theirs) == trace(missing, absent), context
            if verb not in ("OPTIONS", "HEAD"):
                assert found.status_code in (400, 401, 403, 404, 405), f"{context}: {found.status_code}"


DEVELOPER_PATHS = ("/agents/{}", "/agents/{}/rotate-secret")


@pytest.mark.parametrize("template", DEVELOPER_PATHS)
def test_another_organizations_agent_is_not_found(world: World, template: str) -> None:
    for identifier in (world.agent.id, world.agent.client_id):
        assert_not_found(world.gate, template, identifier, world.stranger.headers)
    assert expect(200, world.gate.get(f"/agents/{world.agent.id}", **world.developer.headers))["status"] == "active"


def test_another_organizations_policy_is_not_found(world: World) -> None:
    assert_not_found(world.gate, "/policies/{}", world.policy, world.stranger.headers)
    assert expect(200, world.gate.get(f"/policies/{world.policy}", **world.developer.headers))["enabled"] is True


def test_a_policy_for_another_organizations_agent_gets_the_same_error_as_for_an_unknown_one(world: World) -> None:
    rules = [{"type": "action_blocklist", "config": {"actions": ["email:read"]}}]
    absent = random_id_like(world.agent.id)
    bodies = [{"name": "x", "agentId": agent_id, "rules": rules} for agent_id in (world.agent.id, absent)]
    answers = [world.gate.post("/policies", body, **world.stranger.headers) for body in bodies]
    assert trace(answers[0], world.agent.id) == trace(answers[1], absent)
    assert answers[0].status_code in (400, 404)
    assert world.gate.verify(world.tokens["accessToken"])["allowed"] is True


@pytest.mark.parametrize("template", ["/users/{}/consents", "/users/{}/audit-logs"])
def test_another_user_is_not_found(world: World, template: str) -> None:
    assert_not_found(world.gate, template, world.person.id, world.neighbor.headers)


@pytest.mark.parametrize("action", ["", "/revoke"])
def test_another_users_consent_can_neither_be_narrowed_nor_revoked(world: World, action: str) -> None:
    granted = world.tokens["consentId"]
    for owner in ("me", world.neighbor.id, world.person.id):
        template = f"/users/{owner}/consents/{{}}{action}"
        assert_not_found(world.gate, template, granted, world.neighbor.headers)
    assert world.gate.verify(world.tokens["accessToken"])["allowed"] is True


@pytest.mark.parametrize("template", ["/consent/{}/approve", "/consent/{}/deny"])
def test_a_request_for_another_user_cannot_be_decided(world: World, template: str) -> None:
    assert_not_found(world.gate, template, world.pending, world.neighbor.headers)
    assert expect(200, world.gate.get(f"/consent/{world.pending}"))["status"] == "pending"


@pytest.mark.parametrize("template", ["/consent/{}", "/consent/{}/approve", "/consent/{}/deny"])
def test_a_decided_consent_is_found_only_by_its_user_and_organization(world: World, template: str) -> None:
    granted = world.tokens["consentId"]
    for headers in ({}, world.neighbor.headers, world.stranger.headers):
        assert_not_found(world.gate, template, granted, headers)
    for headers in (world.person.headers, world.developer.headers):
        assert expect(200, world.gate.get(f"/consent/{granted}", **headers))["status"] == "approved"


def test_another_organizations_log_is_hidden(world: World) -> None:
    gate = world.gate
    seen = list(gate.entries(world.stranger))
    theirs = {entry["id"] for entry in gate.entries(world.developer)}
    assert theirs
    assert not theirs & {entry["id"] for entry in seen}
    for name, value in (("agentId", world.agent.id), ("userId", world.person.id)):
        assert list(gate.entries(world.stranger, **{name: value})) == []


def test_another_users_log_is_hidden(world: World) -> None:
    gate = world.gate
    own = expect(200, gate.get("/users/me/audit-logs", **world.neighbor.headers))["items"]
    assert all(entry["userId"] in (None, world.neighbor.id) for entry in own)
    assert not any(entry["agentId"] == world.agent.id for entry in own)


def test_lists_contain_only_own_objects(world: World) -> None:
    gate, stranger = world.gate, world.gate.developer("Other")
    assert expect(200, gate.get("/agents", **stranger.headers))["items"] == []
    assert expect(200, gate.get("/policies", **stranger.headers))["items"] == []
    assert expect(200, gate.get("/users/me/consents", **world.neighbor.headers))["items"] == []


def test_a_cursor_of_another_tenant_does_not_show_its_entries(world: World) -> None:
    gate, page = world.gate, "/audit?limit=1"
    cursor = expect(200, gate.get(page, **world.developer.headers))["nextCursor"]
    answer = gate.get(f"{page}&cursor={cursor}", **world.stranger.headers)
    assert answer.status_code in (200, 400)
    for entry in answer.json().get("items", []):
        assert entry["agentId"] != world.agent.id


def test_another_agents_refresh_token_gets_the_same_error_as_an_unknown_one(world: World) -> None:
    gate, thief = world.gate, world.gate.agent(world.stranger)
    refresh_token = gate.tokens(world.agent, gate.person())["refreshToken"]
    answers = [gate.refresh(thief, token) for token in (refresh_token, random_id_like(refresh_token))]
    assert trace(answers[0]) == trace(answers[1])
    assert code_of(answers[0]) == "invalid_grant"
    assert gate.refresh(world.agent, refresh_token).status_code == 200, "the other agent's attempt ends nothing"


def test_another_agents_credentials_cannot_revoke(world: World) -> None:
    gate, thief = world.gate, world.gate.agent(world.stranger)
    body = {"token": world.tokens["refreshToken"], **thief.credentials}
    assert expect(200, gate.post("/tokens/revoke", body)) == {"revoked": True}
    assert gate.verify(world.tokens["accessToken"])["allowed"] is True


def test_an_unknown_client_gets_the_same_error_as_a_wrong_secret(world: World) -> None:
    gate = world.gate
    wrong = Agent(world.agent.id, world.agent.client_id, random_id_like(world.agent.client_secret))
    unknown = Agent("", random_id_like(world.agent.client_id), wrong.client_secret)
    for call in (lambda agent: gate.exchange(agent, "x"), lambda agent: gate.refresh(agent, "x")):
        answers = [call(wrong), call(unknown)]
        assert trace(answers[0]) == trace(answers[1])
        assert (answers[0].status_code, code_of(answers[0])) == (401, "invalid_client")


def test_an_id_in_the_body_is_refused(world: World) -> None:
    own = world.gate.agent(world.stranger)
    body = {"id": world.agent.id, "name": "mine"}
    answer = world.gate.call("PATCH", f"/agents/{own.id}", body, **world.stranger.headers)
    assert answer.status_code == 400
    theirs = expect(200, world.gate.get(f"/agents/{world.agent.id}", **world.developer.headers))
    assert theirs["name"] == "SmartMail"


def test_api_keys_and_user_sessions_are_not_interchangeable(world: World) -> None:
    gate = world.gate
    assert gate.get("/agents", **world.person.headers).status_code in (401, 403)
    assert gate.get("/audit", **world.person.headers).status_code in (401, 403)
    own = gate.get("/users/me/consents", **world.stranger.headers)
    assert own.status_code in (200, 401, 403)
    assert world.tokens["consentId"] not in own.text


def test_initiate_does_not_reveal_users(world: World) -> None:
    answers = []
    for hint in (world.person.id, random_id_like(world.person.id)):
        body = {
            "clientId": world.agent.client_id,
            "requestedScopes": ["email:read"],
            "redirectUri": CALLBACK,
            "userId": hint,
        }
        answer = world.gate.post("/consent/initiate", body)
        answers.append((answer.status_code, sorted(answer.json())))
    assert answers[0] == answers[1] == (201, ["consentId", "consentUrl", "expiresAt", "status"])
