"""The page that a visitor wanted, on every way through the entrance: sign-up, sign-in, reset, passkey, second step."""

from typing import Any
from urllib.parse import quote, urlparse, urlsplit

import pytest
from django.test import Client

from accounts.models import User
from tests.constants import PASSWORD
from tests.mails import code_in, link_in
from tests.passkeys import add_passkey, enter_password
from tests.shared import cases
from tests.web.markup import main_of

WANTED = "/developer/agents/new?from=docs&to=2"
LOGIN, SIGN_UP, RESET = "/accounts/login/", "/accounts/signup/", "/accounts/password/reset/"
STEP = "/accounts/second-step/"
ELSEWHERE = ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "http://["]
OTHER_PATHS = [
    "//localhost/x",
    "//testserver/account",
    "http://testserver/account",
    "/%6fauth/token",
    "/oauth/token",
    "/oauth/jwks",
    "/metrics",
    "/api/v1/health",
    "/%61pi/v1/users/me/audit-export",
    "/admin/logout/",
    "/admin/no-such-page/",
    "/no-such-page",
    "/scopes/../oauth/token",
    "/account/%2e%2e/oauth/token",
    "/account/..;/x",
    "/%2faccount",
    "-1",
    "account",
    "?next=x",
    "#x",
    "/accounts/../account",
]

pytestmark = pytest.mark.django_db


def linked(page: Any, path: str) -> list[str]:
    """Return the queries of the page's links to the path, as they are in its markup."""
    parts = page.content.decode().split(f'href="{path}')[1:]
    return [part.partition('"')[0] for part in parts]


def kept(path: str) -> str:
    return f"{path}?next={quote(WANTED, safe='')}"


@cases("path", [LOGIN, SIGN_UP, RESET])
def test_every_link_between_the_doors_keeps_the_way(client: Client, path: str) -> None:
    page = client.get(path, {"next": WANTED})
    doors = [query for door in (LOGIN, SIGN_UP) for query in linked(page, door)]
    assert len(doors) >= 3  # those of the masthead, and one of the page
    assert set(doors) == {f"?next={quote(WANTED, safe='')}"}


@cases("path", [LOGIN, SIGN_UP, RESET])
def test_a_refused_form_keeps_the_way(client: Client, path: str) -> None:
    page = client.post(path, {"login": "x", "email": "x", "next": WANTED})
    assert set(linked(page, LOGIN) + linked(page, SIGN_UP)) == {f"?next={quote(WANTED, safe='')}"}
    assert f'name="next" value="{WANTED.replace("&", "&amp;")}"' in page.content.decode()


@cases("wanted", ELSEWHERE)
@cases("path", [LOGIN, SIGN_UP, RESET])
def test_no_link_leads_to_another_site(client: Client, path: str, wanted: str) -> None:
    page = client.get(path, {"next": wanted})
    assert set(linked(page, LOGIN) + linked(page, SIGN_UP)) <= {"", RESET.removeprefix(LOGIN)}
    assert 'name="next"' not in main_of(page.content.decode())


@cases("wanted", OTHER_PATHS)
def test_a_way_back_to_anything_but_a_page_is_ignored(client: Client, ada: User, wanted: str) -> None:
    answer = client.post(LOGIN, {"login": ada.email, "password": PASSWORD, "next": wanted})
    assert (answer.status_code, answer["Location"]) == (302, "/dashboard")


@cases("wanted", ["/oauth/authorize?client_id=x", "/admin/", "/%61ccount", "/account#name", "/"])
def test_a_path_of_a_page_is_followed(client: Client, ada: User, wanted: str) -> None:
    answer = client.post(LOGIN, {"login": ada.email, "password": PASSWORD, "next": wanted})
    assert answer["Location"] == wanted


def test_a_page_without_a_way_has_plain_links(client: Client) -> None:
    page = client.get("/")
    assert {*linked(page, LOGIN), *linked(page, SIGN_UP)} == {""}


def test_the_code_of_a_sign_up_leads_to_the_page(client: Client, settings: Any, mails: list[Any]) -> None:
    settings.REQUIRE_VERIFIED_EMAIL = True
    form = {"email": "new@example.com", "password1": PASSWORD, "next": WANTED}
    confirm = client.post(SIGN_UP, form)["Location"]
    assert set(linked(client.get(confirm), SIGN_UP)) == {f"?next={quote(WANTED, safe='')}"}
    assert client.post(confirm, {"code": code_in(mails[-1]), "next": WANTED})["Location"] == WANTED


def test_a_sign_up_whose_session_has_ended_starts_again_with_the_way(client: Client) -> None:
    answer = client.post("/accounts/signup/confirm/", {"code": "123456", "next": WANTED})
    assert answer["Location"] == kept(SIGN_UP)
    answer = client.post("/accounts/signup/confirm/", {"code": "123456", "next": ELSEWHERE[0]})
    assert answer["Location"] == SIGN_UP


def test_the_second_step_keeps_the_way_forward_and_back(client: Client, ada: User) -> None:
    add_passkey(enter_password(ada.email))
    assert client.post(LOGIN, {"login": ada.email, "password": PASSWORD, "next": WANTED})["Location"] == STEP
    page = client.get(STEP)
    assert set(linked(page, LOGIN)) == {f"?next={quote(WANTED, safe='')}"}
    assert page.content.decode().count(f'name="next" value="{WANTED.replace("&", "&amp;")}"') == 2
    assert Client().post(STEP, {"code": "123456", "next": WANTED})["Location"] == kept(LOGIN)
    assert Client().post(STEP, {"code": "123456", "next": ELSEWHERE[0]})["Location"] == LOGIN


def test_confirming_that_it_is_you_keeps_the_way_to_a_reset(as_ada: Client) -> None:
    page = as_ada.get("/accounts/reauthenticate/", {"next": WANTED})
    assert linked(page, RESET) == [f"?next={quote(WANTED, safe='')}"]


def test_a_reset_leads_to_the_page_once(client: Client, ada: User, mails: list[Any]) -> None:
    client.post(RESET, {"email": ada.email, "next": WANTED})
    page = client.get(link_in(mails[-1]), follow=True)
    form = {"password1": "a-new-passphrase-77", "password2": "a-new-passphrase-77"}
    done = client.post(page.request["PATH_INFO"], form, follow=True)
    assert done.context["login_url"] == kept(LOGIN)
    assert client.get(f"{RESET}key/done/").context["login_url"] == LOGIN


@cases("wanted", ["/consent/cns_0000", *ELSEWHERE])
def test_a_reset_forgets_another_site_and_a_request_that_is_over(client: Client, ada: User, wanted: str) -> None:
    client.post(RESET, {"email": ada.email, "next": wanted})
    assert client.get(f"{RESET}key/done/").context["login_url"] == LOGIN


def test_a_long_address_is_not_a_way_back_and_not_kept_in_memory(client: Client) -> None:
    """Python keeps the last addresses that it has split, as `urlparse` asks for them."""
    long = f"/scopes?q={'x' * 3000}"
    assert long not in client.post(SIGN_UP, {"next": long, "email": "no"}).content.decode()
    before = urlsplit.cache_info()
    urlparse(long)
    assert urlsplit.cache_info().hits == before.hits


@cases(
    ("path", "purpose", "back"),
    [
        ("/account/security/passkeys/new", "You are about to add a passkey.", "/account/security"),
        ("/account/erase", "You are about to erase your account.", "/account/erase"),
        ("/activity.csv?agent=x", "You are about to download your activity.", "/activity"),
        ("/admin/agents/agent/", "", "/admin/"),
        ("/developer/api-keys", "", "/developer/api-keys"),
    ],
)
def test_the_page_for_the_password_says_what_for_and_can_be_cancelled(
    as_ada: Client, path: str, purpose: str, back: str
) -> None:
    page = as_ada.get("/accounts/reauthenticate/", {"next": path}).content.decode()
    assert f'<a class="button" href="{back}">Cancel</a>' in page
    assert ("You are about to" in page) == bool(purpose)
    assert purpose in page


def test_a_page_of_another_site_is_no_way_back(as_ada: Client) -> None:
    page = as_ada.get("/accounts/reauthenticate/", {"next": "https://evil.example/"}).content.decode()
    assert "Cancel</a>" not in page
