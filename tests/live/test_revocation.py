"""What is revoked is revoked for every verify that starts after the answer, whichever process answers it."""

import base64
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from tests.live.gate import Agent, Developer, Gate, Json, Person, expect
from tests.live.server import LiveServer

VERIFIERS = 8
LEAD_SECONDS = 0.4


@dataclass
class Scene:
    """One live grant, and everything that can end it."""

    gate: Gate
    server: LiveServer
    developer: Developer
    agent: Agent
    person: Person
    tokens: Json = field(repr=False)


def revoke_token(scene: Scene) -> None:
    expect(200, scene.gate.post("/tokens/revoke", {"token": scene.tokens["accessToken"]}))


def revoke_refresh_token(scene: Scene) -> None:
    body = {"token": scene.tokens["refreshToken"], **scene.agent.credentials}
    expect(200, scene.gate.post("/tokens/revoke", body))


def revoke_consent(scene: Scene) -> None:
    path = f"/users/me/consents/{scene.tokens['consentId']}/revoke"
    assert expect(200, scene.gate.post(path, **scene.person.headers))["status"] == "revoked"


def suspend_agent(scene: Scene) -> None:
    path, body = f"/agents/{scene.agent.id}", {"status": "suspended"}
    expect(200, scene.gate.call("PATCH", path, body, **scene.developer.headers))


def remove_scope(scene: Scene) -> None:
    """Leave out on a later request what was live before."""
    consent = scene.gate.initiate(scene.agent, ("email:read", "email:send"))
    scene.gate.approve(consent, scene.person, scopes=["email:send"])


def shrink_scopes(scene: Scene) -> None:
    path, body = f"/agents/{scene.agent.id}", {"allowedScopes": ["calendar:read"]}
    expect(200, scene.gate.call("PATCH", path, body, **scene.developer.headers))


def add_policy(scene: Scene) -> None:
    scene.gate.policy(scene.developer, "action_blocklist", actions=["email:*"])


def administer(scene: Scene, model: str, service: str, row: str) -> None:
    """Call an administrator's service `package.function(actor, row, reason)` in a process of its own."""
    (app, name), (package, function) = model.split("."), service.split(".")
    scene.server.manage(
        "shell",
        "-c",
        f"from {app}.models import {name}; from {package}.services import {function};"
        "from core.actor import SYSTEM;"
        f"{function}(actor=SYSTEM, {name.lower()}={name}.objects.get(pk='{row}'), reason='test')",
    )


def deactivate_person(scene: Scene) -> None:
    administer(scene, "accounts.User", "accounts.deactivate_user", scene.person.id)


def stop_agent(scene: Scene) -> None:
    administer(scene, "agents.Agent", "agents.stop_agent", scene.agent.id)


def suspend_organization(scene: Scene) -> None:
    administer(scene, "developers.Organization", "developers.suspend_organization", scene.developer.organization_id)


WAYS: dict[str, tuple[Callable[[Scene], None], str]] = {
    "token": (revoke_token, "token_revoked"),
    "refresh token": (revoke_refresh_token, "token_revoked"),
    "consent": (revoke_consent, "consent_revoked"),
    "removed scope": (remove_scope, "insufficient_scope"),
    "agent": (suspend_agent, "agent_suspended"),
    "allowed scopes": (shrink_scopes, "insufficient_scope"),
    "policy": (add_policy, "policy_denied"),
    "person": (deactivate_person, "user_inactive"),
    "stop": (stop_agent, "agent_suspended"),
    "organization": (suspend_organization, "organization_suspended"),
}


@pytest.fixture
def scene(gate: Gate, shared_server: LiveServer) -> Scene:
    developer, person = gate.developer(), gate.person()
    agent = gate.agent(developer)
    return Scene(gate, shared_server, developer, agent, person, gate.tokens(agent, person))


@pytest.mark.parametrize("way", WAYS)
def test_no_verify_that_started_after_the_answer_is_allowed(scene: Scene, way: str) -> None:
    assert_linearizable(scene, scene.tokens["accessToken"], *WAYS[way])


def test_suspending_a_service_s_organization_counts_at_once_for_a_foreign_agent(scene: Scene) -> None:
    gate, resource = scene.gate, f"https://{secrets.token_hex(8)}.example/api"
    body = {"name": "Mail", "identifier": resource, "scopes": ["email:read"]}
    server = expect(201, gate.post("/resource-servers", body, **scene.developer.headers))
    foreign = gate.agent(gate.developer("Other"))
    consent = gate.initiate(foreign, ("email:read",), resource=resource)
    tokens = expect(200, gate.exchange(foreign, gate.approve(consent, scene.person)))
    credential = base64.b64encode(f"{server['id']}:{server['secret']}".encode()).decode()

    assert_linearizable(
        scene,
        tokens["accessToken"],
        suspend_organization,
        "service_suspended",
        Authorization=f"Basic {credential}",
    )


def assert_linearizable(scene: Scene, token: str, revoke: Callable[[Scene], None], reason: str, **headers: str) -> None:
    """Verify in many threads while it is revoked; no verify that began after the answer may be allowed."""
    body = {"token": token, "requiredScopes": ["email:read"]}
    done = threading.Event()
    seen: list[tuple[float, Json]] = []

    def verify_in_a_loop() -> None:
        while not done.is_set():
            began = time.monotonic()
            seen.append((began, expect(200, scene.gate.post("/tokens/verify", body, **headers))))

    verifiers = [threading.Thread(target=verify_in_a_loop) for _ in range(VERIFIERS)]
    for verifier in verifiers:
        verifier.start()
    try:
        time.sleep(LEAD_SECONDS)
        revoke(scene)
        answered = time.monotonic()
        time.sleep(LEAD_SECONDS)
    finally:
        done.set()
        for verifier in verifiers:
            verifier.join()

    after = [decision for began, decision in seen if began > answered]
    assert any(decision["allowed"] for began, decision in seen if began < answered)
    assert len(after) >= VERIFIERS
    assert {(decision["allowed"], decision.get("reason")) for decision in after} == {(False, reason)}


def test_disabling_a_policy_counts_for_the_next_verify_as_well(scene: Scene) -> None:
    policy = scene.gate.policy(scene.developer, "action_blocklist", actions=["email:read"])
    token = scene.tokens["accessToken"]
    for enabled, allowed in ((False, True), (True, False), (False, True)):
        body = {"enabled": enabled}
        expect(200, scene.gate.call("PATCH", f"/policies/{policy}", body, **scene.developer.headers))
        assert {scene.gate.verify(token)["allowed"] for _ in range(8)} == {allowed}


def test_revoking_one_consent_leaves_the_other_agent_s_alone(scene: Scene) -> None:
    other = scene.gate.tokens(scene.gate.agent(scene.developer), scene.person)

    revoke_consent(scene)

    assert scene.gate.verify(other["accessToken"])["allowed"] is True
    assert scene.gate.verify(scene.tokens["accessToken"])["reason"] == "consent_revoked"


def test_an_unknown_token_is_revoked_too(gate: Gate) -> None:
    assert expect(200, gate.post("/tokens/revoke", {"token": "never-issued"})) == {"revoked": True}


@pytest.mark.soak
@pytest.mark.parametrize("round_", range(20))
def test_revocation_holds_time_after_time(scene: Scene, round_: int) -> None:
    test_no_verify_that_started_after_the_answer_is_allowed(scene, ("token", "consent", "policy")[round_ % 3])
