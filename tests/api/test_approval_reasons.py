"""Why a user is asked: an approval covers only reasons that its user was told, and ends with its connection."""

from typing import Any

import pytest

from accounts.models import User
from agents.emergency import stop_everything
from approvals.mails import notify_users
from approvals.models import Approval
from approvals.selectors import count_waiting, still_waiting
from consent.models import Consent
from core import clock
from core.actor import SYSTEM
from tests.api.conftest import Api, Json, expect, initiate, new_agent, tokens_for, verify
from tests.shared import cases
from tests.world import sign_in

DAY = 86_400
NOTES = "https://notes.example/api"
WIPE = {
    "id": "notes:wipe",
    "riskLevel": "critical",
    "title": "Delete all notes",
    "description": "Delete your notes",
    "cannot": "Restore them",
}
ASK = {"modes": {"email:send": "ask"}}
GUARD = {"guards": {"data_flow": "ask"}}


def connect(developer: Api, ada: Any, *scopes: str, **terms: Any) -> Json:
    agent = new_agent(developer, allowedScopes=list(scopes))
    consent = initiate(agent, requestedScopes=list(scopes))
    code = expect(200, ada.post(f"/consent/{consent}/approve", terms))["code"]
    body = {"code": code, "clientId": agent["clientId"], "clientSecret": agent["clientSecret"]}
    tokens: Json = expect(200, Api().post("/tokens/exchange", body))
    return tokens


def send(tokens: Json, text: str = "hello") -> Json:
    return verify(tokens["accessToken"], "email:send", context={"recipient": "bob@corp.example", "text": text})


def approve(ada: Any, decision: Json, **body: Any) -> Json:
    assert decision["reason"] == "approval_required"
    approved: Json = expect(200, ada.post(f"/approvals/{decision['approvalId']}/approve", body))
    return approved


def narrow(ada: Any, tokens: Json, **body: Any) -> None:
    expect(200, ada.patch(f"/users/me/consents/{tokens['consentId']}", body))


def wiping(developer: Api, ada: Any) -> tuple[Json, Json]:
    body = {"name": "Notes", "identifier": NOTES, "scopes": [WIPE]}
    server = expect(201, developer.post("/resource-servers", body))
    agent = new_agent(developer, allowedScopes=["notes:wipe"])
    return server, tokens_for(agent, ada, requestedScopes=["notes:wipe"])


def test_an_approval_for_a_mode_does_not_cover_the_guard(developer: Api, ada: Any) -> None:
    tokens = connect(developer, ada, "email:send", "email:read", **ASK, **GUARD)
    approve(ada, send(tokens), **{"for": "target", "expiresInSeconds": DAY})
    assert send(tokens, "again")["allowed"]
    assert verify(tokens["accessToken"], "email:read")["allowed"]
    asked = send(tokens, "the whole mailbox")
    assert asked["reason"] == "approval_required"
    row = Approval.objects.get(pk=asked["approvalId"])
    assert (row.asked_scopes, row.asked_by_rule) == (["email:send"], "data_flow")
    approve(ada, asked, **{"for": "target", "expiresInSeconds": DAY})
    assert send(tokens, "anything")["allowed"]


@cases("is_decided", [True, False])
def test_a_request_that_did_not_say_all_reasons_is_asked_again(developer: Api, ada: Any, is_decided: bool) -> None:
    tokens = connect(developer, ada, "email:send", "email:read", **ASK, **GUARD)
    first = send(tokens)
    if is_decided:
        approve(ada, first)
    assert verify(tokens["accessToken"], "email:read")["allowed"]
    second = send(tokens)
    assert second["reason"] == "approval_required"
    assert second["approvalId"] != first["approvalId"]
    assert send(tokens)["approvalId"] == second["approvalId"]
    approve(ada, second)
    assert send(tokens)["allowed"]


def test_an_approval_for_the_guard_does_not_cover_a_mode_that_is_tightened_later(developer: Api, ada: Any) -> None:
    tokens = connect(developer, ada, "email:send", "email:read", **GUARD)
    assert verify(tokens["accessToken"], "email:read")["allowed"]
    approved = approve(ada, send(tokens), **{"for": "target", "expiresInSeconds": DAY})
    assert send(tokens, "other")["allowed"]
    narrow(ada, tokens, **ASK)
    assert send(tokens, "third")["reason"] == "approval_required"
    assert expect(200, ada.get(f"/approvals/{approved['id']}"))["status"] == "expired"


def test_narrowing_something_else_keeps_an_approval_for_a_time(developer: Api, ada: Any) -> None:
    tokens = connect(developer, ada, "email:send", "email:read", **ASK)
    approve(ada, send(tokens), **{"for": "target", "expiresInSeconds": DAY})
    narrow(ada, tokens, modes={"email:read": "ask"})
    assert send(tokens, "other")["allowed"]


def test_narrowing_the_end_shortens_an_approval_for_a_time(developer: Api, ada: Any) -> None:
    tokens = connect(developer, ada, "email:send", **ASK)
    approved = approve(ada, send(tokens), **{"for": "target", "expiresInSeconds": 20 * DAY})
    narrow(ada, tokens, expiresInSeconds=3600)
    (live,) = expect(200, ada.get("/users/me/consents"))["items"]
    assert expect(200, ada.get(f"/approvals/{approved['id']}"))["expiresAt"] == live["expiresAt"]


def test_a_lower_risk_does_not_loosen_what_was_granted_as_critical(developer: Api, ada: Any) -> None:
    server, tokens = wiping(developer, ada)
    harmless = {"scopes": [{**WIPE, "riskLevel": "low"}]}
    expect(200, developer.patch(f"/resource-servers/{server['id']}", harmless))
    asked = verify(tokens["accessToken"], "notes:wipe", context={"target": "everything"})
    assert Approval.objects.get().is_critical
    body = {"for": "target", "expiresInSeconds": DAY}
    assert ada.post(f"/approvals/{asked['approvalId']}/approve", body).status_code == 400


@cases("is_narrowed", [False, True])
def test_other_labels_do_not_lift_the_guard_of_what_was_granted(developer: Api, ada: Any, is_narrowed: bool) -> None:
    share = {**WIPE, "id": "notes:share", "riskLevel": "low", "labels": ["outbound"]}
    body = {"name": "Notes", "identifier": NOTES, "scopes": [share]}
    server = expect(201, developer.post("/resource-servers", body))
    guard = {"guards": {"data_flow": "deny"}}
    tokens = connect(developer, ada, "notes:share", "email:read", **({} if is_narrowed else guard))
    expect(200, developer.patch(f"/resource-servers/{server['id']}", {"scopes": [{**share, "labels": []}]}))
    if is_narrowed:
        narrow(ada, tokens, **guard)
    assert verify(tokens["accessToken"], "email:read")["allowed"]
    assert verify(tokens["accessToken"], "notes:share")["reason"] == "policy_denied"


def test_narrowing_keeps_what_is_critical(developer: Api, ada: Any) -> None:
    _, tokens = wiping(developer, ada)
    narrow(ada, tokens, expiresInSeconds=3600)
    assert Consent.objects.get().terms == {"modes": {"notes:wipe": "ask"}, "critical": ["notes:wipe"]}


def test_a_renewal_keeps_what_was_critical_until_the_user_allows_it(developer: Api, ada: Any) -> None:
    body = {"name": "Notes", "identifier": NOTES, "scopes": [WIPE]}
    server = expect(201, developer.post("/resource-servers", body))
    agent = new_agent(developer, allowedScopes=["notes:wipe"])
    tokens_for(agent, ada, requestedScopes=["notes:wipe"])
    harmless = {"scopes": [{**WIPE, "riskLevel": "low"}]}
    expect(200, developer.patch(f"/resource-servers/{server['id']}", harmless))
    tokens_for(agent, ada, requestedScopes=["notes:wipe"])
    live = Consent.objects.get(status="approved")
    assert live.terms["critical"] == ["notes:wipe"]
    consent = initiate(agent, requestedScopes=["notes:wipe"])
    expect(200, ada.post(f"/consent/{consent}/approve", {"modes": {"notes:wipe": "allow"}}))
    assert Consent.objects.get(status="approved").terms == {}


def test_a_scope_that_is_deleted_counts_as_critical(developer: Api, ada: Any) -> None:
    server, tokens = wiping(developer, ada)
    Consent.objects.update(terms={"modes": {"notes:wipe": "ask"}})
    other = {**WIPE, "id": "notes:other", "riskLevel": "low"}
    expect(200, developer.patch(f"/resource-servers/{server['id']}", {"scopes": [other]}))
    verify(tokens["accessToken"], "notes:wipe")
    assert Approval.objects.get().is_critical


def test_approving_looks_at_the_risk_that_the_user_agreed_to(developer: Api, ada: Any) -> None:
    _, tokens = wiping(developer, ada)
    asked = verify(tokens["accessToken"], "notes:wipe", context={"target": "everything"})
    Approval.objects.update(is_critical=False)
    body = {"for": "target", "expiresInSeconds": DAY}
    assert ada.post(f"/approvals/{asked['approvalId']}/approve", body).status_code == 400
    assert expect(200, ada.get(f"/approvals/{asked['approvalId']}"))["critical"] is True


def test_while_everything_is_stopped_a_request_can_be_read_and_denied(developer: Api, ada: Any) -> None:
    tokens = connect(developer, ada, "email:send", **ASK)
    asked = send(tokens)
    stop_everything(actor=SYSTEM, reason="Leak")
    browser = sign_in(User.objects.get(pk=ada.id))
    page = browser.get(f"/approvals/{asked['approvalId']}")
    assert page.status_code == 200
    assert "Approve once" not in page.content.decode()
    refused = ada.post(f"/approvals/{asked['approvalId']}/approve", {"for": "once"})
    assert (refused.status_code, refused.json()["code"]) == (503, "everything_stopped")
    page = browser.post(f"/approvals/{asked['approvalId']}", {"decision": "once"})
    assert (page.status_code, "An administrator has stopped all agents" in page.content.decode()) == (503, True)
    assert browser.post(f"/approvals/{asked['approvalId']}", {"decision": "deny"}).status_code == 303
    assert expect(200, ada.get(f"/approvals/{asked['approvalId']}"))["status"] == "denied"


@pytest.mark.parametrize("end", ["revoke", "expire", "narrow"])
def test_a_request_ends_with_its_connection(developer: Api, ada: Any, end: str, mailoutbox: list[Any]) -> None:
    tokens = connect(developer, ada, "email:send", "email:read", **ASK)
    asked = send(tokens)["approvalId"]
    if end == "revoke":
        expect(200, ada.post(f"/users/me/consents/{tokens['consentId']}/revoke"))
    elif end == "expire":
        Consent.objects.update(expires_at=clock.now())
    else:
        narrow(ada, tokens, removeScopes=["email:send"])
    mailoutbox.clear()
    notify_users()
    assert mailoutbox == []
    assert expect(200, ada.get("/approvals?status=pending"))["items"] == []
    assert [each["id"] for each in expect(200, ada.get("/approvals?status=expired"))["items"]] == [asked]
    assert expect(200, ada.get(f"/approvals/{asked}"))["status"] == "expired"
    assert still_waiting([asked]) == set()
    assert count_waiting(User.objects.get(pk=ada.id), limit=9) == 0


def test_the_user_learns_why_they_are_asked(developer: Api, ada: Any) -> None:
    tokens = connect(developer, ada, "email:send", "email:read", **ASK, **GUARD)
    assert verify(tokens["accessToken"], "email:read")["allowed"]
    asked = send(tokens)["approvalId"]
    shown = expect(200, ada.get(f"/approvals/{asked}"))
    assert (shown["askedScopes"], shown["ruleType"]) == (["email:send"], "data_flow")
    page = sign_in(User.objects.get(pk=ada.id)).get(f"/approvals/{asked}").content.decode()
    assert "This agent may use this permission only if you approve it." in page
    assert "This task may have read private data and content that others wrote" in page


@cases("context", [{}, {"recipient": ""}, {"target": []}, {"verb": "send"}])
def test_without_a_target_there_is_no_approval_for_a_time(developer: Api, ada: Any, context: Json) -> None:
    tokens = connect(developer, ada, "email:send", **ASK)
    asked = verify(tokens["accessToken"], "email:send", context=context)["approvalId"]
    refused = ada.post(f"/approvals/{asked}/approve", {"for": "target", "expiresInSeconds": DAY})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "for")
    page = sign_in(User.objects.get(pk=ada.id)).get(f"/approvals/{asked}").content.decode()
    assert 'value="target"' not in page


def test_a_scope_is_named_once(developer: Api, ada: Any) -> None:
    tokens = connect(developer, ada, "email:send", **ASK)
    verify(tokens["accessToken"], "email:send", action="email:send")
    assert Approval.objects.get().asked_scopes == ["email:send"]
