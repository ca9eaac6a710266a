"""A revocation applies to every verify that starts after its response, in all processes."""

import base64
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.environment import Servers
from tests.live.gate import Agent, Developer, Gate, Json, Person, expect
from tests.live.operator import Operator
from tests.live.server import LiveServer
from tests.waiting import wait_until

VERIFIERS = 4
VERIFIES_AFTER = 5
PAUSE_SECONDS = 0.005

pytestmark = pytest.mark.usefixtures("decides_directly")


@dataclass
class Scene:
    """A live grant, with the objects needed to end it."""

    gate: Gate
    operator: Operator
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
    """Approve a later request without a scope that was live."""
    consent = scene.gate.initiate(scene.agent, ("email:read", "email:send"))
    scene.gate.approve(consent, scene.person, scopes=["email:send"])


def narrow(scene: Scene, **changes: Any) -> None:
    path = f"/users/me/consents/{scene.tokens['consentId']}"
    expect(200, scene.gate.call("PATCH", path, changes, **scene.person.headers))


def take_scope_back(scene: Scene) -> None:
    narrow(scene, removeScopes=["email:read"])


def ask_from_now_on(scene: Scene) -> None:
    narrow(scene, modes={"email:read": "ask"})


def add_limit(scene: Scene) -> None:
    narrow(scene, limits={"email:read": [{"type": "ip_allowlist", "config": {"cidrs": ["203.0.113.9"]}}]})


def shrink_scopes(scene: Scene) -> None:
    path, body = f"/agents/{scene.agent.id}", {"allowedScopes": ["calendar:read"]}
    expect(200, scene.gate.call("PATCH", path, body, **scene.developer.headers))


def add_policy(scene: Scene) -> None:
    scene.gate.policy(scene.developer, "action_blocklist", actions=["email:*"])


def administer(scene: Scene, model: str, service: str, row: str) -> None:
    """Call an administrator's service `package.function(actor, row, reason)` in another process."""
    (app, name), (package, function) = model.split("."), service.split(".")
    scene.operator.run(
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


def stop_own_organization(scene: Scene) -> None:
    expect(200, scene.gate.post("/organization/stop", {"reason": "A key leaked."}, **scene.developer.headers))


def pause_agent(scene: Scene) -> None:
    path = f"/users/me/consents/{scene.tokens['consentId']}/pause"
    assert expect(200, scene.gate.post(path, **scene.person.headers))["pausedAt"]


def pause_all_agents(scene: Scene) -> None:
    assert expect(200, scene.gate.post("/users/me/agents/pause", **scene.person.headers))["pausedAt"]


def stop_everything(scene: Scene) -> None:
    """Stop everything in another process. The other tests of the server need `lift_emergency_stop` afterwards."""
    _manage_emergency(scene, "stop_everything")


def lift_emergency_stop(scene: Scene) -> None:
    _manage_emergency(scene, "lift_emergency_stop")


def _manage_emergency(scene: Scene, service: str) -> None:
    imports = f"from agents.emergency import {service}; from core.actor import SYSTEM;"
    scene.operator.run(f"{imports}{service}(actor=SYSTEM, reason='test')")


REVOCATIONS: dict[str, tuple[Callable[[Scene], None], str]] = {
    "token": (revoke_token, "token_revoked"),
    "refresh token": (revoke_refresh_token, "token_revoked"),
    "consent": (revoke_consent, "consent_revoked"),
    "removed scope": (remove_scope, "insufficient_scope"),
    "scope taken back": (take_scope_back, "insufficient_scope"),
    "mode": (ask_from_now_on, "approval_required"),
    "limit": (add_limit, "policy_denied"),
    "agent": (suspend_agent, "agent_suspended"),
    "allowed scopes": (shrink_scopes, "insufficient_scope"),
    "policy": (add_policy, "policy_denied"),
    "person": (deactivate_person, "user_inactive"),
    "stop": (stop_agent, "agent_suspended"),
    "organization": (suspend_organization, "organization_suspended"),
    "own organization": (stop_own_organization, "organization_stopped"),
    "pause": (pause_agent, "consent_paused"),
    "pause of all": (pause_all_agents, "consent_paused"),
}
ON_SQLITE = ("token", "consent", "policy", "organization")
on_postgresql = pytest.mark.parametrize("live_store", ["postgresql"], indirect=True)
on_sqlite = pytest.mark.parametrize("live_store", ["sqlite"], indirect=True)


@pytest.fixture(scope="module")
def operator(shared_server: LiveServer) -> Iterator[Operator]:
    operator = Operator(shared_server)
    yield operator
    operator.stop()


@pytest.fixture
def scene(gate: Gate, operator: Operator) -> Scene:
    developer, person = gate.developer(), gate.person()
    agent = gate.agent(developer)
    return Scene(gate, operator, developer, agent, person, gate.tokens(agent, person))


@on_postgresql
@pytest.mark.parametrize("way", REVOCATIONS)
def test_no_verify_that_starts_after_the_response_is_allowed(scene: Scene, way: str) -> None:
    assert_linearizable(scene, scene.tokens["accessToken"], *REVOCATIONS[way])


# There, all ways wait for the same lock. These are of an agent, a user, a developer, and an administrator.
@on_sqlite
@pytest.mark.parametrize(
    "way", [way if way in ON_SQLITE else pytest.param(way, marks=pytest.mark.soak) for way in REVOCATIONS]
)
def test_nor_is_one_on_sqlite(scene: Scene, way: str) -> None:
    assert_linearizable(scene, scene.tokens["accessToken"], *REVOCATIONS[way])


@on_postgresql
def test_stopping_everything_applies_to_every_verify_that_starts_after_it(scene: Scene) -> None:
    try:
        assert_linearizable(scene, scene.tokens["accessToken"], stop_everything, "service_suspended")
    finally:
        lift_emergency_stop(scene)
    assert scene.gate.verify(scene.tokens["accessToken"])["allowed"] is True


@on_postgresql
@pytest.mark.parametrize(("path", "stop"), [("/users/me/agents", pause_all_agents), (None, pause_agent)])
def test_the_log_proves_that_no_allowed_decision_committed_after_a_pause(
    scene: Scene, path: str | None, stop: Callable[[Scene], None]
) -> None:
    path = path or f"/users/me/consents/{scene.tokens['consentId']}"
    assert_linearizable(scene, scene.tokens["accessToken"], stop, "consent_paused")

    def proof() -> Json:
        shown: Json = expect(200, scene.gate.call("GET", f"{path}/stop", **scene.person.headers))["proof"]
        return shown

    wait_until(lambda: proof()["checkpoint"] is not None)
    assert proof()["allowedAfter"] == 0
    assert proof()["lastAllowed"]["index"] < proof()["index"]


@on_postgresql
def test_suspending_a_services_organization_applies_at_once_to_other_organizations_agents(scene: Scene) -> None:
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
    """Verify in many threads during the revocation. No verify that began after its response may be allowed."""
    body = {"token": token, "requiredScopes": ["email:read"]}

    def verify(number: int) -> Json:
        return expect(200, scene.gate.post("/tokens/verify", body, **headers))

    before, after = ask_during(verify, lambda: revoke(scene))
    assert any(decision["allowed"] for decision in before)
    assert {(decision["allowed"], decision.get("reason")) for decision in after} == {(False, reason)}


def ask_during[T](ask: Callable[[int], T], end: Callable[[], None]) -> tuple[list[T], list[T]]:
    """Ask again and again, in many threads, while `end` runs. Return the answers to what began before it responded.

    The second list has the answers to what began after that. `ask` gets a number that counts up in each thread.
    """
    over = threading.Event()
    seen: list[tuple[float, T]] = []

    def ask_in_a_loop(number: int) -> None:
        remaining = VERIFIES_AFTER
        while remaining:
            remaining -= over.is_set()
            began = time.monotonic()
            seen.append((began, ask(number)))
            number += 1
            time.sleep(PAUSE_SECONDS)

    with ThreadPoolExecutor(VERIFIERS) as pool:
        verifiers = [pool.submit(ask_in_a_loop, number) for number in range(VERIFIERS)]
        try:
            wait_until(lambda: len(seen) >= VERIFIERS)
            end()
        finally:
            responded = time.monotonic()
            over.set()
    for verifier in verifiers:
        verifier.result()

    after = [answer for began, answer in seen if began > responded]
    assert len(after) >= VERIFIERS * VERIFIES_AFTER
    return [answer for began, answer in seen if began < responded], after


@pytest.fixture
def second_node(shared_server: LiveServer, servers: Servers) -> Iterator[Gate]:
    """Another server node with the same database."""
    with LiveServer(shared_server.database, servers.folder, processes=1) as node:
        yield Gate(node.url)


def test_no_request_of_a_removed_member_that_starts_after_the_response_succeeds(
    scene: Scene, second_node: Gate
) -> None:
    gate, owner, organization_id = scene.gate, scene.developer, scene.developer.organization_id
    scene.operator.run(
        "from developers.models import Developer;"
        f"Developer.objects.create(user_id='{scene.person.id}', organization_id='{organization_id}', role='admin')",
    )
    members = expect(200, gate.get("/organization/members", **owner.headers))["items"]
    (member,) = [one["id"] for one in members if one["userId"] == scene.person.id]
    session = {**scene.person.headers, "X_Organization": organization_id}
    key = {"X_Api_Key": expect(201, gate.post("/developers/api-keys", {"name": "ci"}, **session))["apiKey"]}
    rules = [{"type": "action_blocklist", "config": {"actions": ["files:*"]}}]

    def act(number: int) -> tuple[str, int]:
        """Read and write by turns, with the key and with the session, on both nodes."""
        headers, node = (key, session)[number // 2 % 2], (gate, second_node)[number // 4 % 2]
        if number % 2:
            answer = node.post("/policies", {"name": "Mine", "rules": rules}, **headers)
        else:
            answer = node.get("/agents", **headers)
        return answer.request.method, answer.status_code

    def remove() -> None:
        assert gate.call("DELETE", f"/organization/members/{member}", **owner.headers).status_code == 204

    before, after = ask_during(act, remove)

    assert {("GET", 200), ("POST", 201)} <= {*before}
    assert {status for _, status in after} == {401, 403}
    made = [*before, *after].count(("POST", 201))
    wait_until(lambda: any(one["event"] == "member.removed" for one in gate.entries(owner)))
    events = [one["event"] for one in gate.entries(owner) if one["event"] in ("policy.created", "member.removed")]
    assert events == ["member.removed", *["policy.created"] * made]


@on_postgresql
def test_disabling_a_policy_applies_to_the_next_verify(scene: Scene) -> None:
    policy = scene.gate.policy(scene.developer, "action_blocklist", actions=["email:read"])
    token = scene.tokens["accessToken"]
    for enabled, allowed in ((False, True), (True, False), (False, True)):
        body = {"enabled": enabled}
        expect(200, scene.gate.call("PATCH", f"/policies/{policy}", body, **scene.developer.headers))
        assert {scene.gate.verify(token)["allowed"] for _ in range(8)} == {allowed}


@on_postgresql
def test_revoking_a_consent_does_not_affect_another_agent(scene: Scene) -> None:
    other = scene.gate.tokens(scene.gate.agent(scene.developer), scene.person)

    revoke_consent(scene)

    assert scene.gate.verify(other["accessToken"])["allowed"] is True
    assert scene.gate.verify(scene.tokens["accessToken"])["reason"] == "consent_revoked"


@on_postgresql
def test_revoking_an_unknown_token_succeeds(gate: Gate) -> None:
    assert expect(200, gate.post("/tokens/revoke", {"token": "never-issued"})) == {"revoked": True}


@pytest.mark.soak
@pytest.mark.parametrize("round_", range(20))
def test_repeated_revocations_apply_at_once(scene: Scene, round_: int) -> None:
    assert_linearizable(scene, scene.tokens["accessToken"], *REVOCATIONS[ON_SQLITE[round_ % len(ON_SQLITE)]])
