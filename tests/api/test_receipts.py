"""Receipts: decisions signed by the log's key."""

import hashlib
import json
from typing import Any

import jwt
import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from audit.signing.log_keys import signer
from tests.api.conftest import Api, Json, expect, problem
from tests.log import log_entry
from tests.shared import cases

TYPE = "agentgate-receipt+jwt"


def ask(token: str, scope: str = "email:read", **more: Any) -> Json:
    body = {"token": token, "requiredScopes": [scope], "receipt": True, **more}
    return expect(200, Api().post("/tokens/verify", body))


def opened(receipt: str) -> Json:
    """Return the payload of a receipt after checking its signature."""
    header = jwt.get_unverified_header(receipt)
    assert header == {"alg": "EdDSA", "kid": signer().key_id.hex(), "typ": TYPE}
    key = Ed25519PublicKey.from_public_bytes(signer().public)
    return dict(jwt.decode(receipt, key, algorithms=["EdDSA"], options={"verify_iat": False}))


def digest_of(token: str, **question: Any) -> str:
    sent = {"action": None, "context": {}, "resource": None, **question}
    return hashlib.sha256(rfc8785.dumps({**sent, "token": hashlib.sha256(token.encode()).hexdigest()})).hexdigest()


@cases(("scope", "reason"), [("email:read", None), ("files:read", "insufficient_scope")])
def test_a_receipt_has_the_decision_and_matches_the_log(tokens: Json, scope: str, reason: str | None) -> None:
    decision = ask(tokens["accessToken"], scope)
    payload = opened(decision["receipt"])
    record = log_entry(decision["auditId"]).content
    assert payload["decision"] == {
        "allowed": reason is None,
        "reason": reason,
        "userId": record["userId"],
        "agentId": record["agentId"],
        "consentId": tokens["consentId"],
    }
    assert (payload["v"], payload["iss"], payload["auditId"]) == (1, signer().origin, decision["auditId"])
    assert payload["timestamp"] == record["timestamp"]
    assert isinstance(payload["iat"], int)
    assert payload["question"] == digest_of(tokens["accessToken"], requiredScopes=[scope])


def test_the_question_is_digested_as_it_was_sent(tokens: Json) -> None:
    question = {
        "action": "send  it\u00a0now",  # which is normalized for the log
        "resource": " inbox/7 ",
        "context": {"ip": "2001:DB8:0::1", "amount": {"value": "1.50", "currency": "EUR"}, "rate": 1.50, "é": [1]},
    }
    payload = opened(ask(tokens["accessToken"], **question)["receipt"])
    assert payload["question"] == digest_of(tokens["accessToken"], requiredScopes=["email:read"], **question)


def test_a_token_that_we_did_not_sign_gets_no_receipt(anonymous: Api) -> None:
    assert ask("not-a-token") == {"allowed": False, "reason": "invalid_token"}


def test_a_deleted_tokens_denial_gets_a_receipt(tokens: Json) -> None:
    expect(200, Api().post("/tokens/revoke", {"token": tokens["accessToken"]}))
    assert opened(ask(tokens["accessToken"])["receipt"])["decision"]["reason"] == "token_revoked"


def test_receipts_must_be_asked_for(tokens: Json) -> None:
    for more in ({}, {"receipt": False}):
        body = {"token": tokens["accessToken"], "requiredScopes": ["email:read"], **more}
        assert "receipt" not in expect(200, Api().post("/tokens/verify", body))


@cases("value", ["true", 1, None, "yes"])
def test_the_flag_is_a_boolean(tokens: Json, value: Any) -> None:
    body = {"token": tokens["accessToken"], "requiredScopes": ["email:read"], "receipt": value}
    problem(Api().post("/tokens/verify", body), 400, "validation_failed", "receipt")


def test_each_decision_of_a_batch_has_its_own(tokens: Json) -> None:
    questions = [
        {"token": tokens["accessToken"], "requiredScopes": [scope], "receipt": wanted}
        for scope, wanted in (("email:read", True), ("email:read", False), ("files:read", True))
    ]
    batch = [*questions, {**questions[0], "token": "not-a-token"}]
    decisions = expect(200, Api().post("/tokens/verify/batch", {"requests": batch}))["decisions"]
    assert ["receipt" in decision for decision in decisions] == [True, False, True, False]
    for place in (0, 2):
        payload = opened(decisions[place]["receipt"])
        assert payload["auditId"] == decisions[place]["auditId"]
        sent = {"requiredScopes": questions[place]["requiredScopes"]}
        assert payload["question"] == digest_of(tokens["accessToken"], **sent)


def test_a_changed_receipt_does_not_verify(tokens: Json) -> None:
    head, payload, signature = ask(tokens["accessToken"])["receipt"].split(".")
    changed = jwt.utils.base64url_encode(
        json.dumps({**json.loads(jwt.utils.base64url_decode(payload)), "auditId": "log_0"}).encode()
    ).decode()
    with pytest.raises(jwt.InvalidSignatureError):
        opened(f"{head}.{changed}.{signature}")
