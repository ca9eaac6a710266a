"""Public pages and error pages."""

import re

from django.test import Client, RequestFactory
from django.views.defaults import bad_request, server_error

from resources.catalogue import catalogue
from tests.shared import cases
from tests.web.markup import text_of
from tests.web.public.test_after_sign_in import pages


def test_the_landing_page_addresses_users_and_developers(client, db):
    text = client.get("/").content.decode()
    assert len(re.findall(r"<h1>[^.]+\.</h1>", text)) == 1
    assert "Use agents" in text
    assert "Build with AgentGate" in text
    assert 'href="/developer/"' in text


def test_scopes_come_from_the_catalogue(client, db):
    text = client.get("/scopes").content.decode()
    assert all(f'id="{scope_id}"' in text for scope_id in catalogue())


@cases("path", ["/", "/scopes", "/accounts/login/", "/nowhere"])
def test_the_content_security_policy_is_strict_everywhere(client, db, path):
    response = client.get(path)
    policy = response["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "base-uri 'none'" in policy
    assert "unsafe" not in policy
    assert " style=" not in response.content.decode()


@cases("path", ["/", "/scopes"])
def test_public_pages_accept_only_get(client, db, path):
    assert client.post(path).status_code == 405


def test_a_missing_page_says_so(client, db):
    response = client.get("/nowhere")
    assert response.status_code == 404
    assert "Page not found" in response.content.decode()


def test_the_navigation_stays_on_a_missing_page(as_ada):
    assert 'href="/connections"' in as_ada.get("/nowhere").content.decode()


@cases(
    "path",
    [
        "/",
        "/approvals",
        "/activity",
        "/account",
        "/account/security",
        "/accounts/email/",
        "/docs",
        "/scopes",
        "/developer/",
    ],
)
def test_the_connections_are_one_click_away(as_developer, path):
    assert re.search(r'<a [^>]*href="/connections"', text_of(as_developer, path))


@cases(
    ("path", "page"),
    [
        ("/connections/", "/connections"),
        ("/activity/audit//?agent=agt_1&q=%2F", "/activity/audit?agent=agt_1&q=%2F"),
        ("/docs/operations/", "/docs/operations"),
    ],
)
def test_a_slash_at_the_end_leads_to_the_page(client, db, path, page):
    response = client.get(path)
    assert (response.status_code, response["Location"]) == (301, page)
    assert client.post(path).status_code != 301


@cases("path", ["//evil.example/", "//connections/", "/nowhere/", "/%0a/connections/", "/oauth/jwks/", "/"])
def test_a_slash_leads_to_pages_of_this_site_only(client, db, path):
    assert "Location" not in client.get(path)


def test_no_page_changes_anything_without_a_csrf_token(as_developer):
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = as_developer.cookies
    assert {path: strict.post(path).status_code for path in pages()} == dict.fromkeys(pages(), 403)


def test_a_missing_csrf_token_shows_an_error_page(db):
    response = Client(enforce_csrf_checks=True).post("/accounts/login/", {"login": "a", "password": "b"})
    assert response.status_code == 403
    assert "Not allowed" in response.content.decode()


def test_the_pages_for_400_and_500_need_no_template_context():
    request = RequestFactory().get("/")
    assert "Bad request" in bad_request(request, ValueError()).content.decode()
    assert "went wrong on our side" in server_error(request).content.decode()


@cases("text", ["%00", "a%00b", "%ED%A0%80", "x" * 500, "..%2F..", "'"])
@cases("path", ["consent", "connections", "developer/agents", "developer/policies"])
def test_a_malformed_id_is_not_found(as_developer, path, text):
    assert as_developer.get(f"/{path}/{text}").status_code == 404
