"""Clients that sign instead of sharing a secret (RFC 7523), as ChatGPT does."""

import json
import time
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

if TYPE_CHECKING:
    from accounts.models import User

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())


def rsa_jwk(kid: str = "one") -> dict[str, Any]:
    return {**json.loads(RSAAlgorithm.to_jwk(RSA_KEY.public_key())), "kid": kid, "use": "sig", "alg": "RS256"}


def ec_jwk() -> dict[str, Any]:
    return json.loads(ECAlgorithm.to_jwk(EC_KEY.public_key()))


@pytest.fixture
def signer(register: Any) -> Any:
    """A client with its keys inside its registration."""
    return register(token_endpoint_auth_method="private_key_jwt", jwks={"keys": [ec_jwk()]})


@pytest.fixture
def chatgpt(world: Any, published: Any) -> Any:
    """A client whose document names where its keys are."""
    from tests.oauth.documents import CHATGPT
    from tests.oauth.test_metadata_documents import client_of

    published[CHATGPT["client_id"]] = CHATGPT
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


def redeem(client: Any, code: str, token: str, **form: Any) -> Any:
    return client.redeem(code, client_assertion=token, client_assertion_type=TYPE, **form)


def test_a_client_that_signs_goes_the_whole_way(signer: Any, ada: "User") -> None:
    answer = redeem(signer, signer.code(ada), assertion(signer))
    assert answer.status_code == 200
    form = {"client_assertion": assertion(signer), "client_assertion_type": TYPE, "client_id": None}
    assert signer.refresh(answer.json()["refresh_token"], **form).status_code == 200


def test_chatgpts_document_passes_with_keys_from_its_jwks_uri(chatgpt: Any, ada: "User") -> None:
    token = assertion(chatgpt, key=RSA_KEY, algorithm="RS256", kid="one", aud="http://localhost:8000/oauth/token")
    assert redeem(chatgpt, chatgpt.code(ada), token).status_code == 200


def test_an_assertion_works_once(signer: Any, world: Any, ada: "User") -> None:
    token = assertion(signer)
    assert redeem(signer, signer.code(ada), token).status_code == 200
    again = redeem(signer, signer.code(ada), token)
    assert (again.status_code, world.error_of(again)) == (401, "invalid_client")


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "https://other.example/oauth"},
        {"aud": "http://localhost:8000"},
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
def test_an_assertion_that_is_not_the_clients_for_us_now_is_refused(
    signer: Any, world: Any, ada: "User", changes: dict[str, Any]
) -> None:
    answer = redeem(signer, signer.code(ada), assertion(signer, **changes))
    assert (answer.status_code, world.error_of(answer)) == (401, "invalid_client")


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "e30.e30.", "eyJhbGciOiJub25lIn0.e30."])
def test_garbage_is_refused(signer: Any, world: Any, ada: "User", token: str) -> None:
    assert world.error_of(redeem(signer, signer.code(ada), token)) == "invalid_client"


def test_another_assertion_type_is_invalid_request(signer: Any, world: Any, ada: "User") -> None:
    form = {"client_assertion": assertion(signer), "client_assertion_type": "saml"}
    assert world.error_of(signer.redeem(signer.code(ada), **form)) == "invalid_request"


def test_a_client_that_signs_cannot_go_without(signer: Any, world: Any, ada: "User") -> None:
    assert world.error_of(signer.redeem(signer.code(ada))) == "invalid_client"


def test_a_client_that_shares_a_secret_cannot_sign(client: Any, world: Any) -> None:
    form = {"client_assertion": assertion(client), "client_assertion_type": TYPE, "grant_type": "client_credentials"}
    answer = client.token("", **form)
    assert (answer.status_code, world.error_of(answer)) == (401, "invalid_client")


def test_a_new_key_is_fetched_when_an_assertion_names_it(chatgpt: Any, published: Any, world: Any, ada: "User") -> None:
    from agents.models import Agent
    from tests.oauth.documents import CHATGPT, StubFetcher

    code = chatgpt.code(ada)
    first = assertion(chatgpt, key=RSA_KEY, algorithm="RS256", kid="one")
    assert redeem(chatgpt, code, first).status_code == 200
    published[CHATGPT["jwks_uri"]] = {"keys": [rsa_jwk("two")]}
    second = {"key": RSA_KEY, "algorithm": "RS256", "kid": "two"}
    # At once it is a nuisance and not asked for; a minute later it is.
    assert redeem(chatgpt, chatgpt.code(ada), assertion(chatgpt, **second)).status_code == 401
    agent = Agent.objects.get(client_id=CHATGPT["client_id"])
    agent.jwks_fetched_at = agent.jwks_fetched_at.replace(year=2020)
    agent.save()
    assert redeem(chatgpt, chatgpt.code(ada), assertion(chatgpt, **second)).status_code == 200
    assert StubFetcher.asked.count(CHATGPT["jwks_uri"]) == 2


def test_used_assertions_are_swept_once_they_have_expired(signer: Any, ada: "User") -> None:
    from agents.models import UsedAssertion
    from agents.tasks import sweep_client_assertions

    redeem(signer, signer.code(ada), assertion(signer))
    assert sweep_client_assertions() == 0
    UsedAssertion.objects.update(expires_at="2020-01-01T00:00:00Z")
    assert sweep_client_assertions() == 1
