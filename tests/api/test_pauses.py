"""A user pauses an agent, or all agents. Only the user lifts a pause, and no stop lifts another."""

from itertools import permutations
from typing import Any

import pytest

from accounts.models import User
from agents.emergency import lift_emergency_stop, stop_everything
from agents.models import Agent
from agents.services import lift_agent_stop, stop_agent, update_agent
from consent.models import Consent
from consent.pausing import pause_agent, pause_all_agents, resume_agent, resume_all_agents
from core.actor import SYSTEM, Actor
from developers.services import reactivate_organization, suspend_organization
from tests.api.conftest import Api, Json, credentials, expect, new_agent, problem, tokens_for, verify
from tests.log import log_entries
from tests.shared import cases

WHY = "It wrote to my boss."


def path_of(tokens: Json, act: str) -> str:
    return f"/users/me/consents/{tokens['consentId']}/{act}"


def reason_for(tokens: Json) -> str | None:
    reason: str | None = verify(tokens["accessToken"]).get("reason")
    return reason


class Stops:
    """Every stop, each made and lifted by the person who may."""

    def __init__(self, developer: Api, agent: Json, ada: Api, tokens: Json) -> None:
        self.developer, self.agent, self.ada, self.tokens = developer, agent, ada, tokens

    @property
    def user(self) -> Actor:
        return SYSTEM.acting_as("user", self.ada.id)  # type: ignore[attr-defined]

    @property
    def consent(self) -> Consent:
        return Consent.objects.select_related("user").get(pk=self.tokens["consentId"])

    @property
    def row(self) -> Agent:
        return Agent.objects.select_related("organization").get(pk=self.agent["id"])

    def make(self, name: str) -> None:
        match name:
            case "pause":
                pause_agent(actor=self.user, consent=self.consent, reason=WHY)
            case "pause all":
                pause_all_agents(actor=self.user, user=self.consent.user)
            case "suspend":
                update_agent(actor=SYSTEM, agent=self.row, changes={"status": "suspended"})
            case "stop":
                assert stop_agent(actor=SYSTEM, agent=self.row, reason="Spam.")
            case "organization":
                assert suspend_organization(actor=SYSTEM, organization=self.row.organization, reason="Fraud.")
            case "everything":
                assert stop_everything(actor=SYSTEM, reason="Attack.")

    def lift(self, name: str) -> None:
        match name:
            case "pause":
                resume_agent(actor=self.user, consent=self.consent, user=self.consent.user)
            case "pause all":
                resume_all_agents(actor=self.user, user=self.consent.user)
            case "suspend" if self.row.organization.may_act:
                update_agent(actor=SYSTEM, agent=self.row, changes={"status": "active"})
            case "suspend":
                Agent.objects.filter(pk=self.row.pk).update(status="active")
            case "stop":
                assert lift_agent_stop(actor=SYSTEM, agent=self.row, reason="Cleared.")
            case "organization":
                assert reactivate_organization(actor=SYSTEM, organization=self.row.organization, reason="Cleared.")
            case "everything":
                assert lift_emergency_stop(actor=SYSTEM, reason="Over.")


REASONS = {
    "pause": "consent_paused",
    "pause all": "consent_paused",
    "suspend": "agent_suspended",
    "stop": "agent_suspended",
    "organization": "organization_suspended",
    "everything": "service_suspended",
}


@pytest.fixture
def stops(developer: Api, agent: Json, ada: Any, tokens: Json) -> Stops:
    return Stops(developer, agent, ada, tokens)


@cases("name", REASONS)
def test_each_stop_alone_denies_until_it_is_lifted(name: str, stops: Stops) -> None:
    assert reason_for(stops.tokens) is None
    stops.make(name)

    assert reason_for(stops.tokens) == REASONS[name]

    stops.lift(name)
    assert reason_for(stops.tokens) is None


@cases(("first", "second"), permutations(REASONS, 2))
def test_lifting_one_of_two_stops_leaves_the_other_in_force(first: str, second: str, stops: Stops) -> None:
    names = [first, second]
    made = names if first != "organization" else names[::-1]  # a suspended organization cannot suspend its agent
    for name in made:
        stops.make(name)

    stops.lift(first)
    assert reason_for(stops.tokens) == REASONS[second]

    stops.lift(second)
    assert reason_for(stops.tokens) is None


def test_all_stops_together_deny_until_the_last_is_lifted(stops: Stops) -> None:
    for name in REASONS:
        stops.make(name)

    for name in REASONS:
        assert reason_for(stops.tokens) is not None
        stops.lift(name)

    assert reason_for(stops.tokens) is None


def test_a_pause_is_shown_with_the_consent(stops: Stops, ada: Any, tokens: Json) -> None:
    paused = expect(200, ada.post(path_of(tokens, "pause")))

    (consent,) = expect(200, ada.get("/users/me/consents"))["items"]
    assert paused == {"id": tokens["consentId"], "pausedAt": consent["pausedAt"]}
    assert (consent["status"], consent["pausedAt"][-1]) == ("approved", "Z")
    assert expect(200, ada.get(f"/consent/{tokens['consentId']}"))["pausedAt"] == consent["pausedAt"]
    assert expect(200, stops.developer.get(f"/consent/{tokens['consentId']}"))["pausedAt"] == consent["pausedAt"]
    stops.lift("pause")
    assert expect(200, ada.get("/users/me/consents"))["items"][0]["pausedAt"] is None


def test_pausing_and_resuming_twice_change_nothing(ada: Any, tokens: Json) -> None:
    for act in ("pause", "resume"):
        once, again = (expect(200, ada.post(path_of(tokens, act))) for _ in range(2))
        assert once == again
        once, again = (expect(200, ada.post(f"/users/me/agents/{act}")) for _ in range(2))
        assert once == again

    events = list(log_entries(event__in=["agent.paused", "agent.resumed"]).values_list("event", flat=True))
    assert events == ["agent.resumed", "agent.paused"]
    events = list(log_entries(event__in=["agents.paused", "agents.resumed"]).values_list("event", flat=True))
    assert events == ["agents.resumed", "agents.paused"]


def test_only_the_user_reads_the_reason(developer: Api, ada: Any, tokens: Json) -> None:
    expect(200, ada.post(path_of(tokens, "pause"), {"reason": WHY}))

    (own,) = expect(200, ada.get("/users/me/audit-logs?event=agent.paused"))["items"]
    answer = developer.get("/audit?event=agent.paused")
    (theirs,) = expect(200, answer)["items"]
    assert own["id"] == theirs["id"]
    assert theirs["consentId"] == tokens["consentId"]
    assert WHY not in answer.content.decode()
    assert expect(200, ada.get(path_of(tokens, "stop")))["proof"]["reason"] == WHY
    assert WHY not in developer.get(f"/audit/{own['id']}/proof").content.decode()
    assert expect(200, developer.get("/audit?event=agents.paused"))["items"] == []


def test_a_pause_of_all_agents_is_in_the_users_log(ada: Any, tokens: Json) -> None:
    expect(200, ada.post("/users/me/agents/pause", {"reason": WHY}))

    assert expect(200, ada.get("/users/me/audit-logs?limit=1"))["items"][0]["event"] == "agents.paused"
    assert expect(200, ada.get("/users/me/agents/stop"))["proof"]["reason"] == WHY


@cases("act", ["pause", "resume", "stop"])
def test_a_pause_is_for_the_user_alone(act: str, developer: Api, bob: Any, ada: Any, tokens: Json) -> None:
    call = "get" if act == "stop" else "post"
    for path in (path_of(tokens, act), f"/users/me/agents/{act}"):
        problem(getattr(developer, call)(path), 403, "forbidden")
        problem(getattr(Api(), call)(path), 401, "not_authenticated")
    problem(getattr(bob, call)(path_of(tokens, act)), 404, "not_found")
    problem(getattr(bob, call)(f"/users/{ada.id}/agents/{act}"), 404, "not_found")


def test_another_users_agents_are_not_paused(agent: Json, ada: Any, bob: Any, tokens: Json) -> None:
    theirs = tokens_for(agent, bob)
    expect(200, ada.post("/users/me/agents/pause"))
    expect(200, ada.post(path_of(tokens, "pause")))

    assert reason_for(theirs) is None


@cases("body", [{"reason": "x" * 301}, {"reason": 1}, {"reason": "a\u202eb"}])
def test_a_reason_is_one_short_line(body: Json, ada: Any, tokens: Json) -> None:
    problem(ada.post(path_of(tokens, "pause"), body), 400, "validation_failed", "reason")
    problem(ada.post("/users/me/agents/pause", body), 400, "validation_failed", "reason")
    assert reason_for(tokens) is None


def test_an_ended_connection_is_neither_paused_nor_resumed(ada: Any, tokens: Json) -> None:
    expect(200, ada.post(path_of(tokens, "revoke")))

    problem(ada.post(path_of(tokens, "pause")), 409, "not_connected")
    problem(ada.post(path_of(tokens, "resume")), 409, "not_connected")


def test_a_consent_that_replaces_a_paused_one_is_paused(agent: Json, ada: Any, tokens: Json) -> None:
    paused = expect(200, ada.post(path_of(tokens, "pause")))
    later = tokens_for(agent, ada)

    assert reason_for(tokens) == reason_for(later) == "consent_paused"
    assert Consent.objects.get(pk=later["consentId"]).paused_at is not None
    assert expect(200, ada.post(path_of(tokens, "pause"))) == {**paused, "id": later["consentId"]}

    # The id of the replaced consent resumes the connection.
    assert expect(200, ada.post(path_of(tokens, "resume"))) == {"id": later["consentId"], "pausedAt": None}
    assert reason_for(tokens) is reason_for(later) is None


def test_a_new_connection_after_a_revocation_is_not_paused(agent: Json, ada: Any, tokens: Json) -> None:
    expect(200, ada.post(path_of(tokens, "pause")))
    expect(200, ada.post(path_of(tokens, "revoke")))

    assert reason_for(tokens_for(agent, ada)) is None
    assert expect(200, ada.get(path_of(tokens, "stop")))["proof"]["until"] is not None


def test_agents_allowed_while_all_are_paused_are_paused(developer: Api, agent: Json, ada: Any) -> None:
    expect(200, ada.post("/users/me/agents/pause"))

    assert reason_for(tokens_for(agent, ada)) == "consent_paused"


def test_a_paused_agent_keeps_its_tokens(agent: Json, ada: Any, tokens: Json) -> None:
    expect(200, ada.post(path_of(tokens, "pause")))
    refresh = {"refreshToken": tokens["refreshToken"], **credentials(agent)}
    renewed = expect(200, Api().post("/tokens/refresh", refresh))
    assert reason_for(renewed) == "consent_paused"

    expect(200, ada.post(path_of(tokens, "resume")))
    assert reason_for(renewed) is None


def test_the_preview_counts_what_the_pause_hits(developer: Api, agent: Json, ada: Any, bob: Any, tokens: Json) -> None:
    for _ in range(3):
        assert verify(tokens["accessToken"])["allowed"]
    verify(tokens["accessToken"], "calendar:write")
    assert verify(tokens_for(agent, bob)["accessToken"])["allowed"]

    for path in (path_of(tokens, "stop"), "/users/me/agents/stop"):
        shown = expect(200, ada.get(path))
        assert (shown["pausedAt"], shown["proof"]) == (None, None)
        last = shown["impact"].pop("lastAllowedAt")
        assert last.endswith("Z")
        assert shown["impact"] == {"connections": 1, "agents": 1, "liveTokens": 1, "allowedLastDay": 3}
    impact = expect(200, developer.get(f"/agents/{agent['id']}/stop"))["impact"]
    assert impact.pop("lastAllowedAt") >= last
    assert impact == {"connections": 2, "users": 2, "liveTokens": 2, "allowedLastDay": 4}


def test_nothing_is_hit_where_nothing_is_connected(developer: Api, bob: Any) -> None:
    agent = new_agent(developer)
    nothing = {"connections": 0, "liveTokens": 0, "allowedLastDay": 0, "lastAllowedAt": None}
    assert expect(200, bob.get("/users/me/agents/stop"))["impact"] == {**nothing, "agents": 0}
    assert expect(200, developer.get(f"/agents/{agent['id']}/stop"))["impact"] == {**nothing, "users": 0}


def test_what_was_revoked_is_not_hit(developer: Api, agent: Json, ada: Any, tokens: Json) -> None:
    expect(200, ada.post(path_of(tokens, "revoke")))

    impact = expect(200, ada.get(path_of(tokens, "stop")))["impact"]
    assert (impact["connections"], impact["agents"], impact["liveTokens"]) == (0, 0, 0)


@cases("name", ["pause", "pause all", "suspend", "stop"])
def test_the_proof_of_a_stop(name: str, stops: Stops) -> None:
    before = verify(stops.tokens["accessToken"])["auditId"]
    stops.make(name)
    for _ in range(2):
        assert not verify(stops.tokens["accessToken"])["allowed"]

    proof = proof_of(name, stops)
    assert proof["lastAllowed"]["id"] == before
    assert (proof["allowedAfter"], proof["until"], proof["checkpoint"]) == (0, None, None)
    log_entries()  # moves the journal into the log
    proof = proof_of(name, stops)
    assert proof["lastAllowed"]["index"] < proof["index"]
    assert (proof["allowedAfter"], proof["until"]) == (0, None)
    assert int(proof["checkpoint"].splitlines()[1]) > proof["index"]

    stops.lift(name)
    assert verify(stops.tokens["accessToken"])["allowed"]
    lifted = proof_of(name, stops)
    assert lifted["until"].endswith("Z")
    assert {**lifted, "until": None} == proof
    log_entries()
    assert proof_of(name, stops) == {**lifted, "checkpoint": proof_of(name, stops)["checkpoint"]}


def proof_of(name: str, stops: Stops) -> Json:
    caller, path = {
        "pause": (stops.ada, path_of(stops.tokens, "stop")),
        "pause all": (stops.ada, "/users/me/agents/stop"),
    }.get(name, (stops.developer, f"/agents/{stops.agent['id']}/stop"))
    proof: Json = expect(200, caller.get(path))["proof"]
    return proof


@cases(("kept", "lifted"), [*permutations(["suspend", "stop"])])
def test_the_proof_of_an_agent_is_of_the_stop_in_force(kept: str, lifted: str, stops: Stops) -> None:
    events = {"suspend": "agent.suspended", "stop": "agent.stopped"}
    for name in (kept, lifted):
        stops.make(name)
    assert proof_of("stop", stops)["event"] == events[lifted]

    stops.lift(lifted)

    proof = proof_of("stop", stops)
    assert (proof["event"], proof["until"]) == (events[kept], None)


def test_a_stop_of_another_organizations_agent_is_absent(rival: Api, agent: Json) -> None:
    problem(rival.get(f"/agents/{agent['id']}/stop"), 404, "not_found")


def test_an_account_that_has_changed_resumes_nothing(ada: Any, tokens: Json, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that was authenticated before a password reset lifts no pause after it."""
    from api.v1 import stops as endpoints

    expect(200, ada.post(path_of(tokens, "pause")))
    expect(200, ada.post("/users/me/agents/pause"))

    def overtaken(resume: Any) -> Any:
        def act(**fields: Any) -> Any:
            User.objects.filter(pk=ada.id).update(password="changed")
            return resume(**fields)

        return act

    for path, name in ((path_of(tokens, "resume"), "resume_agent"), ("/users/me/agents/resume", "resume_all_agents")):
        before = User.objects.get(pk=ada.id).password
        monkeypatch.setattr(endpoints, name, overtaken(getattr(endpoints, name)))
        problem(ada.post(path), 401, "not_authenticated")
        User.objects.filter(pk=ada.id).update(password=before)
    assert User.objects.get(pk=ada.id).agents_paused_at is not None
    assert Consent.objects.get(pk=tokens["consentId"]).paused_at is not None
