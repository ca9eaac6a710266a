"""Clients that authenticate with signed assertions instead of a secret (RFC 7523), like ChatGPT."""

import json
import time
from datetime import timedelta
from typing import Any

import jwt
import pytest
import time_machine
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt import api_jws
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from accounts.models import User
from tests.constants import NOON
from tests.oauth.client import error_of
from tests.shared import cases

UNCHECKED: Any = {"options": {"verify_signature": False}}
TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
CODE = "never-looked-at"  # because the client is refused first
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())


def rsa_jwk(kid: str = "one") -> dict[str, Any]:
    return {**json.loads(RSAAlgorithm.to_jwk(RSA_KEY.public_key())), "kid": kid, "use": "sig", "alg": "RS256"}


def ec_jwk() -> dict[str, Any]:
    return json.loads(ECAlgorithm.to_jwk(EC_KEY.public_key()))


@pytest.fixture
def signer(register: Any) -> Any:
    """A client whose registration contains its keys."""
    return register(token_endpoint_auth_method="private_key_jwt", jwks={"keys": [ec_jwk()]})


@pytest.fixture
def chatgpt(world: Any, published: Any) -> Any:
    """A client whose document has a `jwks_uri`."""
    from tests.oauth.documents import CHATGPT
    from tests.oauth.test_metadata_documents import client_of

    published[CHATGPT["client_id"]] = {**CHATGPT}
    published[CHATGPT["jwks_uri"]] = {"keys": [rsa_jwk()]}
    return client_of(world, CHATGPT)


def assertion(client: Any, *, key: Any = EC_KEY, algorithm: str = "ES256", kid: str = "", **changes: Any) -> str:
    now = int(time.time())
    claims = {
        "iss": client.agent.client_id,
        "sub": client.agent.client_id,
        "aud": "http://localhost:8000/oauth",
        "exp": now + 120,
        "iat": now,
        "jti": f"jti-{time.time_ns()}",
        **changes,
    }
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(claims, key, algorithm, headers={"kid": kid} if kid else {})


def signed(client: Any, **raw: str) -> str:
    """Return an assertion with the claims in `raw`, given as JSON text."""
    claims = {name: json.dumps(value) for name, value in jwt.decode(assertion(client), **UNCHECKED).items()}
    content = "{" + ", ".join(f'"{name}": {value}' for name, value in {**claims, **raw}.items()) + "}"
    return api_jws.encode(content.encode(), EC_KEY, "ES256")


def redeem(client: Any, code: str, token: str, **form: Any) -> Any:
    return client.redeem(code, client_assertion=token, client_assertion_type=TYPE, **form)


def test_a_client_can_authenticate_with_assertions(signer: Any, ada: User) -> None:
    answer = redeem(signer, signer.code(ada), assertion(signer))
    assert answer.status_code == 200
    form = {"client_assertion": assertion(signer), "client_assertion_type": TYPE, "client_id": None}
    assert signer.refresh(answer.json()["refresh_token"], **form).status_code == 200


def test_chatgpts_document_is_accepted_with_keys_from_its_jwks_uri(chatgpt: Any, ada: User) -> None:
    token = assertion(chatgpt, key=RSA_KEY, algorithm="RS256", kid="one", aud="http://localhost:8000/oauth/token")
    assert redeem(chatgpt, chatgpt.code(ada), token).status_code == 200


def test_a_document_that_names_private_key_jwt_is_accepted_too(chatgpt: Any, published: Any, ada: User) -> None:
    published[chatgpt.agent.client_id] |= {"token_endpoint_auth_method": "private_key_jwt"}
    token = assertion(chatgpt, key=RSA_KEY, algorithm="RS256", kid="one")
    assert redeem(chatgpt, chatgpt.code(ada), token).status_code == 200


def test_a_client_that_lists_stronger_methods_cannot_use_none(chatgpt: Any, ada: User) -> None:
    answer = chatgpt.redeem(chatgpt.code(ada))
    assert (answer.status_code, error_of(answer)) == (401, "invalid_client")


def test_an_assertion_works_only_once(signer: Any, world: Any, ada: User) -> None:
    token = assertion(signer)
    assert redeem(signer, signer.code(ada), token).status_code == 200
    again = redeem(signer, signer.code(ada), token)
    assert (again.status_code, error_of(again)) == (401, "invalid_client")


@cases(
    "changes",
    [
        {"aud": "https://other.example/oauth"},
        {"aud": "http://localhost:8000"},
        {"aud": ["http://localhost:8000/oauth", "https://other.example/oauth"]},
        {"iss": "agc_other"},
        {"sub": "agc_other"},
        {"exp": 1},
        {"exp": None},
        {"exp": 99999999999},
        {"jti": None},
        {"nbf": 99999999999},
        {"key": ec.generate_private_key(ec.SECP256R1())},
        {"key": "a-shared-secret-of-enough-length-x", "algorithm": "HS256"},
        {"kid": "unknown"},
    ],
)
def test_an_assertion_with_a_wrong_claim_or_key_is_refused(signer: Any, changes: dict[str, Any]) -> None:
    answer = redeem(signer, CODE, assertion(signer, **changes))
    assert (answer.status_code, error_of(answer)) == (401, "invalid_client")


TIMES = {
    "a string": '"1900000000"',
    "an empty string": '""',
    "true": "true",
    "null": "null",
    "a list": "[1900000000]",
    "an object": '{"a": 1}',
    "NaN": "NaN",
    "Infinity": "Infinity",
    "minus Infinity": "-Infinity",
    "beyond a float": "1e400",
    "a huge float": "1e300",
    "a huge whole number": "9" * 400,
    "more digits than are converted": "9" * 4400,
    "the year 10000": "253402300800",
    "negative": "-1",
    "hugely negative": "-" + "9" * 400,
}


@cases("name", ["exp", "iat", "nbf"])
@cases("kind", TIMES)
def test_an_invalid_time_is_400(signer: Any, name: str, kind: str) -> None:
    answer = redeem(signer, CODE, signed(signer, **{name: TIMES[kind]}))
    assert (answer.status_code, error_of(answer)) == (400, "invalid_client")


@cases("jti", ["7", "null", '""', '"\\u0000"', '"\\ud800"', '["a"]', "1e400"])
def test_an_invalid_jti_is_400(signer: Any, jti: str) -> None:
    answer = redeem(signer, CODE, signed(signer, jti=jti))
    assert (answer.status_code, error_of(answer)) == (400, "invalid_client")


@cases("subject", ['"\\u0000"', '"\\ud800"', "7", "null", "[]"])
def test_an_invalid_subject_is_refused(signer: Any, world: Any, subject: str) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": "x", "client_id": ""}
    token = signed(signer, sub=subject)
    answer = signer.token(client_assertion=token, client_assertion_type=TYPE, **form)
    assert (answer.status_code, error_of(answer)) == (401, "invalid_client")


def test_a_time_can_have_fractions_of_a_second(signer: Any, ada: User) -> None:
    token = assertion(signer, exp=time.time() + 60.5, iat=time.time() - 0.5, nbf=time.time() + 20.5)
    assert redeem(signer, signer.code(ada), token).status_code == 200


def test_a_used_assertion_is_remembered_for_as_long_as_it_would_be_accepted(signer: Any, world: Any, ada: User) -> None:
    from agents.tasks import sweep_client_assertions

    with time_machine.travel(NOON, tick=False) as clock:
        token = assertion(signer, exp=int(NOON.timestamp()) + 60, iat=None)
        assert redeem(signer, signer.code(ada), token).status_code == 200
        for seconds in (60, 29):  # expired, but within the leeway
            clock.shift(timedelta(seconds=seconds))
            assert sweep_client_assertions() == 0
            again = redeem(signer, signer.code(ada), token)
            assert (again.status_code, "already been used" in again.json()["error_description"]) == (401, True)
        clock.shift(timedelta(seconds=1))
        assert sweep_client_assertions() == 1
        assert "expired" in redeem(signer, signer.code(ada), token).json()["error_description"]


# Base64 of opening brackets: parsers recurse.
DEEP = "W1tb" * 1000


@cases(
    "token",
    ["", "x", "a.b.c", "e30.e30.", "eyJhbGciOiJub25lIn0.e30.", f"{DEEP}.e30.x", f"eyJhbGciOiJub25lIn0.{DEEP}.x"],
)
def test_garbage_is_refused(signer: Any, token: str) -> None:
    assert error_of(redeem(signer, CODE, token)) == "invalid_client"


def test_another_assertion_type_is_invalid_request(signer: Any) -> None:
    form = {"client_assertion": assertion(signer), "client_assertion_type": "saml"}
    assert error_of(signer.redeem(CODE, **form)) == "invalid_request"


def test_a_client_with_keys_must_send_an_assertion(signer: Any) -> None:
    assert error_of(signer.redeem(CODE)) == "invalid_client"


def test_a_client_with_a_secret_cannot_send_an_assertion(client: Any, world: Any) -> None:
    form = {"client_assertion": assertion(client), "client_assertion_type": TYPE, "grant_type": "client_credentials"}
    answer = client.token("", **form)
    assert (answer.status_code, error_of(answer)) == (401, "invalid_client")


def test_a_new_key_is_fetched_when_an_assertion_refers_to_it(
    chatgpt: Any, published: Any, world: Any, ada: User
) -> None:
    from agents.models import Agent
    from tests.oauth.documents import CHATGPT, Websites

    code = chatgpt.code(ada)
    first = assertion(chatgpt, key=RSA_KEY, algorithm="RS256", kid="one")
    assert redeem(chatgpt, code, first).status_code == 200
    published[CHATGPT["jwks_uri"]] = {"keys": [rsa_jwk("two")]}
    second = {"key": RSA_KEY, "algorithm": "RS256", "kid": "two"}
    # The keys are fetched again only if the last fetch was more than a minute ago.
    assert redeem(chatgpt, chatgpt.code(ada), assertion(chatgpt, **second)).status_code == 401
    agent = Agent.objects.get(client_id=CHATGPT["client_id"])
    agent.jwks_fetched_at = agent.jwks_fetched_at.replace(year=2020)
    agent.save()
    assert redeem(chatgpt, chatgpt.code(ada), assertion(chatgpt, **second)).status_code == 200
    assert Websites.asked.count(CHATGPT["jwks_uri"]) == 2
