"""Offline decisions: every claim is checked, and decisions list what they could not consider."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from fake_gate import BASE_URL

from agentgate_oauth import Decision, Link, RetryPolicy
from agentgate_oauth.service import Guard, Refusal, Requirement

AUDIENCE = "https://api.example"
KEY = ec.generate_private_key(ec.SECP256R1())
OTHER_KEY = ec.generate_private_key(ec.SECP256R1())
QUESTION = Requirement[None](("email:send",)).question(None, None)


def public_jwk(key: ec.EllipticCurvePrivateKey, **fields: Any) -> dict[str, Any]:
    jwk = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key()))
    return {**jwk, "kid": "k1", "alg": "ES256", "use": "sig", **fields}


class Keys:
    def __init__(self, *rows: dict[str, Any]) -> None:
        self.rows = list(rows)
        self.asked = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        assert request.url.path == "/oauth/jwks"
        return httpx.Response(200, json={"keys": self.rows})

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/v1/revocations":
            return httpx.Response(200, json={"items": [], "next": 0, "more": False})
        return self(request)

    def guard(self, audience: str = AUDIENCE, organization_id: str | None = None) -> Guard:
        http = httpx.Client(transport=httpx.MockTransport(self.answer))
        return Guard(
            BASE_URL,
            "res_1",
            "rs_1",
            mode="offline",
            audience=audience,
            organization_id=organization_id,
            http_client=http,
            retry=RetryPolicy(attempts=1),
        )


@pytest.fixture
def keys() -> Keys:
    return Keys(public_jwk(KEY))


def token(
    *, key: Any = KEY, header: dict[str, Any] | None = None, algorithm: str = "ES256", **changes: Any
) -> str:
    now = int(time.time())
    claims = {
        "iss": f"{BASE_URL}/oauth",
        "sub": "usr_1",
        "aud": AUDIENCE,
        "client_id": "agc_1",
        "scope": "email:send email:read",
        "consent_id": "cns_1",
        "jti": "t1",
        "iat": now,
        "exp": now + 900,
        **changes,
    }
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(claims, key, algorithm, headers={"kid": "k1", "typ": "at+jwt", **(header or {})})


def test_a_good_token_is_allowed_and_the_decision_lists_what_is_unknown(keys):
    outcome = keys.guard().check([f"Bearer {token()}"], QUESTION)
    assert isinstance(outcome, Decision) and outcome.user_id == "usr_1" and outcome.consent_id == "cns_1"
    assert outcome.unknown == ("actions", "policies", "approvals")


def test_a_client_token_has_no_user(keys):
    outcome = keys.guard().check([f"Bearer {token(sub='agc_1', consent_id=None)}"], QUESTION)
    assert isinstance(outcome, Decision) and outcome.user_id is None and outcome.agent_id == "agc_1"


def test_several_audiences_may_include_this_one(keys):
    outcome = keys.guard().check([f"Bearer {token(aud=['https://x', AUDIENCE])}"], QUESTION)
    assert isinstance(outcome, Decision)


ABOVE = {"sub": "agc_2", "sid": "fam_2", "org_id": "org_2"}
DELEGATED: dict[str, Any] = {
    "org_id": "org_1",
    "act": {"sub": "agc_1", "act": {**ABOVE, "act": {"sub": "agc_3", "sid": "fam_3", "org_id": "org_3"}}},
    "delegations": ["del_2", "del_1"],
}


def nested(depth: int) -> dict[str, Any]:
    actor: dict[str, Any] = {}
    for _ in range(depth + 1):
        actor = {"sub": "agc_1", **({"act": actor} if actor else {})}
    return {"act": actor, "delegations": ["del_1"] * depth}


def test_the_decision_about_delegated_work_names_the_chain(keys):
    outcome = keys.guard().check([f"Bearer {token(**DELEGATED)}"], QUESTION)
    assert isinstance(outcome, Decision)
    assert outcome.chain == (Link("agc_3"), Link("agc_2", "del_2"), Link("agc_1", "del_1"))
    assert outcome.actor == Link("agc_1", "del_1")
    assert keys.guard().check([f"Bearer {token()}"], QUESTION).chain == ()


def test_the_default_audience_is_for_services_of_the_organization_of_the_first_agent(keys):
    with pytest.raises(ValueError, match="organization_id"):
        keys.guard(audience=BASE_URL)
    guards = [keys.guard(audience=BASE_URL, organization_id=f"org_{number}") for number in (1, 2, 3)]
    delegated = token(aud=BASE_URL, **DELEGATED)
    own = token(aud=BASE_URL, org_id="org_1")
    assert [isinstance(one.check([f"Bearer {delegated}"], QUESTION), Decision) for one in guards] == [
        False,
        False,
        True,
    ]
    assert [isinstance(one.check([f"Bearer {own}"], QUESTION), Decision) for one in guards] == [
        True,
        False,
        False,
    ]
    refused = guards[1].check([f"Bearer {own}"], QUESTION)
    assert isinstance(refused, Refusal) and refused.body["reason"] == "wrong_audience"
    stock = guards[0].check([f"Bearer {token(aud=BASE_URL)}"], QUESTION)
    assert isinstance(stock, Refusal) and stock.body["reason"] == "wrong_audience"


HMAC_KEY = "0" * 32
FAULTS: dict[str, tuple[str, str]] = {
    "another key": (token(key=OTHER_KEY), "invalid_token"),
    "unknown key id": (token(header={"kid": "k9"}), "invalid_token"),
    "no key id": (token(header={"kid": ""}), "invalid_token"),
    "an id token": (token(header={"typ": "JWT"}), "invalid_token"),
    "unknown extension": (token(header={"crit": ["x"], "x": 1}), "invalid_token"),
    "algorithm confusion": (token(key=HMAC_KEY, algorithm="HS256"), "invalid_token"),
    "no signature": (token(key=None, algorithm="none"), "invalid_token"),
    "another issuer": (token(iss="https://evil.example/oauth"), "invalid_token"),
    "an issuer with the same prefix": (token(iss=f"{BASE_URL}/oauth/x"), "invalid_token"),
    "no issuer": (token(iss=None), "invalid_token"),
    "another audience": (token(aud="https://other.example"), "wrong_audience"),
    "no audience": (token(aud=None), "invalid_token"),
    "expired": (token(exp=int(time.time()) - 60), "token_expired"),
    "no expiry": (token(exp=None), "invalid_token"),
    "not yet": (token(iat=int(time.time()) + 600), "invalid_token"),
    "actors of another type": (token(act={"sub": "agc_1", "act": ["agc_2"]}), "invalid_token"),
    "actors without delegations": (token(act={"sub": "agc_1", "act": ABOVE}), "invalid_token"),
    "delegations without actors": (token(delegations=["del_1"]), "invalid_token"),
    "endless actors": (token(**nested(17)), "invalid_token"),
    "scope of another type": (token(scope=["email:send"]), "invalid_token"),
    "not a JWT": ("garbage", "invalid_token"),
    "three dots": ("a.b.c", "invalid_token"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_single_fault_is_refused(keys, fault):
    presented, reason = FAULTS[fault]
    outcome = keys.guard().check([f"Bearer {presented}"], QUESTION)
    assert isinstance(outcome, Refusal), fault
    assert (outcome.status, outcome.body["reason"]) == (401, reason)


def test_a_missing_scope_is_403(keys):
    outcome = keys.guard().check([f"Bearer {token(scope='email:read')}"], QUESTION)
    assert isinstance(outcome, Refusal) and outcome.status == 403


def test_a_rotated_key_is_fetched_but_invented_ids_cause_no_requests(keys):
    guard = keys.guard()
    guard.check([f"Bearer {token()}"], QUESTION)
    for number in range(50):
        guard.check([f"Bearer {token(header={'kid': f'made-up-{number}'})}"], QUESTION)
    assert keys.asked == 1
    keys.rows = [public_jwk(OTHER_KEY, kid="k2")]
    guard._source._fetched_at -= 11
    assert isinstance(
        guard.check([f"Bearer {token(key=OTHER_KEY, header={'kid': 'k2'})}"], QUESTION), Decision
    )
    assert keys.asked == 2


def test_a_server_without_public_keys_is_503():
    hmac = {"kty": "oct", "k": "AAAA", "alg": "HS256", "kid": "k1"}
    for rows in ([], [hmac]):
        outcome = Keys(*rows).guard().check([f"Bearer {token()}"], QUESTION)
        assert isinstance(outcome, Refusal) and outcome.status == 503


def test_an_unreadable_key_does_not_affect_the_others():
    keys = Keys({"kty": "EC", "alg": "ES256", "kid": "broken"}, public_jwk(KEY))
    assert isinstance(keys.guard().check([f"Bearer {token()}"], QUESTION), Decision)
