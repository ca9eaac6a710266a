"""An agent can be suspended by its developer and stopped by an administrator. Neither can lift the other's stop."""

from itertools import permutations
from typing import Any

import pytest

from accounts.models import User
from agents.models import Agent
from tests.api.conftest import CALLBACK, Api, Json, code_for, credentials, expect, problem, verify
from tests.constants import PASSWORD
from tests.passkeys import enter_password
from tests.shared import cases

LIST = "/admin/agents/agent/"
REASON = "It sent spam."


class Administrator:
    """An administrator who uses the actions of the admin site on one agent."""

    def __init__(self, agent: Json) -> None:
        self.agent = agent
        User.objects.create_superuser("root@example.com", PASSWORD)
        self.site = enter_password("root@example.com")

    def act(self, action: str, reason: str = REASON) -> str:
        data = {"action": action, "_selected_action": self.agent["id"], "confirmed": "yes", "reason": reason}
        answer = self.site.post(LIST, data, follow=True)
        assert answer.status_code == 200
        return answer.content.decode()

    def stop(self) -> None:
        assert "1 row changed." in self.act("stop")

    def lift(self) -> None:
        assert "1 row changed." in self.act("lift_stop", "It was a mistake.")


@pytest.fixture
def administrator(agent: Json) -> Administrator:
    return Administrator(agent)


def switch(developer: Api, agent: Json, status: str) -> Json:
    return expect(200, developer.patch(f"/agents/{agent['id']}", {"status": status}))


def reason_for(tokens: Json) -> str | None:
    reason: str | None = verify(tokens["accessToken"]).get("reason")
    return reason


def test_a_developer_cannot_lift_an_administrators_stop(
    developer: Api, agent: Json, tokens: Json, administrator: Administrator
) -> None:
    administrator.stop()

    assert switch(developer, agent, "active")["status"] == "active"

    assert reason_for(tokens) == "agent_suspended"


def test_an_administrator_does_not_lift_a_developers_suspension(
    developer: Api, agent: Json, tokens: Json, administrator: Administrator
) -> None:
    switch(developer, agent, "suspended")
    administrator.stop()
    administrator.lift()

    shown = expect(200, developer.get(f"/agents/{agent['id']}"))
    assert (shown["status"], shown["stop"]) == ("suspended", None)
    assert reason_for(tokens) == "agent_suspended"


@cases("order", list(permutations(["switch", "stop"])), ids="-".join)
@cases("lifted", list(permutations(["switch", "stop"])), ids="-".join)
def test_lifting_one_of_two_stops_leaves_the_other_in_force(
    order: tuple[str, ...],
    lifted: tuple[str, ...],
    developer: Api,
    agent: Json,
    tokens: Json,
    administrator: Administrator,
) -> None:
    stops = {"switch": lambda: switch(developer, agent, "suspended"), "stop": administrator.stop}
    lifts = {"switch": lambda: switch(developer, agent, "active"), "stop": administrator.lift}
    assert reason_for(tokens) is None
    for name in order:
        stops[name]()
        assert reason_for(tokens) == "agent_suspended"

    lifts[lifted[0]]()
    assert reason_for(tokens) == "agent_suspended"

    lifts[lifted[1]]()
    assert reason_for(tokens) is None


def test_the_developer_sees_the_time_and_reason_of_the_stop(
    developer: Api, agent: Json, administrator: Administrator
) -> None:
    assert agent["stop"] is None
    administrator.stop()

    shown = expect(200, developer.get(f"/agents/{agent['id']}"))
    assert shown["status"] == "active"
    assert shown["stop"]["reason"] == REASON
    assert shown["stop"]["at"].endswith("Z")
    assert expect(200, developer.get("/agents"))["items"] == [shown]


def test_every_stop_is_in_the_organizations_log(developer: Api, agent: Json, administrator: Administrator) -> None:
    administrator.stop()
    administrator.lift()

    newest = expect(200, developer.get(f"/audit?agentId={agent['id']}&limit=2"))["items"]
    assert [entry["event"] for entry in newest] == ["agent.stop_lifted", "agent.stopped"]
    assert newest[1]["metadata"]["reason"] == REASON


@cases("field", ["stop", "stoppedAt", "stop_reason"])
def test_a_developer_cannot_send_the_stop_as_a_field(developer: Api, agent: Json, field: str) -> None:
    problem(developer.patch(f"/agents/{agent['id']}", {field: None}), 400, "validation_failed", field)


def test_a_stopped_agent_gets_no_consents_and_no_tokens(
    anonymous: Api, agent: Json, ada: Any, tokens: Json, administrator: Administrator
) -> None:
    code = code_for(agent, ada)
    body = {"clientId": agent["clientId"], "requestedScopes": ["email:read"], "redirectUri": CALLBACK}
    pending = expect(201, anonymous.post("/consent/initiate", body))["consentId"]
    administrator.stop()

    problem(anonymous.post("/consent/initiate", body), 403, "agent_suspended")
    problem(ada.post(f"/consent/{pending}/approve"), 403, "agent_suspended")
    problem(anonymous.post("/tokens/exchange", {"code": code, **credentials(agent)}), 400, "invalid_grant")
    refresh = {"refreshToken": tokens["refreshToken"], **credentials(agent)}
    problem(anonymous.post("/tokens/refresh", refresh), 400, "invalid_grant")

    administrator.lift()
    assert expect(200, ada.post(f"/consent/{pending}/approve"))["status"] == "approved"
    assert expect(200, anonymous.post("/tokens/refresh", refresh))["accessToken"]


def test_a_user_can_still_deny_a_stopped_agent(agent: Json, ada: Any, administrator: Administrator) -> None:
    body = {"clientId": agent["clientId"], "requestedScopes": ["email:read"], "redirectUri": CALLBACK}
    pending = expect(201, Api().post("/consent/initiate", body))["consentId"]
    administrator.stop()

    assert expect(200, ada.post(f"/consent/{pending}/deny"))["status"] == "denied"


def test_an_unknown_status_denies(agent: Json, tokens: Json) -> None:
    Agent.objects.update(status="retired")

    assert reason_for(tokens) == "agent_suspended"
