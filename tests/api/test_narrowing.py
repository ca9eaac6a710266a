"""A user narrows a connection at any time, and widens it only by a new consent."""

from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from consent.models import Consent
from tests.api.conftest import (
    Api,
    Json,
    code_for,
    credentials,
    expect,
    initiate,
    new_agent,
    problem,
    tokens_for,
    verify,
)
from tests.log import log_entries, log_entry
from tests.shared import cases

OFFICE = {"type": "ip_allowlist", "config": {"cidrs": ["203.0.113.0/24"]}}
HOME = {"type": "ip_allowlist", "config": {"cidrs": ["198.51.100.7"]}}
SCOPES = ["email:read", "email:send", "calendar:read"]


def rate(maximum: int, window: int = 3600, scope: str = "per_user") -> Json:
    return {"type": "rate_limit", "config": {"maxRequests": maximum, "windowSeconds": window, "scope": scope}}


TERMS: Json = {
    "modes": {"email:send": "ask"},
    "limits": {"email:send": [rate(10), OFFICE]},
    "guards": {"data_flow": "ask"},
}


@pytest.fixture
def connected(agent: Json, ada: Api) -> Json:
    """Return the tokens of a connection with terms."""
    consent = initiate(agent, requestedScopes=SCOPES)
    code = expect(200, ada.post(f"/consent/{consent}/approve", TERMS))["code"]
    return expect(200, Api().post("/tokens/exchange", {"code": code, **credentials(agent)}))


def path_of(tokens: Json) -> str:
    return f"/users/me/consents/{tokens['consentId']}"


def stored(tokens: Json) -> Json:
    return dict(Consent.objects.get(pk=tokens["consentId"]).terms)


def narrow(person: Api, tokens: Json, **body: Any) -> Json:
    return expect(200, person.patch(path_of(tokens), body))


def widening(person: Api, tokens: Json, *fields: str, **body: Any) -> None:
    """Check that the change is refused because of these fields, and changes nothing."""
    before = Consent.objects.filter(pk=tokens["consentId"]).values().get()
    problem(person.patch(path_of(tokens), body), 409, "would_widen", *fields)
    assert Consent.objects.filter(pk=tokens["consentId"]).values().get() == before
    assert not log_entries(event="consent.narrowed").exists()


class TestNarrowing:
    def test_asks_for_more_scopes(self, connected: Json, ada: Api) -> None:
        shown = narrow(ada, connected, modes={"email:read": "ask", "email:send": "ask", "calendar:read": "allow"})
        assert shown["modes"] == {"email:read": "ask", "email:send": "ask"}
        assert stored(connected)["modes"] == shown["modes"]
        assert (shown["limits"], shown["guards"]) == (TERMS["limits"], TERMS["guards"])

    def test_adds_and_tightens_limits(self, connected: Json, ada: Api) -> None:
        for limits in ([rate(9), OFFICE], [OFFICE, HOME, rate(3)], [OFFICE, HOME, rate(3), rate(1, 60)]):
            assert narrow(ada, connected, limits={"email:send": limits})["limits"] == {"email:send": limits}
        shown = narrow(ada, connected, limits={"email:read": [rate(1000)]})
        assert set(shown["limits"]) == {"email:read", "email:send"}

    def test_tightens_the_guard(self, connected: Json, ada: Api) -> None:
        assert narrow(ada, connected, guards={"data_flow": "deny"})["guards"] == {"data_flow": "deny"}

    def test_removes_scopes_at_once(self, connected: Json, ada: Api) -> None:
        assert verify(connected["accessToken"], "email:send").get("reason") != "insufficient_scope"
        shown = narrow(ada, connected, removeScopes=["email:send"])
        assert shown["grantedScopes"] == ["email:read", "calendar:read"]
        assert (shown["modes"], shown["limits"], shown["guards"]) == ({}, {}, TERMS["guards"])
        assert verify(connected["accessToken"], "email:send")["reason"] == "insufficient_scope"
        assert verify(connected["accessToken"])["allowed"] is True

    def test_ends_earlier(self, connected: Json, ada: Api) -> None:
        shown = narrow(ada, connected, expiresInSeconds=60)
        assert datetime.fromisoformat(shown["expiresAt"]) <= timezone.now() + timedelta(seconds=60)
        with time_machine.travel(timezone.now() + timedelta(seconds=61)):
            assert verify(connected["accessToken"])["reason"] == "consent_expired"

    def test_holds_for_the_next_request(self, connected: Json, ada: Api) -> None:
        assert verify(connected["accessToken"])["allowed"] is True
        narrow(ada, connected, modes={"calendar:read": "ask"}, limits={"email:read": [rate(2)]})
        assert verify(connected["accessToken"], "calendar:read")["reason"] == "approval_required"
        assert [verify(connected["accessToken"]).get("reason") for _ in range(3)] == [None, None, "policy_denied"]
        narrow(ada, connected, modes={"email:read": "ask"}, limits={"email:read": [rate(1)]})
        assert verify(connected["accessToken"])["allowed"] is False

    def test_needs_no_recent_sign_in(self, connected: Json, ada: Api) -> None:
        with time_machine.travel(timezone.now() + timedelta(hours=2)):
            narrow(ada, connected, modes={"email:read": "ask"})

    def test_works_while_the_agent_is_suspended(self, connected: Json, ada: Api, developer: Api, agent: Json) -> None:
        expect(200, developer.patch(f"/agents/{agent['id']}", {"status": "suspended"}))
        narrow(ada, connected, modes={"email:read": "ask"})

    def test_without_a_change_logs_nothing(self, connected: Json, ada: Api) -> None:
        for body in ({}, {"modes": {"calendar:read": "allow"}}, TERMS):
            narrow(ada, connected, **body)
        assert not log_entries(event="consent.narrowed").exists()

    def test_of_a_replaced_consent_narrows_its_replacement(self, connected: Json, ada: Api, agent: Json) -> None:
        second = tokens_for(agent, ada, requestedScopes=["email:read"])
        assert narrow(ada, connected, modes={"email:read": "ask"})["id"] == second["consentId"]
        assert stored(second)["modes"] == {"email:read": "ask", "email:send": "ask"}


class TestWidening:
    def test_a_mode(self, connected: Json, ada: Api) -> None:
        widening(ada, connected, "modes.email:send", modes={"email:send": "allow", "email:read": "ask"})

    @cases(
        "limits",
        [
            [],
            [OFFICE],
            [rate(10)],
            [rate(11), OFFICE],
            [rate(10, 3601), OFFICE],
            [rate(10, 60), OFFICE],
            [rate(10, 3600, "per_agent"), OFFICE],
            [rate(10), HOME],
        ],
    )
    def test_limits(self, connected: Json, ada: Api, limits: list[Json]) -> None:
        widening(ada, connected, "limits.email:send", limits={"email:send": limits})

    def test_a_guard(self, connected: Json, ada: Api) -> None:
        widening(ada, connected, "guards.data_flow", guards={"data_flow": "allow"})
        expect(200, ada.patch(path_of(connected), {"guards": {"data_flow": "deny"}}))
        problem(ada.patch(path_of(connected), {"guards": {"data_flow": "ask"}}), 409, "would_widen", "guards.data_flow")

    def test_the_end(self, connected: Json, ada: Api) -> None:
        widening(ada, connected, "expiresInSeconds", expiresInSeconds=2_592_001)

    def test_to_whom_work_is_handed(self, ada: Api, agent: Json) -> None:
        consent = initiate(agent, requestedScopes=SCOPES)
        code = expect(200, ada.post(f"/consent/{consent}/approve", {"delegation": "verified"}))["code"]
        tokens = expect(200, Api().post("/tokens/exchange", {"code": code, **credentials(agent)}))
        assert narrow(ada, tokens, delegation="developer")["delegation"] == "developer"
        problem(ada.patch(path_of(tokens), {"delegation": "verified"}), 409, "would_widen", "delegation")
        assert expect(200, ada.get("/users/me/consents"))["items"][0]["delegation"] == "developer"

    def test_names_every_field(self, connected: Json, ada: Api) -> None:
        body: Json = {"modes": {"email:send": "allow"}, "limits": {"email:send": []}}
        widening(ada, connected, "modes.email:send", "limits.email:send", **body)

    def test_a_critical_scope(self, developer: Api, ada: Api) -> None:
        payer = new_agent(developer, allowedScopes=["payments:charge"])
        tokens = tokens_for(payer, ada, requestedScopes=["payments:charge"])
        widening(ada, tokens, "modes.payments:charge", modes={"payments:charge": "allow"})


class TestRemovedScopes:
    def test_do_not_return_to_earlier_tokens(self, connected: Json, ada: Api, agent: Json) -> None:
        narrow(ada, connected, removeScopes=["email:send"])
        again = tokens_for(agent, ada, requestedScopes=["email:send"])
        assert verify(again["accessToken"], "email:send")["allowed"] is True
        renewed = {"refreshToken": connected["refreshToken"], **credentials(agent)}
        later = expect(200, Api().post("/tokens/refresh", renewed))
        for token in (connected, later):
            assert verify(token["accessToken"], "email:send")["reason"] == "insufficient_scope"

    def test_do_not_return_to_codes(self, connected: Json, ada: Api, agent: Json) -> None:
        code = code_for(agent, ada, requestedScopes=["email:read", "email:send"])
        newest = expect(200, ada.get("/users/me/consents"))["items"][0]["id"]
        expect(200, ada.patch(f"/users/me/consents/{newest}", {"removeScopes": ["email:send"]}))
        expect(200, ada.post(f"/consent/{initiate(agent, requestedScopes=['email:send'])}/approve"))
        late = expect(200, Api().post("/tokens/exchange", {"code": code, **credentials(agent)}))
        assert late["grantedScopes"] == ["email:read"]

    def test_can_be_granted_again_without_their_terms(self, connected: Json, ada: Api, agent: Json) -> None:
        narrow(ada, connected, removeScopes=["email:send"])
        again = tokens_for(agent, ada, requestedScopes=["email:send"])
        found = stored(again)
        assert list(found.pop("history")) == ["email:send"]  # its limit goes on counting
        assert found == {"guards": TERMS["guards"]}


@cases(
    ("body", "field"),
    [
        ({"removeScopes": ["email:read", "files:read"]}, "removeScopes.1"),
        ({"removeScopes": SCOPES}, "removeScopes"),
        ({"removeScopes": "email:read"}, "removeScopes"),
        ({"modes": {"files:read": "ask"}}, "modes.files:read"),
        ({"removeScopes": ["email:read"], "modes": {"email:read": "ask"}}, "modes.email:read"),
        ({"limits": {"email:read": [{"type": "rate_limit", "config": {}}]}}, "limits.email:read.0.config.maxRequests"),
        ({"guards": {"other": "ask"}}, "guards.other"),
        ({"expiresInSeconds": 0}, "expiresInSeconds"),
        ({"delegation": "all"}, "delegation"),
        ({"scopes": []}, "scopes"),
    ],
)
def test_names_what_is_wrong(connected: Json, ada: Api, body: Json, field: str) -> None:
    refusal = ada.patch(path_of(connected), body)
    assert refusal.status_code == 400, refusal.content
    assert refusal.json()["errors"][0]["field"] == field
    assert stored(connected) == TERMS


class TestWho:
    def test_only_the_user(self, connected: Json, ada: Any, bob: Any, developer: Api, anonymous: Api) -> None:
        body = {"modes": {"email:read": "ask"}}
        problem(bob.patch(path_of(connected), body), 404, "not_found")
        problem(bob.patch(f"/users/{ada.id}/consents/{connected['consentId']}", body), 404, "not_found")
        problem(developer.patch(path_of(connected), body), 403, "forbidden")
        problem(anonymous.patch(path_of(connected), body), 401, "not_authenticated")
        problem(ada.patch("/users/me/consents/cns_0", body), 404, "not_found")
        assert stored(connected) == TERMS

    @cases("status", ["revoked", "denied", "pending", "expired"])
    def test_only_a_live_consent(self, connected: Json, ada: Api, status: str) -> None:
        Consent.objects.filter(pk=connected["consentId"]).update(status=status)
        refusal = problem(ada.patch(path_of(connected), {"guards": {}}), 409, "consent_already_decided")
        assert status in refusal["detail"]

    def test_not_a_consent_that_has_ended(self, connected: Json, ada: Api) -> None:
        Consent.objects.filter(pk=connected["consentId"]).update(expires_at=timezone.now())
        refusal = problem(ada.patch(path_of(connected), {}), 409, "consent_already_decided")
        assert "expired" in refusal["detail"]


class TestLog:
    def test_has_before_and_after(self, connected: Json, ada: Any, developer: Api) -> None:
        narrow(ada, connected, removeScopes=["email:read"], limits={"email:send": [rate(5), OFFICE, HOME]})
        for reader in (ada.get("/users/me/audit-logs?limit=1"), developer.get("/audit?event=consent.narrowed")):
            entry = expect(200, reader)["items"][0]
            assert (entry["event"], entry["scopes"]) == ("consent.narrowed", ["email:send", "calendar:read"])
            before, after = entry["metadata"]["before"], entry["metadata"]["after"]
            assert (before["scopes"], after["scopes"]) == (SCOPES, ["email:send", "calendar:read"])
            assert before["limits"] == {"email:send": ["rate_limit", "ip_allowlist"]}
            assert after["limits"] == {"email:send": ["rate_limit", "ip_allowlist", "ip_allowlist"]}
            assert entry["metadata"]["removed"] == ["email:read"]
            assert "198.51.100.7" not in str(entry)
        personal = log_entry(log_entries().get(event="consent.narrowed").pk).personal
        assert personal["after"]["limits"]["email:send"] == [rate(5), OFFICE, HOME]

    def test_is_not_shown_to_services(self, ada: Api, agent: Json, rival: Api) -> None:
        body = {"name": "Mail", "identifier": "https://mail.example/api", "scopes": SCOPES}
        expect(201, rival.post("/resource-servers", body))
        tokens = tokens_for(agent, ada, requestedScopes=SCOPES, resource=body["identifier"])
        narrow(ada, tokens, modes={"email:read": "ask"})
        events = [entry["event"] for entry in expect(200, rival.get("/audit"))["items"]]
        assert "consent.approved" in events
        assert "consent.narrowed" not in events

    def test_is_a_sentence_for_the_user(self, connected: Json, ada: Any) -> None:
        from accounts.models import User
        from tests.web.ledger import words_of
        from tests.world import sign_in

        narrow(ada, connected, removeScopes=["email:read"])
        words = words_of(sign_in(User.objects.get(pk=ada.id)))
        assert "You narrowed what SmartMail may do" in words
        assert "Removed: Read your email" in words
