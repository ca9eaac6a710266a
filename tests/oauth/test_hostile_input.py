"""Hostile input gets an error of the endpoint, never a 5xx, on both databases."""

from typing import Any
from unittest.mock import patch

from django.db import OperationalError
from django.test import Client

from tests.oauth.client import error_of
from tests.shared import cases

FORM = "application/x-www-form-urlencoded"
HOSTILE = [
    "%00",
    "a%00b",
    "%ff%fe",
    "%ed%a0%80",
    "x" * 9000,
    "%0d%0aSet-Cookie:x",
    "'%22%3E%3Cscript%3E",
    "%F0%9F%98%80",
]
ENDPOINTS = ["/oauth/token", "/oauth/revoke", "/oauth/introspect", "/oauth/par"]
FIELDS = ["client_id", "client_secret", "code", "refresh_token", "token", "scope", "resource", "redirect_uri", "state"]


@cases("path", ENDPOINTS)
@cases("value", HOSTILE)
def test_hostile_values_are_refused_by_the_endpoints_for_programs(world: Any, db: None, path: str, value: str) -> None:
    for grant in ("authorization_code", "refresh_token", "client_credentials", value):
        body = f"grant_type={grant}&" + "&".join(f"{field}={value}" for field in FIELDS)
        answer = Client().post(path, body, content_type=FORM)
        assert answer.status_code in (400, 401)
        assert error_of(answer)


@cases("field", [*FIELDS, "request_uri", "prompt", "code_challenge", "response_type", "x"])
@cases("value", HOSTILE)
def test_hostile_values_are_refused_by_the_authorization_endpoint(client: Any, field: str, value: str) -> None:
    from urllib.parse import urlencode

    query = urlencode({name: part for name, part in client.parameters().items() if name != field})
    answer = Client().get(f"/oauth/authorize?{query}&{field}={value}")
    assert answer.status_code in (303, 400)
    assert "\n" not in answer.get("Location", "")
    assert "<script>" not in answer.content.decode()


@cases("pair", ["a%00b:c", "%ff:x", ":", "x", "\udc80:x"])
@cases("path", ENDPOINTS)
def test_hostile_credentials_are_refused(world: Any, db: None, path: str, pair: str) -> None:
    import base64

    header = "Basic " + base64.b64encode(pair.encode("utf-8", "surrogatepass")).decode()
    body = "grant_type=client_credentials&token=x&code_challenge=x"
    answer = Client().post(path, body, content_type=FORM, headers={"Authorization": header})
    assert (answer.status_code, error_of(answer)) == (401, "invalid_client")


@cases("path", ENDPOINTS)
@cases("charset", ["utf-16", "utf-7", "latin-1"])
def test_another_charset_is_not_a_fault_of_the_server(world: Any, db: None, path: str, charset: str) -> None:
    answer = Client().post(path, "grant_type=client_credentials&token=x", content_type=f"{FORM}; charset={charset}")
    assert answer.status_code in (400, 401)
    assert error_of(answer)


def test_too_many_parameters_are_refused(world: Any, db: None) -> None:
    answer = Client().post("/oauth/token", "&".join(f"p{n}=1" for n in range(2000)), content_type=FORM)
    assert (answer.status_code, error_of(answer)) == (400, "invalid_request")


@cases("name", ["a\x00b", "\ud800", "x" * 300, {"a": 1}])
def test_a_hostile_name_cannot_be_registered(world: Any, db: None, name: Any) -> None:
    body = {"redirect_uris": ["https://a.example/"], "client_name": name}
    answer = Client().post("/oauth/register", body, content_type="application/json")
    assert (answer.status_code, error_of(answer)) == (400, "invalid_client_metadata")


@cases("value", [float("nan"), 1e999, "\x00", ["\ud800"], {"kty": {"deep": [1]}}])
def test_hostile_keys_cannot_be_registered(world: Any, db: None, value: Any) -> None:
    key = {"kty": value, "kid": value, "x": value}
    body = {
        "redirect_uris": ["https://a.example/"],
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": {"keys": [key]},
    }
    answer = Client().post("/oauth/register", body, content_type="application/json")
    assert (answer.status_code, error_of(answer)) == (400, "invalid_client_metadata")


def test_a_lost_database_is_503_and_grants_nothing(client: Any, world: Any) -> None:
    with patch("oauth.authentication.authenticate_client", side_effect=OperationalError("gone")):
        answer = client.token(grant_type="client_credentials")
    assert (answer.status_code, error_of(answer)) == (503, "temporarily_unavailable")
    assert answer["Retry-After"]
    assert "gone" not in answer.content.decode()


def test_an_error_does_not_repeat_long_names(db: None) -> None:
    body = "&".join(f"{'x' * 1000}{number}=1&{'x' * 1000}{number}=2" for number in range(100))
    assert len(Client().post("/oauth/token", body, content_type=FORM).content) < 4000
