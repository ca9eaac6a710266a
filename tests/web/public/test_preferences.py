"""The theme of pages: in the account of a signed-in user, and in a cookie of the browser."""

import re

import pytest
from django.test import Client

from accounts.models import User
from tests.log import log_entries
from tests.passkeys import enter_password
from tests.shared import cases

PATH = "/preferences"
YEAR = 365 * 86_400


def theme_in(client: Client, path: str = "/docs") -> str:
    answer = client.get(path)
    (found,) = re.findall(r'<html [^>]* class="theme-(\w+)">', answer.content.decode())
    assert "Cookie" in answer["Vary"]
    return str(found)


@pytest.mark.django_db
def test_a_visitor_chooses_the_theme_of_the_browser() -> None:
    browser = Client()
    assert theme_in(browser) == "system"
    assert b'content="light dark"' in browser.get("/docs").content
    answer = browser.post(PATH, {"theme": "dark", "next": "/scopes?risk=low"})
    assert (answer.status_code, answer["Location"]) == (303, "/scopes?risk=low")
    cookie = answer.cookies["theme"]
    assert (cookie["samesite"], cookie["httponly"], cookie["max-age"]) == ("Lax", True, YEAR)
    assert theme_in(browser) == theme_in(browser, "/nothing") == "dark"
    page = browser.get("/docs").content.decode()
    assert '<meta name="color-scheme" content="dark">' in page
    assert re.findall(r'name="theme" value="(\w*)" aria-pressed="true"', page) == ["dark"]
    browser.post(PATH, {"theme": ""})
    assert theme_in(browser) == "system"


def test_the_theme_of_a_user_is_in_the_account_and_unlogged(ada: User) -> None:
    enter_password(ada.email).post(PATH, {"theme": "light", "next": "/account"})
    ada.refresh_from_db()
    assert ada.theme == "light"
    elsewhere = enter_password(ada.email)
    elsewhere.cookies["theme"] = "dark"
    assert theme_in(elsewhere, "/account") == "light"
    assert not log_entries(event="user.profile_changed", user_id=ada.id)


@cases("theme", ["black", "dark ", "x" * 5000, None])
def test_an_unknown_theme_changes_nothing(ada: User, theme: str | None) -> None:
    browser = enter_password(ada.email)
    answer = browser.post(PATH, {} if theme is None else {"theme": theme})
    ada.refresh_from_db()
    assert (answer.status_code, answer["Location"], ada.theme) == (303, "/", "")
    assert "theme" not in answer.cookies
    browser.cookies["theme"] = theme or ""
    assert theme_in(browser) == "system"


@cases(
    "target",
    ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)", "/api/v1/health", PATH],
)
def test_it_returns_only_to_our_pages(db: None, target: str) -> None:
    answer = Client().post(PATH, {"theme": "dark", "next": target})
    assert answer["Location"] in ("/", PATH)
    assert Client().get(PATH)["Location"] == "/"


def test_another_site_cannot_change_the_theme_of_an_account(ada: User) -> None:
    browser = Client(enforce_csrf_checks=True)
    assert browser.post(PATH, {"theme": "dark"}).cookies["theme"].value == "dark"
    browser.force_login(ada)
    assert browser.post(PATH, {"theme": "dark"}, headers={"origin": "https://evil.example"}).status_code == 403
    ada.refresh_from_db()
    assert ada.theme == ""


@cases("site", ["cross-site", "same-site"])
def test_another_site_cannot_choose_the_language_of_a_browser(ada: User, site: str) -> None:
    """A form there comes without the session, so it looks like a visitor's."""
    browser = Client()
    answer = browser.post(PATH, {"language": "ja"}, headers={"sec-fetch-site": site})
    assert (answer.status_code, [*answer.cookies]) == (403, [])
    answer = browser.post(PATH, {"language": "ja"}, headers={"sec-fetch-site": "same-origin"})
    assert answer.cookies["language"].value == "ja"


def test_a_visitor_and_a_user_choose_the_language(client: Client, ada: User) -> None:
    client.post(PATH, {"language": "ar", "next": "/scopes"})
    page = client.get("/scopes").content.decode()
    assert '<html lang="ar" dir="rtl"' in page
    assert re.findall(r'value="([\w-]+)" lang="[\w-]+" translate="no" aria-current', page) == ["ar"]
    assert 'name="language"' not in client.get("/docs").content.decode()
    as_ada = enter_password(ada.email)
    as_ada.post(PATH, {"language": "ja"})
    as_ada.post(PATH, {"language": "nl"})
    ada.refresh_from_db()
    assert ada.language == "ja"
    (entry,) = log_entries(event="user.profile_changed", user_id=ada.id)
    assert entry.content["metadata"] == {"fields": ["language"]}
