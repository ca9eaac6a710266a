"""Verify: may this agent do this, for this user, now?"""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from tests.api.conftest import Api, Json, credentials, expect, initiate, problem, tokens_for, verify
from tests.api.test_tokens import basic
from tests.log import log_entries
from tests.shared import cases

KNOWN = {"allowed", "userId", "agentId", "consentId", "grantedScopes", "expiresAt", "auditId"}
ASK = {"token": "x", "requiredScopes": ["email:read"]}
SERVER = {"name": "Mail", "identifier": "https://mail.example/api", "scopes": ["email:read"]}


def test_an_allowed_decision_says_who_acts_for_whom(tokens: Json, agent: Json, ada: Any) -> None:
    decision = verify(tokens["accessToken"])
    assert set(decision) == KNOWN
    assert (decision["userId"], decision["agentId"]) == (ada.id, agent["id"])
    assert decision["consentId"] == tokens["consentId"]
    assert decision["expiresAt"].endswith("Z")
    assert log_entries(id=decision["auditId"]).count() == 1


def test_missing_scopes_are_listed(tokens: Json) -> None:
    decision = verify(tokens["accessToken"], "email:read", "files:read")
    assert set(decision) == KNOWN | {"reason", "missingScopes"}
    assert (decision["reason"], decision["missingScopes"]) == ("insufficient_scope", ["files:read"])


def test_an_expired_token_has_its_own_reason(tokens: Json) -> None:
    with time_machine.travel(timezone.now() + timedelta(minutes=15)):
        assert verify(tokens["accessToken"])["reason"] == "token_expired"


@cases("token", ["x", "a.b.c", "\u0000", "é", "e" * 1_000_000, "." * 1_000_000])
def test_foreign_tokens_get_a_uniform_decision_and_are_not_logged(anonymous: Api, token: str) -> None:
    assert verify(token) == {"allowed": False, "reason": "invalid_token"}
    assert not log_entries(event="token.verify").exists()


@cases(
    ("fields", "named"),
    [
        ({"token": None}, "token"),
        ({"token": 7}, "token"),
        ({"token": ""}, "token"),
        ({"requiredScopes": []}, "requiredScopes"),
        ({"requiredScopes": None}, "requiredScopes"),
        ({"requiredScopes": "email:read"}, "requiredScopes"),
        ({"requiredScopes": [""]}, "requiredScopes.0"),
        ({"requiredScopes": ["email:read", 7]}, "requiredScopes.1"),
        ({"requiredScopes": ["x" * 201]}, "requiredScopes.0"),
        ({"requiredScopes": ["email:read"] * 101}, "requiredScopes"),
        ({"action": 7}, "action"),
        ({"action": "a\u0000"}, "action"),
        ({"action": "x" * 201}, "action"),
        ({"resource": ["x"]}, "resource"),
        ({"resource": "x" * 2001}, "resource"),
        ({"context": None}, "context"),
        ({"context": "ip"}, "context"),
        ({"context": []}, "context"),
        ({"context": {"text": "x" * 16_384}}, "context"),
        ({"context": {"text": "\u0000"}}, "context"),
        ({"context": {"\u0000": 1}}, "context"),
        ({"context": {"text": "\\\u0000"}}, "context"),
        ({"context": {"text": ["\\\\u0000\\\\\u0000"]}}, "context"),
        ({"context": {"ip": 7}}, "context.ip"),
        ({"context": {"ip": None}}, "context.ip"),
        ({"context": {"ip": ""}}, "context.ip"),
        ({"context": {"ip": "203.0.113.7, 10.0.0.1"}}, "context.ip"),
        ({"context": {"ip": "203.0.113.300"}}, "context.ip"),
        ({"requiredScope": "email:read"}, "requiredScope"),
    ],
)
def test_an_invalid_field_is_reported(anonymous: Api, fields: Json, named: str) -> None:
    problem(anonymous.post("/tokens/verify", {**ASK, **fields}), 400, "validation_failed", named)


@cases("field", ASK)
def test_a_missing_field_is_reported(anonymous: Api, field: str) -> None:
    body = {name: value for name, value in ASK.items() if name != field}
    problem(anonymous.post("/tokens/verify", body), 400, "validation_failed", field)


@cases("number", [2**53, -(2**53), 10**40])
def test_a_number_that_parsers_read_differently_is_refused(anonymous: Api, number: int) -> None:
    body = {**ASK, "context": {"amount": number}}
    problem(anonymous.post("/tokens/verify", body), 400, "malformed_request", "context.amount")


@cases("ip", ["203.0.113.7", "2001:db8::1", "::ffff:203.0.113.7"])
def test_a_context_can_have_any_other_fields(tokens: Json, ip: str) -> None:
    context = {"ip": ip, "verb": "send", "amount": {"value": "12.50", "currency": "EUR"}, "n": [1, 2.5, None, {}]}
    assert verify(tokens["accessToken"], action="send", resource="r", context=context)["allowed"] is True


@cases("text", ["\\u0000", "\\\\u0000", '{"a": "\\u0000"}', "\u0001\\u0000"])
def test_text_may_quote_the_escape_of_nul(ada: Any, agent: Json, text: str) -> None:
    consent = initiate(agent, requestedScopes=["email:send"])
    code = expect(200, ada.post(f"/consent/{consent}/approve", {"modes": {"email:send": "ask"}}))["code"]
    tokens = expect(200, Api().post("/tokens/exchange", {"code": code, **credentials(agent)}))
    asked = verify(tokens["accessToken"], "email:send", context={"text": text, text: 1})
    shown = expect(200, ada.get(f"/approvals/{asked['approvalId']}"))
    assert shown["context"] == {"text": text, text: 1}


def test_an_ip_rule_uses_the_context_or_else_the_callers_address(developer: Api, tokens: Json) -> None:
    rules = [{"type": "ip_allowlist", "config": {"cidrs": ["127.0.0.0/8"]}}]
    expect(201, developer.post("/policies", {"name": "Home", "rules": rules}))
    assert verify(tokens["accessToken"])["allowed"] is True
    assert verify(tokens["accessToken"], context={"ip": "203.0.113.7"})["reason"] == "policy_denied"


class TestResourceServer:
    @pytest.fixture
    def server(self, developer: Api) -> Json:
        return expect(201, developer.post("/resource-servers", SERVER))

    def ask(self, server: Json, token: str, secret: str | None = None) -> Any:
        header = basic(server["id"], secret or server["secret"])
        return Api(Authorization=header).post("/tokens/verify", {**ASK, "token": token})

    def test_can_verify_tokens_of_its_own_organization(self, server: Json, tokens: Json) -> None:
        assert expect(200, self.ask(server, tokens["accessToken"]))["allowed"] is True

    def test_of_another_organization_is_the_wrong_audience(self, rival: Api, tokens: Json) -> None:
        server = expect(201, rival.post("/resource-servers", SERVER))
        assert expect(200, self.ask(server, tokens["accessToken"]))["reason"] == "wrong_audience"

    def test_is_the_only_audience_of_a_token_for_it(self, server: Json, rival: Api, agent: Json, ada: Api) -> None:
        token = tokens_for(agent, ada, resource=SERVER["identifier"])["accessToken"]
        assert expect(200, self.ask(server, token))["allowed"] is True
        assert verify(token)["reason"] == "wrong_audience"
        assert verify(token, resource=SERVER["identifier"])["allowed"] is True
        other = expect(201, rival.post("/resource-servers", {**SERVER, "identifier": "https://other.example"}))
        assert expect(200, self.ask(other, token))["reason"] == "wrong_audience"

    def test_with_a_wrong_credential_is_not_treated_as_anonymous(self, server: Json, tokens: Json, agent: Json) -> None:
        answer = self.ask(server, tokens["accessToken"], "rs_wrong")
        problem(answer, 401, "not_authenticated")
        assert answer["WWW-Authenticate"].startswith("Basic")
        agent_header = basic(agent["clientId"], agent["clientSecret"])
        problem(Api(Authorization=agent_header).post("/tokens/verify", ASK), 401, "not_authenticated")
        problem(Api(Authorization="Bearer st_x").post("/tokens/verify", ASK), 401, "not_authenticated")

    def test_guesses_are_throttled(self, server: Json, settings: Any) -> None:
        settings.THROTTLE_CLIENT_AUTH = "2/minute"
        assert [self.ask(server, "x", "rs_wrong").status_code for _ in range(3)] == [401, 401, 429]

    def test_can_be_required_by_a_setting(self, server: Json, tokens: Json, settings: Any) -> None:
        settings.VERIFY_REQUIRES_CREDENTIAL = True
        problem(Api().post("/tokens/verify", {**ASK, "token": tokens["accessToken"]}), 401, "not_authenticated")
        problem(Api().post("/tokens/verify/batch", {"requests": [ASK]}), 401, "not_authenticated")
        assert expect(200, self.ask(server, tokens["accessToken"]))["allowed"] is True


class TestBatch:
    def test_decisions_are_in_order(self, anonymous: Api, tokens: Json) -> None:
        good = {**ASK, "token": tokens["accessToken"]}
        body = {"requests": [ASK, good, {**good, "requiredScopes": ["files:read"]}]}
        decisions = expect(200, anonymous.post("/tokens/verify/batch", body))["decisions"]
        assert [decision.get("reason") for decision in decisions] == ["invalid_token", None, "insufficient_scope"]

    @cases(
        ("requests", "named"),
        [
            ([], "requests"),
            ([ASK] * 101, "requests"),
            ("x", "requests"),
            ([ASK, 7], "requests.1"),
            ([ASK, {**ASK, "requiredScopes": []}], "requests.1.requiredScopes"),
            ([{**ASK, "extra": 1}], "requests.0.extra"),
        ],
    )
    def test_a_malformed_request_is_reported_with_its_index(self, anonymous: Api, requests: Any, named: str) -> None:
        problem(anonymous.post("/tokens/verify/batch", {"requests": requests}), 400, "validation_failed", named)
