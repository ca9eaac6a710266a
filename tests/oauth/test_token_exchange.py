"""Token exchange (RFC 8693): an agent redeems a delegation token at the token endpoint."""

from typing import Any
from urllib.parse import urlencode

import jwt
import pytest
from django.conf import settings
from django.test import Client

from accounts.models import User
from developers.models import Developer
from resources.services import RegisteredResourceServer
from tests.oauth.client import FORM, OAuthClient, error_of, introspect, make_client, make_public_client
from tests.shared import cases
from tests.world import ANONYMOUS, let_delegate
from tokens.delegations import Delegated, Wanted, create_delegation, end_delegation

MAIL = "https://mail.example/api"
GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
DELEGATION = "urn:agentgate:params:oauth:token-type:delegation"
DETAILS = '[{"type": "target", "actions": ["email:read"], "identifiers": ["ada@example.com"]}]'
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


@pytest.fixture
def second(developer: Developer) -> OAuthClient:
    return make_client(developer, name="Summarizer")


@pytest.fixture
def token(client: OAuthClient, ada: User, service: RegisteredResourceServer) -> str:
    token = client.tokens(ada, scope="email:read email:send", resource=MAIL)["access_token"]
    let_delegate(token)
    return token


@pytest.fixture
def made(client: OAuthClient, second: OAuthClient, token: str) -> Delegated:
    return hand_over(client, token, second)


def hand_over(client: OAuthClient, token: str, to: OAuthClient) -> Delegated:
    wanted = Wanted(to=to.agent.client_id, scopes=["email:read", "email:send"])
    return create_delegation(actor=ANONYMOUS, agent=client.agent, token=token, wanted=wanted)


def exchange(client: OAuthClient, token: str, **form: Any) -> Any:
    form = {"subject_token": token, "subject_token_type": DELEGATION, **form}
    return client.token(grant_type=GRANT, **form)


def test_the_response_names_the_type_of_token_and_who_acts(
    client: OAuthClient, second: OAuthClient, made: Delegated, ada: User
) -> None:
    answer = exchange(second, made.token, requested_token_type=ACCESS_TOKEN)
    assert (answer.status_code, answer["Cache-Control"]) == (200, "no-store")
    body = answer.json()
    link = {"agent_id": second.agent.id, "delegation_id": made.delegation.id}
    assert (body["issued_token_type"], body["token_type"]) == (ACCESS_TOKEN, "Bearer")
    assert (body["scope"], body["expires_in"]) == ("email:read email:send", 900)
    assert (body["delegation_id"], body["user_id"]) == (made.delegation.id, ada.id)
    assert (body["actor"], body["chain"][0]) == (link, {"agent_id": client.agent.id, "delegation_id": None})
    claims = jwt.decode(body["access_token"], options={"verify_signature": False})
    assert claims["act"]["sub"] == second.agent.client_id
    assert claims["act"]["act"]["sub"] == client.agent.client_id
    renewed = second.refresh(body["refresh_token"]).json()
    assert "issued_token_type" not in renewed
    assert renewed["delegation_id"] == made.delegation.id


def test_scope_resource_and_audience_narrow_the_token(second: OAuthClient, made: Delegated) -> None:
    narrowed = exchange(second, made.token, scope="email:read", resource=MAIL, audience=[MAIL, MAIL])
    assert narrowed.json()["scope"] == "email:read"
    claims = jwt.decode(narrowed.json()["access_token"], options={"verify_signature": False})
    assert claims["aud"] == MAIL


@cases(
    ("form", "error"),
    [
        ({"subject_token": None}, "invalid_request"),
        ({"subject_token_type": None}, "invalid_request"),
        ({"subject_token_type": "urn:ietf:params:oauth:token-type:id_token"}, "invalid_request"),
        ({"requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token"}, "invalid_request"),
        ({"actor_token": "x", "actor_token_type": ACCESS_TOKEN}, "invalid_request"),
        ({"actor_token_type": ACCESS_TOKEN}, "invalid_request"),
        ({"scope": "calendar:freebusy"}, "invalid_scope"),
        ({"authorization_details": DETAILS}, "invalid_authorization_details"),
        ({"resource": settings.API_URL}, "invalid_target"),
        ({"resource": "https://unknown.example/"}, "invalid_target"),
        ({"audience": ["https://unknown.example/", MAIL]}, "invalid_target"),
        ({"subject_token": "dlg_unknown"}, "invalid_grant"),
    ],
)
def test_a_refused_request_consumes_nothing(second: OAuthClient, made: Delegated, form: Any, error: str) -> None:
    assert error_of(exchange(second, made.token, **form)) == error
    assert exchange(second, made.token).status_code == 200


def test_an_access_token_gets_a_hint(second: OAuthClient, token: str) -> None:
    answer = exchange(second, token, subject_token_type=ACCESS_TOKEN)
    assert error_of(answer) == "invalid_request"
    assert "/api/v1/delegations" in answer.json()["error_description"]


def test_only_the_receiver_and_only_once(client: OAuthClient, second: OAuthClient, made: Delegated) -> None:
    assert error_of(exchange(client, made.token)) == "invalid_grant"
    body = exchange(second, made.token).json()
    assert error_of(exchange(second, made.token)) == "invalid_grant"
    assert second.refresh(body["refresh_token"]).status_code == 200


def test_a_client_without_a_secret_is_refused(developer: Developer, made: Delegated) -> None:
    assert error_of(exchange(make_public_client(developer), made.token)) == "unauthorized_client"


def test_a_lost_response_is_repeated_with_the_same_key(second: OAuthClient, made: Delegated) -> None:
    form = {"grant_type": GRANT, "subject_token": made.token, "subject_token_type": DELEGATION}
    headers = {"Authorization": second.authorization, "Idempotency-Key": "one"}
    answers = [Client().post("/oauth/token", urlencode(form), FORM, headers=headers).json() for _ in range(2)]
    assert answers[0] == answers[1]
    assert "access_token" in answers[0]


def test_the_token_is_kept_out_of_the_url(second: OAuthClient, made: Delegated) -> None:
    assert error_of(second.post(f"/oauth/token?subject_token={made.token}", grant_type=GRANT)) == "invalid_request"


def test_metadata_lists_it() -> None:
    metadata = Client().get("/.well-known/oauth-authorization-server/oauth").json()
    assert GRANT in metadata["grant_types_supported"]


def test_introspection_knows_the_chain_and_its_end(
    second: OAuthClient, made: Delegated, service: RegisteredResourceServer
) -> None:
    issued = exchange(second, made.token).json()
    live = introspect(service, issued["access_token"])
    assert (live["active"], live["chain"]) == (True, issued["chain"])
    end_delegation(actor=ANONYMOUS, delegation=made.delegation)
    assert introspect(service, issued["access_token"]) == {"active": False}
    assert error_of(second.refresh(issued["refresh_token"])) == "invalid_grant"
