"""A verify that reserves, repeated with its `Idempotency-Key`: one reservation, and never a stale answer."""

from base64 import b64encode
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine

from core import clock
from limits.models import Reservation
from tests.api.conftest import Api, Json, expect, initiate, new_agent, problem, tokens_for
from tests.api.test_reservations import EUR_10, KEY, _budget, commit, eur, shop, void
from tests.log import log_entries

__all__ = ["_budget", "shop"]

Ask = Callable[..., Any]


@pytest.fixture
def ask(tokens: Json, shop: Api) -> Ask:
    """Return a function that sends the same request that reserves, with the same key."""

    def ask(api: Api = shop, **fields: Any) -> Any:
        body = {"token": tokens["accessToken"], "requiredScopes": ["email:read"], "reserve": True}
        return api.post("/tokens/verify", {**body, "context": {"amount": EUR_10}, **fields}, **KEY)

    return ask


def test_a_repeat_gets_the_same_answer_and_the_same_receipt(ask: Ask, shop: Api) -> None:
    first, *others = (expect(200, ask(receipt=True)) for _ in range(3))
    assert first["allowed"]
    assert others == [first, first]
    assert Reservation.objects.count() == 1
    assert log_entries(event="token.verify").count() == 1
    assert expect(200, commit(shop, first))["status"] == "committed"


def test_a_repeat_after_a_revocation_is_denied_and_logged(ask: Ask, ada: Any, tokens: Json, shop: Api) -> None:
    first = expect(200, ask())
    expect(200, ada.post(f"/users/me/consents/{tokens['consentId']}/revoke"))
    denied = expect(200, ask())
    assert (denied["allowed"], "reservationId" in denied) == (False, False)
    assert log_entries(event="token.verify").count() == 2
    assert expect(200, commit(shop, first))["status"] == "committed"


@pytest.mark.parametrize("anonymous_caller", [False, True])
def test_a_repeat_while_the_connection_is_paused_is_denied(
    ask: Ask, ada: Any, tokens: Json, shop: Api, anonymous: Api, anonymous_caller: bool
) -> None:
    api = anonymous if anonymous_caller else shop
    first = expect(200, ask(api))
    expect(200, ada.post(f"/users/me/consents/{tokens['consentId']}/pause"))
    assert expect(200, ask(api))["reason"] == "consent_paused"
    expect(200, ada.post(f"/users/me/consents/{tokens['consentId']}/resume"))
    assert expect(200, ask(api)) == first


def test_a_repeat_with_a_secret_that_has_ended_is_refused(developer: Api, tokens: Json) -> None:
    body = {"name": "Shop", "identifier": "https://other.example", "scopes": ["email:read"]}
    server = expect(201, developer.post("/resource-servers", body))
    old = _as(server["id"], server["secret"])
    sent = {"token": tokens["accessToken"], "requiredScopes": ["email:read"], "reserve": True}
    sent["context"] = {"amount": EUR_10}
    first = expect(200, old.post("/tokens/verify", sent, **KEY))
    rotated = expect(200, developer.post(f"/resource-servers/{server['id']}/rotate-secret", {}))
    problem(old.post("/tokens/verify", sent, **KEY), 401, "not_authenticated")
    assert expect(200, _as(server["id"], rotated["secret"]).post("/tokens/verify", sent, **KEY)) == first


def _as(server_id: str, secret: str) -> Api:
    return Api(Authorization="Basic " + b64encode(f"{server_id}:{secret}".encode()).decode())


def test_a_repeat_after_the_token_has_ended_is_denied(ask: Ask) -> None:
    expect(200, ask(expiresInSeconds=3600))
    with time_machine.travel(clock.now() + timedelta(minutes=20)):
        assert expect(200, ask(expiresInSeconds=3600))["reason"] == "token_expired"


def test_a_repeat_of_a_reservation_that_has_lapsed_is_gone(ask: Ask) -> None:
    with time_machine.travel(clock.now(), tick=False) as traveller:
        first = expect(200, ask(expiresInSeconds=60))
        traveller.shift(59.999999)
        assert expect(200, ask(expiresInSeconds=60)) == first
        traveller.shift(0.000001)
        problem(ask(expiresInSeconds=60), 410, "reservation_expired")
        Reservation.objects.update(status="lapsed")
        problem(ask(expiresInSeconds=60), 410, "reservation_expired")
    assert Reservation.objects.count() == 1


@pytest.mark.parametrize("resolve", [commit, void])
def test_a_repeat_of_a_resolved_reservation_is_a_conflict(ask: Ask, shop: Api, resolve: Any) -> None:
    expect(200, resolve(shop, expect(200, ask())))
    problem(ask(), 409, "reservation_resolved")
    assert Reservation.objects.count() == 1


def test_nothing_of_a_repeated_batch_has_an_effect_if_one_request_cannot_be_answered_again(
    tokens: Json, shop: Api
) -> None:
    one = {"token": tokens["accessToken"], "requiredScopes": ["email:read"]}
    body = {"requests": [{**one, "reserve": True, "context": {"amount": EUR_10}}, one]}
    first, _ = expect(200, shop.post("/tokens/verify/batch", body, **KEY))["decisions"]
    expect(200, commit(shop, first))
    logged = log_entries(event="token.verify").count()
    problem(shop.post("/tokens/verify/batch", body, **KEY), 409, "reservation_resolved")
    assert log_entries(event="token.verify").count() == logged


def test_the_same_key_for_another_request_is_refused(ask: Ask, anonymous: Api) -> None:
    expect(200, ask())
    problem(ask(context={"amount": eur("10.01")}), 409, "idempotency_key_reused")
    assert expect(200, ask(anonymous))["allowed"]
    assert Reservation.objects.count() == 2


def test_a_denial_is_not_remembered(ask: Ask, shop: Api, tokens: Json) -> None:
    body = {"token": tokens["accessToken"], "requiredScopes": ["email:read"], "reserve": True}
    full = expect(200, shop.post("/tokens/verify", {**body, "context": {"amount": eur("20")}}))
    assert expect(200, ask())["policy"]["ruleType"] == "spend_limit"
    expect(200, void(shop, full))
    assert expect(200, ask())["allowed"]


def test_a_request_that_was_asked_is_allowed_once_it_is_approved(developer: Api, ada: Any, anonymous: Api) -> None:
    agent = new_agent(developer, allowedScopes=["email:send"])
    consent = initiate(agent, requestedScopes=["email:send"])
    code = expect(200, ada.post(f"/consent/{consent}/approve", {"modes": {"email:send": "ask"}}))["code"]
    credentials = {"clientId": agent["clientId"], "clientSecret": agent["clientSecret"]}
    tokens = expect(200, anonymous.post("/tokens/exchange", {"code": code, **credentials}))
    body = {"token": tokens["accessToken"], "requiredScopes": ["email:send"], "reserve": True}
    body["context"] = {"amount": EUR_10}
    asked = expect(200, anonymous.post("/tokens/verify", body, **KEY))
    assert asked["reason"] == "approval_required"
    expect(200, ada.post(f"/approvals/{asked['approvalId']}/approve", {"for": "once"}))
    allowed = expect(200, anonymous.post("/tokens/verify", body, **KEY))
    assert allowed["allowed"]
    assert expect(200, anonymous.post("/tokens/verify", body, **KEY)) == allowed


def test_callers_without_a_credential_share_no_keys(agent: Json, ada: Any, tokens: Json, anonymous: Api) -> None:
    """Who sends other tokens is another caller, also if some of them are the same or made up."""
    other = tokens_for(agent, ada)["accessToken"]

    def ask(*sent: str) -> list[Json]:
        one = {"requiredScopes": ["email:read"], "reserve": True, "context": {"amount": eur("1")}}
        body = {"requests": [{**one, "token": token} for token in sent]}
        return list(expect(200, anonymous.post("/tokens/verify/batch", body, **KEY))["decisions"])

    own = tokens["accessToken"]
    calls = [ask(own), ask(other), ask(other, own), ask("made-up", own)]
    assert [[decision["allowed"] for decision in call] for call in calls] == [
        [True],
        [True],
        [True, True],
        [False, True],
    ]
    assert [ask(own), ask(other), ask(other, own), ask("made-up", own)] == calls
    assert Reservation.objects.count() == 5
    body = {
        "requests": [{"token": own, "requiredScopes": ["email:read"], "reserve": True, "context": {"amount": EUR_10}}]
    }
    problem(anonymous.post("/tokens/verify/batch", body, **KEY), 409, "idempotency_key_reused")
