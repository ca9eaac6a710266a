"""Clients in a page of another origin can call the endpoints for programs, but not with a browser session."""

from django.test import Client

from tests.shared import cases

ORIGIN = {"Origin": "https://inspector.example"}
ENDPOINTS = ["/oauth/token", "/oauth/register", "/oauth/revoke", "/oauth/par"]
READABLE = [
    "/oauth/jwks",
    "/.well-known/oauth-authorization-server/oauth",
    "/.well-known/openid-configuration/oauth",
    "/oauth/.well-known/openid-configuration",
]


@cases("path", ENDPOINTS)
def test_a_preflight_allows_what_a_client_sends(path: str, db: None) -> None:
    answer = Client().options(path, headers={**ORIGIN, "Access-Control-Request-Method": "POST"})
    assert answer.status_code == 204
    assert answer["Access-Control-Allow-Origin"] == "*"
    assert answer["Access-Control-Allow-Methods"] == "POST"
    assert "Authorization" in answer["Access-Control-Allow-Headers"]
    assert "Access-Control-Allow-Credentials" not in answer


@cases("path", READABLE)
def test_public_documents_can_be_read_from_any_origin(path: str, db: None) -> None:
    answer = Client().get(path, headers=ORIGIN)
    assert (answer.status_code, answer["Access-Control-Allow-Origin"]) == (200, "*")
    assert answer["Cache-Control"].startswith("public")


def test_errors_can_be_read_from_any_origin(db: None) -> None:
    answer = Client().post("/oauth/token", "grant_type=x", content_type="text/plain", headers=ORIGIN)
    assert (answer.status_code, answer["Access-Control-Allow-Origin"]) == (400, "*")


def test_the_token_endpoint_ignores_browser_sessions(db: None) -> None:
    from accounts.models import User

    browser = Client(enforce_csrf_checks=True)
    browser.force_login(User.objects.create_user("ada@example.com"))
    assert (
        browser.post(
            "/oauth/token", "grant_type=client_credentials", content_type="application/x-www-form-urlencoded"
        ).status_code
        == 401
    )
