"""Errors say what to do instead."""

from tests.api.conftest import (
    CALLBACK,
    SCOPES,
    Api,
    Json,
    code_for,
    credentials,
    expect,
    problem,
)
from tests.shared import cases

ASK = {"token": "x", "requiredScopes": ["email:read"]}


def message(body: Json) -> str:
    (error,) = body["errors"]
    return str(error["message"])


def test_a_string_instead_of_a_list(anonymous: Api) -> None:
    body = problem(
        anonymous.post("/tokens/verify", {**ASK, "requiredScopes": "email:read"}),
        400,
        "validation_failed",
        "requiredScopes",
    )
    assert message(body) == 'Must be a list, such as ["email:read"].'


@cases(
    ("name", "hint"),
    [
        ("required_scopes", " Did you mean requiredScopes?"),
        ("requiredScope", " Did you mean requiredScopes?"),
        ("RESOURCE", " Did you mean resource?"),
        ("scopes", " Did you mean requiredScopes?"),
        ("scope", " Did you mean requiredScopes?"),
        ("colour", ""),
        ("x" * 5000, ""),
    ],
)
def test_an_unknown_field_with_a_similar_known_one(anonymous: Api, name: str, hint: str) -> None:
    body = problem(anonymous.post("/tokens/verify", {**ASK, name: 1}), 400, "validation_failed", name[:100])
    assert message(body) == f"Unknown field.{hint}"


def test_a_part_of_two_names_suggests_the_required_one(anonymous: Api) -> None:
    body = {"clientId": "agc_x", "requestedScopes": ["email:read"], "redirectUri": CALLBACK, "scopes": ["email:read"]}
    answer = problem(anonymous.post("/consent/initiate", body), 400, "validation_failed", "scopes")
    assert message(answer) == "Unknown field. Did you mean requestedScopes?"


def test_an_empty_list(anonymous: Api) -> None:
    body = {**ASK, "requiredScopes": []}
    answer = problem(anonymous.post("/tokens/verify", body), 400, "validation_failed", "requiredScopes")
    assert message(answer) == "Must not be empty."


def test_an_unknown_field_in_a_batch(anonymous: Api) -> None:
    body = {"requests": [ASK, {**ASK, "requird_scopes": []}]}
    answer = problem(
        anonymous.post("/tokens/verify/batch", body), 400, "validation_failed", "requests.1.requird_scopes"
    )
    assert message(answer) == "Unknown field. Did you mean requiredScopes?"


def test_at_most_20_unknown_fields_are_reported(anonymous: Api) -> None:
    body = {**ASK, **{f"field{n:02}": 1 for n in range(30)}}
    names = [f"field{n:02}" for n in range(20)]
    problem(anonymous.post("/tokens/verify", body), 400, "validation_failed", *names)


@cases("scheme", ["Bearer ", ""])
def test_an_api_key_as_bearer(developer: Api, scheme: str) -> None:
    api = Api(Authorization=f"{scheme}{developer.headers['X-Api-Key']}")
    assert "X-Api-Key" in problem(api.get("/agents"), 401, "not_authenticated")["detail"]


def test_a_session_token_as_api_key(ada: Api) -> None:
    token = ada.headers["Authorization"].removeprefix("Bearer ")
    detail = problem(Api(X_Api_Key=token).get("/agents"), 401, "not_authenticated")["detail"]
    assert "Authorization: Bearer" in detail


def test_an_unknown_scope_of_an_agent(developer: Api, agent: Json) -> None:
    body = {"name": "A", "redirectUris": [CALLBACK], "allowedScopes": ["email:raed"]}
    for answer in (
        developer.post("/agents", body),
        developer.patch(f"/agents/{agent['id']}", {"allowedScopes": ["email:raed"]}),
    ):
        refused = problem(answer, 400, "invalid_scope", "allowedScopes.0")
        assert message(refused) == "The scope 'email:raed' does not exist. Did you mean 'email:read'?"


def test_an_unknown_scope_of_a_consent_request(anonymous: Api, agent: Json) -> None:
    asked = {"clientId": agent["clientId"], "redirectUri": CALLBACK}
    unknown = problem(
        anonymous.post("/consent/initiate", {**asked, "requestedScopes": ["qqq:zzz"]}),
        400,
        "invalid_scope",
        "requestedScopes.0",
    )
    assert message(unknown) == "The scope 'qqq:zzz' does not exist. GET /api/v1/scopes lists the catalogue."
    beyond = anonymous.post("/consent/initiate", {**asked, "requestedScopes": [*SCOPES, "payments:charge"]})
    assert problem(beyond, 400, "invalid_scope")["detail"] == "Not among the agent's allowedScopes: payments:charge."


def test_an_unknown_scope_of_a_resource_server(developer: Api) -> None:
    body = {"name": "Mail", "identifier": "https://mail.example", "scopes": ["email:raed", "qqq:zzz"]}
    answer = developer.post("/resource-servers", body)
    near, far = problem(answer, 400, "validation_failed", "scopes.0", "scopes.1")["errors"]
    assert near["message"].endswith("nor one of your organization's scopes. Did you mean email:read?")
    assert far["message"].endswith(" GET /api/v1/scopes lists the catalogue.")


def test_a_wrong_password(anonymous: Api) -> None:
    body = {"email": "nobody@example.com", "password": "x"}
    answer = problem(anonymous.post("/developers/login", body), 401, "invalid_credentials")
    assert answer["detail"].startswith("The email address or password is wrong.")


def test_a_reused_code_says_that_its_tokens_are_revoked(agent: Json, ada: Api) -> None:
    body = {"code": code_for(agent, ada), **credentials(agent)}
    expect(200, Api().post("/tokens/exchange", body))
    assert "tokens" in problem(Api().post("/tokens/exchange", body), 400, "invalid_grant")["detail"]
