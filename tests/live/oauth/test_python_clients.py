"""Authlib and requests-oauthlib, as their documentation has them."""

import time
from typing import Any

import pytest
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from joserfc.jwk import RSAKey
from requests_oauthlib import OAuth2Session

from tests.live.gate import CALLBACK, Agent, Developer, Gate, Person, expect
from tests.live.oauth.door import decide, hand_over

SCOPE = "email:read email:send"


@pytest.fixture
def agent(gate: Gate, developer: Developer) -> Agent:
    return gate.agent(developer)


def authlib(gate: Gate, agent: Agent, **options: Any) -> OAuth2Client:
    return OAuth2Client(
        client_id=agent.client_id,
        client_secret=agent.client_secret,
        scope=SCOPE,
        redirect_uri=CALLBACK,
        code_challenge_method="S256",
        **options,
    )


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_authlib_goes_the_whole_way(gate: Gate, agent: Agent, person: Person, method: str) -> None:
    client = authlib(gate, agent, token_endpoint_auth_method=method)
    token_endpoint, verifier = f"{gate.url}/oauth/token", "v" * 48
    url, state = client.create_authorization_url(f"{gate.url}/oauth/authorize", code_verifier=verifier)
    answer = decide(gate, person, url)

    tokens = client.fetch_token(token_endpoint, authorization_response=answer, state=state, code_verifier=verifier)
    assert tokens["scope"] == SCOPE
    renewed = client.refresh_token(token_endpoint, refresh_token=tokens["refresh_token"])
    assert gate.verify(renewed["access_token"])["allowed"] is True
    client.revoke_token(f"{gate.url}/oauth/revoke", token=renewed["refresh_token"])
    assert gate.verify(renewed["access_token"])["reason"] == "token_revoked"


def test_authlib_acts_on_its_own(gate: Gate, agent: Agent) -> None:
    client = authlib(gate, agent)
    tokens = client.fetch_token(f"{gate.url}/oauth/token", grant_type="client_credentials")
    decision = gate.verify(tokens["access_token"])
    assert (decision["allowed"], decision["userId"], decision["consentId"]) == (True, None, None)


def test_authlib_exchanges_a_delegation_token(gate: Gate, developer: Developer, person: Person) -> None:
    handed = hand_over(gate, developer, person)
    client = OAuth2Client(client_id=handed.to.client_id, client_secret=handed.to.client_secret)
    tokens = client.fetch_token(
        f"{gate.url}/oauth/token",
        grant_type="urn:ietf:params:oauth:grant-type:token-exchange",
        subject_token=handed.token,
        subject_token_type="urn:agentgate:params:oauth:token-type:delegation",
    )
    assert tokens["issued_token_type"] == "urn:ietf:params:oauth:token-type:access_token"
    assert gate.verify(tokens["access_token"])["actor"] == {"agentId": handed.to.id, "delegationId": handed.id}


def test_authlib_signs_instead_of_sharing_a_secret(gate: Gate, person: Person) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = RSAKey.import_key(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)).as_dict()
    metadata = {
        "redirect_uris": [CALLBACK],
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": {"keys": [public]},
    }
    registered = expect(201, gate.http.post(f"{gate.url}/oauth/register", json=metadata))
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    client = authlib(gate, Agent("", registered["client_id"], pem), token_endpoint_auth_method="private_key_jwt")
    token_endpoint, verifier = f"{gate.url}/oauth/token", "v" * 48
    client.register_client_auth_method(PrivateKeyJWT(token_endpoint))
    url, state = client.create_authorization_url(f"{gate.url}/oauth/authorize", code_verifier=verifier)
    answer = decide(gate, person, url)

    tokens = client.fetch_token(token_endpoint, authorization_response=answer, state=state, code_verifier=verifier)
    assert gate.verify(tokens["access_token"])["allowed"] is True


def test_requests_oauthlib_goes_the_whole_way(
    gate: Gate, agent: Agent, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    session = OAuth2Session(agent.client_id, redirect_uri=CALLBACK, scope=SCOPE.split(), pkce="S256")
    url, _ = session.authorization_url(f"{gate.url}/oauth/authorize")
    answer = decide(gate, person, url)

    token_endpoint = f"{gate.url}/oauth/token"
    tokens = session.fetch_token(token_endpoint, authorization_response=answer, client_secret=agent.client_secret)
    assert tokens["expires_at"] > time.time()
    renewed = session.refresh_token(
        token_endpoint, refresh_token=tokens["refresh_token"], auth=(agent.client_id, agent.client_secret)
    )
    assert gate.verify(renewed["access_token"])["allowed"] is True
