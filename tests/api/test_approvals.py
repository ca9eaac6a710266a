"""Approvals over HTTP: who reads what, the decisions of users, and every refusal."""

import base64
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from accounts.models import User
from agents.models import Agent
from approvals.models import Approval
from consent.models import Consent
from consent.services import revoke_consent
from core import clock
from core.actor import SYSTEM
from developers.models import Organization
from developers.services import suspend_organization
from tests.api.conftest import Api, Json, code_for, credentials, expect, initiate, new_agent, problem
from tests.approvals import EMAIL, make_approval
from tests.log import log_entries
from tests.shared import cases

BOOKS = "https://books.example"
DAY = 86_400
Ask = Callable[..., Approval]


def basic(name: str, secret: str) -> Api:
    return Api(Authorization="Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode())


def as_agent(agent: Json) -> Api:
    return basic(agent["clientId"], agent["clientSecret"])


def new_service(owner: Api, identifier: str = BOOKS) -> Api:
    body = {"name": "Service", "identifier": identifier, "scopes": ["email:send"]}
    server = expect(201, owner.post("/resource-servers", body))
    return basic(server["id"], server["secret"])


@pytest.fixture
def granted(agent: Json, ada: Any) -> Consent:
    consent_id = initiate(agent)
    expect(200, ada.post(f"/consent/{consent_id}/approve"))
    return Consent.objects.get(id=consent_id)


@pytest.fixture
def ask_ada(granted: Consent) -> Ask:
    def ask(**fields: Any) -> Approval:
        return make_approval(granted, **fields)

    return ask


@pytest.fixture
def asked(ask_ada: Ask) -> Approval:
    return ask_ada()


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    def move(time: timedelta) -> None:
        moment = clock.now() + time
        monkeypatch.setattr(clock, "now", lambda: moment)

    return move


def path(approval: Approval, act: str = "") -> str:
    return f"/approvals/{approval.id}" + (f"/{act}" if act else "")


def status_of(approval: Approval) -> str:
    return str(Approval.objects.get(pk=approval.pk).status)


def logged(event: str) -> list[Any]:
    return [entry for entry in log_entries() if entry.content["event"] == event]


class TestReading:
    def test_the_agent_sees_the_status_and_the_code(self, agent: Json, asked: Approval) -> None:
        answer = as_agent(agent).get(path(asked))
        assert answer["Cache-Control"] == "no-store"
        assert expect(200, answer) == {
            "id": asked.id,
            "status": "pending",
            "expiresAt": clock.rfc3339(asked.expires_at),
            "code": asked.code,
        }

    def test_the_user_sees_all_agents_of_a_chain(self, agent: Json, ada: Any, ask_ada: Ask) -> None:
        chain = [["agt_first", None], [agent["id"], "del_1"]]
        found = expect(200, ada.get(path(ask_ada(chain=chain))))
        assert found["agent"]["id"] == agent["id"]
        assert found["chain"] == [
            {"agentId": "agt_first", "delegationId": None, "name": "agt_first"},
            {"agentId": agent["id"], "delegationId": "del_1", "name": "SmartMail"},
        ]

    def test_a_resource_server_of_the_agents_organization_sees_only_the_status(
        self, developer: Api, asked: Approval
    ) -> None:
        assert set(expect(200, new_service(developer).get(path(asked)))) == {"id", "status", "expiresAt"}

    def test_a_resource_server_of_the_services_organization_sees_only_the_status(
        self, rival: Api, ask_ada: Ask
    ) -> None:
        first, second = new_service(rival), new_service(rival, "https://notes.example")
        organization = Organization.objects.get(resource_servers__identifier=BOOKS)
        asked = ask_ada(service_organization_id=organization.id)
        for service in (first, second):
            assert set(expect(200, service.get(path(asked)))) == {"id", "status", "expiresAt"}

    def test_a_resource_server_of_another_organization_sees_nothing(self, rival: Api, ask_ada: Ask) -> None:
        service = new_service(rival)
        for asked in (ask_ada(), ask_ada(service_organization_id="org_other", organization_id=None)):
            problem(service.get(path(asked)), 404, "not_found")

    def test_the_user_sees_what_is_asked(self, agent: Json, ada: Any, asked: Approval) -> None:
        assert expect(200, ada.get(path(asked))) == {
            "id": asked.id,
            "status": "pending",
            "expiresAt": clock.rfc3339(asked.expires_at),
            "code": asked.code,
            "consentId": asked.consent_id,
            "agent": {"id": agent["id"], "name": "SmartMail"},
            "scopes": [{"id": "email:send", "title": "Send email as you", "riskLevel": "high"}],
            "action": "",
            "resource": "",
            "service": None,
            "serviceAuthenticated": False,
            "audience": [],
            "context": EMAIL,
            "createdAt": clock.rfc3339(asked.created_at),
            "decidedAt": None,
            "isStanding": False,
            "critical": False,
            "held": False,
            "askedScopes": ["email:send"],
            "ruleType": None,
        }

    def test_anybody_else_gets_the_answer_to_a_random_id(
        self, developer: Api, rival: Api, bob: Any, asked: Approval
    ) -> None:
        others = [bob, as_agent(new_agent(rival)), as_agent(new_agent(developer, name="Sibling"))]
        for other in others:
            answers = [
                problem(other.get(f"/approvals/{one}"), 404, "not_found") for one in (asked.id, "apr_" + "0" * 32)
            ]
            assert answers[0]["detail"] == answers[1]["detail"]

    @cases("act", ["approve", "deny", "revoke"])
    def test_other_users_cannot_decide(self, bob: Any, agent: Json, asked: Approval, act: str) -> None:
        problem(bob.post(path(asked, act)), 404, "not_found")
        problem(Api().post(path(asked, act)), 401, "not_authenticated")
        problem(as_agent(agent).post(path(asked, act)), 401, "not_authenticated")
        assert status_of(asked) == "pending"

    def test_needs_a_credential_of_the_right_kind(self, developer: Api, agent: Json, asked: Approval) -> None:
        assert Api().get(path(asked))["WWW-Authenticate"].startswith("Bearer")
        wrong = [
            basic(agent["clientId"], "ags_wrong"),
            basic("agc_none", "x"),
            basic("", "x"),
            Api(Authorization="Basic !"),
        ]
        for caller in [*wrong, basic("res_none", "rs_x")]:
            answer = caller.get(path(asked))
            assert (answer.status_code, answer["WWW-Authenticate"][:5]) == (401, "Basic")
        problem(developer.get(path(asked)), 403, "forbidden")
        two = {**as_agent(agent).headers, **developer.headers}
        problem(Api(**two).get(path(asked)), 401, "multiple_credentials")

    def test_wrong_secrets_are_throttled_and_the_right_one_passes(
        self, agent: Json, asked: Approval, settings: Any
    ) -> None:
        settings.THROTTLE_CLIENT_AUTH = "2/minute"
        wrong = basic(agent["clientId"], "ags_wrong")
        assert [wrong.get(path(asked)).status_code for _ in range(3)] == [401, 401, 429]
        assert basic("res_none", "rs_wrong").get(path(asked)).status_code == 429
        expect(200, as_agent(agent).get(path(asked)))

    def test_a_suspended_agent_is_refused(self, developer: Api, agent: Json, asked: Approval) -> None:
        expect(200, developer.patch(f"/agents/{agent['id']}", {"status": "suspended"}))
        problem(as_agent(agent).get(path(asked)), 403, "agent_suspended")

    def test_a_service_of_a_suspended_organization_is_refused(self, rival: Api, ask_ada: Ask) -> None:
        body = {"name": "Books", "identifier": BOOKS, "scopes": ["email:send"]}
        server = expect(201, rival.post("/resource-servers", body))
        organization = Organization.objects.get(resource_servers__id=server["id"])
        suspend_organization(actor=SYSTEM, organization=organization, reason="Fraud.")
        asked = ask_ada(service_organization_id=organization.id)
        problem(basic(server["id"], server["secret"]).get(path(asked)), 403, "organization_suspended")

    @cases("wait", ["-1", "31", "x", "1.5"])
    def test_wait_must_be_0_to_30_seconds(self, agent: Json, asked: Approval, wait: str) -> None:
        problem(as_agent(agent).get(f"{path(asked)}?wait={wait}"), 400, "validation_failed", "wait")

    def test_without_the_front_nothing_waits_and_no_marker_is_sent(self, agent: Json, asked: Approval) -> None:
        answer = as_agent(agent).get(f"{path(asked)}?wait=30", X_AgentGate_Park="x", AgentGate_May_Park="1")
        assert expect(200, answer)["status"] == "pending"
        assert "X-AgentGate-Park" not in answer

    def test_what_has_expired_says_so_before_the_sweep(
        self, ada: Any, asked: Approval, later: Callable[[timedelta], None]
    ) -> None:
        later(timedelta(hours=1))
        assert expect(200, ada.get(path(asked)))["status"] == "expired"
        assert status_of(asked) == "pending"


class TestListing:
    def test_newest_first_by_status_and_in_pages(self, ada: Any, bob: Any, ask_ada: Ask) -> None:
        first, second, third = (ask_ada() for _ in range(3))
        expect(200, ada.post(path(second, "deny")))
        lapsed = ask_ada(expires_at=clock.now())

        def ids(query: str = "") -> list[str]:
            return [item["id"] for item in expect(200, ada.get(f"/approvals{query}"))["items"]]

        assert ids() == [lapsed.id, third.id, second.id, first.id]
        assert ids("?status=pending") == [third.id, first.id]
        assert ids("?status=denied") == [second.id]
        assert ids("?status=expired") == [lapsed.id]
        assert ids("?status=approved") == ids("?status=used") == []
        page = expect(200, ada.get("/approvals?limit=3"))
        assert [item["id"] for item in page["items"]] == [lapsed.id, third.id, second.id]
        rest = expect(200, ada.get(f"/approvals?limit=3&cursor={page['nextCursor']}"))
        assert ([item["id"] for item in rest["items"]], rest["nextCursor"]) == ([first.id], None)
        assert expect(200, bob.get("/approvals"))["items"] == []

    def test_refusals(self, ada: Any, agent: Json, developer: Api) -> None:
        problem(ada.get("/approvals?status=revoked"), 400, "validation_failed", "status")
        problem(as_agent(agent).get("/approvals"), 401, "not_authenticated")
        problem(developer.get("/approvals"), 403, "forbidden")


class TestApprovingOnce:
    def test_can_be_used_for_an_hour(self, agent: Json, ada: Any, asked: Approval) -> None:
        before = clock.now()
        shown = expect(200, ada.post(path(asked, "approve"), {"for": "once"}))
        assert (shown["status"], shown["isStanding"]) == ("approved", False)
        approved = Approval.objects.get(pk=asked.pk)
        assert before < approved.decided_at < clock.now()
        assert approved.expires_at == approved.decided_at + timedelta(hours=1)
        assert expect(200, as_agent(agent).get(path(asked)))["status"] == "approved"

    def test_never_beyond_the_connection(self, ada: Any, granted: Consent, asked: Approval) -> None:
        end = clock.now() + timedelta(minutes=5)
        Consent.objects.filter(pk=granted.pk).update(expires_at=end)
        expect(200, ada.post(path(asked, "approve")))
        assert Approval.objects.get(pk=asked.pk).expires_at == end

    def test_takes_no_duration(self, ada: Any, asked: Approval) -> None:
        answer = ada.post(path(asked, "approve"), {"expiresInSeconds": 60})
        problem(answer, 400, "validation_failed", "expiresInSeconds")
        assert status_of(asked) == "pending"

    def test_is_logged(self, developer: Api, agent: Json, ada: Any, ask_ada: Ask) -> None:
        asked = ask_ada(resource="https://mail.example/drafts/1", action="email:send")
        expect(200, ada.post(path(asked, "approve")))
        (entry,) = logged("approval.approved")
        assert entry.content["outcome"] == "allowed"
        assert entry.content["consentId"] == asked.consent_id
        (seen,) = expect(200, developer.get("/audit?event=approval.approved"))["items"]
        assert (seen["agentId"], seen["userId"], seen["scopes"]) == (agent["id"], ada.id, ["email:send"])
        assert (seen["action"], seen["resource"]) == ("email:send", "https://mail.example/drafts/1")
        assert seen["metadata"]["approvalId"] == asked.id
        assert seen["metadata"]["for"] == "once"
        assert seen["ip"] is None
        (own,) = expect(200, ada.get("/users/me/audit-logs?event=approval.approved"))["items"]
        assert own["metadata"] == seen["metadata"]


class TestApprovingForATarget:
    def test_stands_for_a_time(self, ada: Any, asked: Approval) -> None:
        body = {"for": "target", "expiresInSeconds": DAY}
        shown = expect(200, ada.post(path(asked, "approve"), body))
        assert (shown["status"], shown["isStanding"]) == ("approved", True)
        approved = Approval.objects.get(pk=asked.pk)
        assert approved.expires_at == approved.decided_at + timedelta(days=1)
        (entry,) = logged("approval.approved")
        assert entry.content["metadata"]["for"] == "target"

    @cases("seconds", [0, -1, 31 * DAY, 2**53 - 1, 1.5, "60", None, True])
    def test_at_most_until_the_connection_ends(self, ada: Any, asked: Approval, seconds: Any) -> None:
        body = {"for": "target", "expiresInSeconds": seconds}
        problem(ada.post(path(asked, "approve"), body), 400, "validation_failed", "expiresInSeconds")
        assert status_of(asked) == "pending"

    def test_needs_a_duration(self, ada: Any, asked: Approval) -> None:
        problem(ada.post(path(asked, "approve"), {"for": "target"}), 400, "validation_failed", "expiresInSeconds")

    def test_is_refused_for_a_critical_request(self, ada: Any, ask_ada: Ask) -> None:
        asked = ask_ada(is_critical=True)
        body = {"for": "target", "expiresInSeconds": 60}
        problem(ada.post(path(asked, "approve"), body), 400, "validation_failed", "for")
        assert status_of(asked) == "pending"

    @cases("body", [{"for": "ever"}, {"for": None}, {"for": "once", "until": 1}])
    def test_unknown_values_are_named(self, ada: Any, asked: Approval, body: Json) -> None:
        (field,) = body.keys() - {"expiresInSeconds"} - ({"for"} if len(body) > 1 else set())
        problem(ada.post(path(asked, "approve"), body), 400, "validation_failed", field)

    def test_can_be_revoked(self, ada: Any, asked: Approval) -> None:
        expect(200, ada.post(path(asked, "approve"), {"for": "target", "expiresInSeconds": DAY}))
        revoked = expect(200, ada.post(path(asked, "revoke")))
        assert revoked["status"] == "expired"
        assert expect(200, ada.post(path(asked, "revoke"))) == revoked
        (entry,) = logged("approval.revoked")
        assert entry.content["metadata"] == {"approvalId": asked.id}
        assert Approval.objects.get(pk=asked.pk).expires_at <= clock.now()

    def test_others_cannot_be_revoked(self, ada: Any, ask_ada: Ask) -> None:
        pending, once = ask_ada(), ask_ada()
        expect(200, ada.post(path(once, "approve")))
        for approval in (pending, once):
            problem(ada.post(path(approval, "revoke")), 409, "approval_not_standing")
        assert status_of(once) == "approved"
        assert logged("approval.revoked") == []


class TestCriticalRequests:
    def test_need_a_recent_sign_in(self, ada: Any, ask_ada: Ask, later: Callable[[timedelta], None]) -> None:
        asked, ordinary = ask_ada(is_critical=True), ask_ada()
        later(timedelta(minutes=5))
        problem(ada.post(path(asked, "approve")), 403, "reauthentication_required")
        assert status_of(asked) == "pending"
        expect(200, ada.post(path(ordinary, "approve")))
        expect(200, ada.post(path(asked, "deny")))

    def test_are_approved_after_one(self, ada: Any, ask_ada: Ask) -> None:
        asked = ask_ada(is_critical=True)
        expect(200, ada.post(path(asked, "approve")))
        assert status_of(asked) == "approved"


class TestDenying:
    def test_denies_and_is_logged(self, agent: Json, ada: Any, asked: Approval) -> None:
        shown = expect(200, ada.post(path(asked, "deny")))
        assert shown["status"] == "denied"
        assert expect(200, as_agent(agent).get(path(asked)))["status"] == "denied"
        (entry,) = logged("approval.denied")
        assert (entry.content["outcome"], entry.content["metadata"]) == ("denied", {"approvalId": asked.id})

    def test_can_pause_the_agent(self, ada: Any, granted: Consent, ask_ada: Ask) -> None:
        asked, other = ask_ada(), ask_ada()
        expect(200, ada.post(path(asked, "deny"), {"pauseAgent": True}))
        assert status_of(asked) == "denied"
        assert Consent.objects.get(pk=granted.pk).paused_at
        assert [len(logged(event)) for event in ("approval.denied", "agent.paused")] == [1, 1]
        problem(ada.post(path(asked, "deny"), {"pauseAgent": True}), 409, "approval_already_decided")
        expect(200, ada.post(path(other, "deny"), {"pauseAgent": True}))
        assert len(logged("agent.paused")) == 1

    def test_of_an_ended_connection_pauses_nothing(self, ada: Any, granted: Consent, asked: Approval) -> None:
        revoke_consent(actor=SYSTEM, consent=granted)
        expect(200, ada.post(path(asked, "deny"), {"pauseAgent": True}))
        assert (status_of(asked), logged("agent.paused")) == ("denied", [])

    def test_of_a_replaced_connection_pauses_the_current_one(self, ada: Any, agent: Json, asked: Approval) -> None:
        code_for(agent, ada)
        expect(200, ada.post(path(asked, "deny"), {"pauseAgent": True}))
        assert Consent.objects.get(status="approved").paused_at

    @cases("body", [{"pauseAgent": 1}, {"pauseAgent": None}, {"pause": True}])
    def test_what_is_sent_is_checked(self, ada: Any, asked: Approval, body: Json) -> None:
        problem(ada.post(path(asked, "deny"), body), 400, "validation_failed", *body)
        assert status_of(asked) == "pending"

    @cases("first", ["approve", "deny"])
    @cases("second", ["approve", "deny"])
    def test_the_second_decision_says_the_firsts_outcome(
        self, ada: Any, asked: Approval, first: str, second: str
    ) -> None:
        expect(200, ada.post(path(asked, first)))
        before = status_of(asked)
        answer = problem(ada.post(path(asked, second)), 409, "approval_already_decided")
        assert before in answer["detail"]
        assert status_of(asked) == before
        assert len(logged("approval.approved")) + len(logged("approval.denied")) == 1

    def test_what_was_used_was_approved(self, ada: Any, ask_ada: Ask) -> None:
        asked = ask_ada(status="used", decided_at=clock.now())
        answer = problem(ada.post(path(asked, "deny")), 409, "approval_already_decided")
        assert "approved and used" in answer["detail"]

    @cases("act", ["approve", "deny"])
    @cases("status", ["pending", "expired"])
    def test_too_late(self, ada: Any, ask_ada: Ask, act: str, status: str) -> None:
        asked = ask_ada(expires_at=clock.now(), status=status)
        problem(ada.post(path(asked, act)), 410, "approval_expired")
        assert status_of(asked) == status
        assert logged("approval.approved") + logged("approval.denied") == []

    def test_an_approval_that_has_lapsed_was_decided(self, ada: Any, ask_ada: Ask) -> None:
        asked = ask_ada(expires_at=clock.now(), status="approved", decided_at=clock.now())
        problem(ada.post(path(asked, "deny")), 409, "approval_already_decided")


class TestConnections:
    """An approval that the agent could not use cannot be given. It can be denied."""

    @pytest.fixture(autouse=True)
    def _check_denial(self, ada: Any, asked: Approval) -> Any:
        yield
        assert status_of(asked) == "pending"
        expect(200, ada.post(path(asked, "deny")))

    def refuse(self, ada: Any, asked: Approval, words: str) -> None:
        answer = problem(ada.post(path(asked, "approve")), 409, "connection_inactive")
        assert words in answer["detail"]

    def test_revoked(self, ada: Any, granted: Consent, asked: Approval) -> None:
        revoke_consent(actor=SYSTEM, consent=granted)
        self.refuse(ada, asked, "revoked")

    def test_replaced(self, ada: Any, agent: Json, asked: Approval) -> None:
        code_for(agent, ada)
        self.refuse(ada, asked, "replaced")

    def test_expired(self, ada: Any, granted: Consent, asked: Approval) -> None:
        Consent.objects.filter(pk=granted.pk).update(expires_at=clock.now())
        self.refuse(ada, asked, "expired")

    def test_paused(self, ada: Any, granted: Consent, asked: Approval) -> None:
        Consent.objects.filter(pk=granted.pk).update(paused_at=clock.now())
        self.refuse(ada, asked, "paused")

    def test_all_agents_paused(self, ada: Any, asked: Approval) -> None:
        User.objects.filter(pk=ada.id).update(agents_paused_at=clock.now())
        self.refuse(ada, asked, "paused")

    def test_withdrawn_scopes(self, ada: Any, developer: Api, agent: Json, asked: Approval) -> None:
        expect(200, developer.patch(f"/agents/{agent['id']}", {"allowedScopes": ["email:read"]}))
        self.refuse(ada, asked, "no longer includes")

    def test_stopped_agent(self, ada: Any, agent: Json, asked: Approval) -> None:
        Agent.objects.filter(pk=agent["id"]).update(stopped_at=clock.now())
        problem(ada.post(path(asked, "approve")), 403, "agent_suspended")


def test_credentials_in_the_query_are_ignored(agent: Json, asked: Approval) -> None:
    query = "&".join(f"{name}={value}" for name, value in credentials(agent).items())
    problem(Api().get(f"{path(asked)}?{query}"), 401, "not_authenticated")


def test_the_code_depends_on_the_id_and_the_content(ask_ada: Ask) -> None:
    first, second = ask_ada(digest="0" * 64), ask_ada(digest="0" * 64)
    changed = Approval(id=first.id, digest="1" * 64)
    assert len({first.code, second.code, changed.code}) == 3
    assert len(first.code) == 4
