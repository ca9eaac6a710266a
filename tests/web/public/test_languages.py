"""The language of a response."""

from django.test import Client
from django.utils import translation

from accounts.models import User
from core.languages import is_for_users, language_of
from tests.shared import cases

LOGIN = "/accounts/login/"


def language(client: Client, path: str, accepted: str = "") -> str:
    response = client.get(path, headers={"Accept-Language": accepted})
    assert ("Accept-Language" in response.get("Vary", "")) is is_for_users(path)
    return response["Content-Language"]


@cases(
    ("accepted", "expected"),
    [
        ("de-CH,de;q=0.9,en;q=0.8", "de"),
        ("pt-PT", "pt-br"),
        ("zh-CN,zh;q=0.9", "zh-hans"),
        ("nl,fr;q=0.5", "fr"),
        ("nl", "en"),
        ("", "en"),
        ("*;q=x,,\u202e", "en"),
    ],
)
def test_a_page_is_in_the_first_known_language_that_the_browser_accepts(
    client: Client, db: None, accepted: str, expected: str
) -> None:
    assert language(client, LOGIN, accepted) == expected


def test_the_account_decides_before_the_cookie_and_the_cookie_before_the_browser(
    client: Client, as_ada: Client, ada: User
) -> None:
    for browser in (client, as_ada):
        browser.cookies["language"] = "fr"
        assert language(browser, "/scopes", "de") == "fr"
    User.objects.filter(pk=ada.pk).update(language="ja")
    assert language(as_ada, "/account", "de") == "ja"
    assert '<html lang="ja" dir="ltr"' in as_ada.get("/account").content.decode()


@cases("chosen", ["nl", "../../x", "EN", "x" * 5000])
def test_an_unknown_choice_is_ignored(as_ada: Client, ada: User, chosen: str) -> None:
    as_ada.cookies["language"] = chosen
    User.objects.filter(pk=ada.pk).update(language=chosen[:10])
    assert language(as_ada, "/scopes", "de") == "de"


def test_errors_are_in_the_language_too(client: Client, db: None) -> None:
    assert language(client, "/nowhere", "ar") == "ar"
    assert '<html lang="ar" dir="rtl"' in client.get("/nowhere", headers={"Accept-Language": "ar"}).content.decode()


@cases(
    "path",
    ["/developer/", "/developer/agents", "/docs", "/security", "/api/v1/scopes", "/api/v1/nowhere", "/admin/"],
)
def test_developers_administrators_and_programs_get_english(as_developer: Client, path: str) -> None:
    as_developer.cookies["language"] = "fr"
    User.objects.update(language="ja")
    assert language(as_developer, path, "de") == "en"


def test_a_text_without_a_request_is_in_the_language_of_the_account() -> None:
    for chosen, expected in {"pt-br": "pt-br", "": "en", "xx": "en"}.items():
        with language_of(chosen):
            assert translation.get_language() == expected
