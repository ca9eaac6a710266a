"""Users erase their own account: the page, its refusals, and what they see afterwards."""

from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from accounts.recent import RECENT_SIGN_IN
from consent.models import Consent
from core import clock
from developers.models import Developer
from tests.constants import PASSWORD
from tests.shared import cases
from tests.world import sign_in

PAGE = "/account/erase"
ADDRESS = "ada@example.com"


@pytest.fixture
def browser(ada: User) -> Client:
    """Ada's browser, just after she signed in."""
    client = Client()
    client.post("/accounts/login/", {"login": ADDRESS, "password": PASSWORD})
    return client


def is_erased(user: User) -> bool:
    return User.objects.get(pk=user.pk).erased_at is not None


def test_typing_the_address_erases_the_account_and_signs_out(browser: Client, ada: User) -> None:
    assert PAGE in browser.get("/account/data").content.decode()
    answer = browser.post(PAGE, {"email": " Ada@Example.com "})

    assert (answer.status_code, answer["Location"]) == (303, "/account/erased")
    assert is_erased(ada)
    assert "Your account and data are erased" in browser.get("/account/erased").content.decode()
    assert browser.get("/account").status_code == 302
    assert ADDRESS not in str(browser.cookies)


@cases("typed", ["", "bob@example.com", "ada@example.co"])
def test_another_address_erases_nothing(browser: Client, ada: User, bob: User, typed: str) -> None:
    answer = browser.post(PAGE, {"email": typed})
    assert answer.status_code == 422
    assert not is_erased(ada)
    assert not is_erased(bob)


def test_needs_a_recent_sign_in(browser: Client, ada: User, monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    later = clock.now() + RECENT_SIGN_IN
    monkeypatch.setattr(clock, "now", lambda: later)
    for answer in (browser.get(PAGE), browser.post(PAGE, {"email": ADDRESS})):
        assert answer["Location"].startswith("/accounts/reauthenticate/?next=%2Faccount%2Ferase")
    assert not is_erased(ada)


def test_needs_a_session(ada: User) -> None:
    answer = Client().post(PAGE, {"email": ADDRESS})
    assert answer["Location"] == "/accounts/login/?next=/account/erase"
    assert not is_erased(ada)


def test_an_administrator_is_told_to_give_up_the_rights_first(browser: Client, ada: User) -> None:
    User.objects.filter(pk=ada.pk).update(is_staff=True)
    answer = browser.post(PAGE, {"email": ADDRESS})
    assert answer.status_code == 409
    assert "This account belongs to an administrator" in answer.content.decode()
    assert not is_erased(ada)


def test_says_what_ends(browser: Client, ada: User, world: Any, ask: Any) -> None:
    world.allow(ask(), ada)
    assert '<li><bdi class="named">SmartMail</bdi></li>' in browser.get(PAGE).content.decode()
    Consent.objects.all().delete()
    assert "No agent can act for you now." in browser.get(PAGE).content.decode()


def test_the_last_owner_without_an_admin_is_warned(world: Any, developer: Developer) -> None:
    client = Client()
    client.post("/accounts/login/", {"login": "dev@example.com", "password": PASSWORD})
    warning = '<bdi class="named">Acme Robotics</bdi> will be suspended, because it has no other owner or admin'
    assert warning in client.get(PAGE).content.decode()
    other = Developer.objects.create(
        user=world.make_user("second@example.com"), organization=developer.organization, role="developer"
    )
    assert warning in client.get(PAGE).content.decode()
    Developer.objects.filter(pk=other.pk).update(role="admin")
    assert "will be suspended" not in client.get(PAGE).content.decode()


def test_the_last_page_is_not_shown_to_a_signed_in_user(ada: User) -> None:
    assert sign_in(ada).get("/account/erased")["Location"] == "/account"


def test_after_the_erasure_verify_denies_at_once(world: Any) -> None:
    grant = world.make_grant(email="eve@example.com", developer="maker@example.com")
    client = Client()
    client.post("/accounts/login/", {"login": grant.user.email, "password": world.PASSWORD})
    body = {"token": grant.access_token, "requiredScopes": ["email:read"]}

    def verify() -> dict[str, Any]:
        answer: dict[str, Any] = Client().post("/api/v1/tokens/verify", body, "application/json").json()
        return answer

    assert verify()["allowed"]
    assert "SmartMail" in client.get("/account/erase").content.decode()
    assert client.post("/account/erase", {"email": grant.user.email}).status_code == 303
    assert verify()["reason"] == "token_revoked"
