"""Changes of email addresses need a recent password, notify the old address and are logged."""

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from allauth.account.models import EmailAddress
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.constants import PASSWORD
from tests.log import log_entries
from tests.mails import code_in, read
from tests.passkeys import enter_password
from tests.shared import cases
from tests.world import Browser, make_user

PAGE, CONFIRM, SECOND = "/accounts/email/", "/accounts/email/confirm/", "ada@work.example"


@pytest.fixture
def browser(ada: Any, mails: list[Any]) -> Client:
    """The browser of Ada, who has just signed in."""
    client = Client()
    client.post("/accounts/login/", {"login": ada.email, "password": PASSWORD})
    return client


@pytest.fixture
def bob(db: None) -> Any:
    return make_user("bob@example.com", "Bob")


@pytest.fixture
def two(browser: Client, mails: list[Any]) -> Client:
    """The browser of Ada, who has added a second address."""
    browser.post(PAGE, {"email": SECOND, "action_add": ""})
    browser.post(CONFIRM, {"code": code_in(mails[-1])})
    mails.clear()
    return browser


def rows() -> list[tuple[str, bool, bool]]:
    return list(EmailAddress.objects.order_by("email").values_list("email", "primary", "verified"))


def notices_in(mails: list[Any]) -> list[tuple[str, str]]:
    return [(mail.to[0], mail.subject.removeprefix("[AgentGate] ")) for mail in mails]


def test_an_address_is_added_with_a_code_and_the_old_one_is_notified(
    browser: Client, ada: Any, mails: list[Any]
) -> None:
    answer = browser.post(PAGE, {"email": SECOND.upper(), "action_add": ""})
    assert (answer.status_code, answer["Location"]) == (303, CONFIRM)
    assert rows() == [(ada.email, True, False)]
    code = code_in(mails[-1])
    assert browser.post(CONFIRM, {"code": "00000-00000"}).status_code == 422
    assert browser.post(CONFIRM, {"code": code})["Location"] == PAGE
    assert rows() == [(ada.email, True, False), (SECOND, False, True)]
    assert notices_in(mails)[-1] == (ada.email, "An email address was added to your account")
    assert SECOND in read(mails[-1])
    assert log_entries(event="user.email_added", user_id=ada.id).count() == 1


@pytest.mark.parametrize("action", ["action_add", "action_remove", "action_primary", "action_send"])
def test_every_change_needs_a_recent_password(two: Client, ada: Any, mails: list[Any], action: str) -> None:
    before = rows()
    with time_machine.travel(timezone.now() + timedelta(minutes=5, seconds=1)):
        answer = two.post(PAGE, {"email": "third@work.example" if action == "action_add" else SECOND, action: ""})
        assert answer["Location"].startswith("/accounts/reauthenticate/")
        assert (rows(), mails) == (before, [])


def test_the_change_is_made_with_a_click_after_the_password_is_entered(two: Client, ada: Any, mails: list[Any]) -> None:
    with time_machine.travel(timezone.now() + timedelta(minutes=6)):
        form = two.post(PAGE, {"email": SECOND, "action_remove": ""})["Location"]
        wrong = two.post(form, {"password": "wrong"})
        assert "This is not your password." in wrong.content.decode()
        assert len(rows()) == 2
        two.post(form, {"password": PASSWORD})
        assert len(rows()) == 2
        two.post(PAGE, {"email": SECOND, "action_remove": ""})
        assert rows() == [(ada.email, True, False)]


def test_a_session_without_a_password_is_not_recent(as_ada: Client, ada: Any, mails: list[Any]) -> None:
    answer = as_ada.post(PAGE, {"email": SECOND, "action_add": ""})
    assert answer["Location"].startswith("/accounts/reauthenticate/")
    assert mails == []


def test_an_address_is_removed_and_both_are_notified(two: Client, ada: Any, mails: list[Any]) -> None:
    two.post(PAGE, {"email": SECOND, "action_remove": ""})
    assert rows() == [(ada.email, True, False)]
    words = "An email address was removed from your account"
    assert notices_in(mails) == [(ada.email, words), (SECOND, words)]
    assert log_entries(event="user.email_removed", user_id=ada.id).count() == 1


def test_the_primary_address_cannot_be_removed(two: Client, ada: Any) -> None:
    answer = two.post(PAGE, {"email": ada.email, "action_remove": ""})
    assert answer.status_code == 422
    assert len(rows()) == 2


def test_changing_the_primary_address_notifies_the_old_one_and_deletes_it_if_unverified(
    two: Client, ada: Any, mails: list[Any]
) -> None:
    old = ada.email
    two.post(PAGE, {"email": SECOND, "action_primary": ""})
    ada.refresh_from_db()
    assert ada.email == SECOND
    assert rows() == [(SECOND, True, True)]
    words = "The primary email address of your account was changed"
    assert notices_in(mails) == [(old, words), (SECOND, words)]
    assert log_entries(event="user.email_changed", user_id=ada.id).count() == 1


def test_only_the_primary_address_can_sign_in(two: Client) -> None:
    answer = Client().post("/accounts/login/", {"login": SECOND, "password": PASSWORD})
    assert "The email address or password is wrong." in answer.content.decode()


def test_an_unverified_address_cannot_become_primary(browser: Client, ada: Any) -> None:
    EmailAddress.objects.create(user=ada, email=SECOND)
    assert browser.post(PAGE, {"email": SECOND, "action_primary": ""}).status_code == 422
    ada.refresh_from_db()
    assert ada.email != SECOND


@pytest.mark.parametrize("action", ["action_remove", "action_primary"])
def test_each_notice_has_a_remedy_that_works_for_its_address(
    two: Client, ada: Any, mails: list[Any], action: str
) -> None:
    two.post(PAGE, {"email": SECOND, action: ""})
    main = ada.email if action == "action_remove" else SECOND
    assert len(mails) == 2
    for mail in mails:
        assert (reverse("account_reset_password") in mail.body) == (mail.to == [main])
        assert ("administrator" in mail.body) == (mail.to != [main])


def test_the_notice_to_a_taken_secondary_address_does_not_suggest_signing_in(
    two: Client, mails: list[Any], settings: Any
) -> None:
    settings.REQUIRE_VERIFIED_EMAIL = True
    for email in (SECOND, "ada@example.com"):
        Client().post("/accounts/signup/", {"email": email, "password1": "a-passphrase-of-mine-5"})
    assert [mail.to for mail in mails] == [[SECOND], ["ada@example.com"]]
    assert [reverse("account_login") in mail.body for mail in mails] == [False, True]
    assert [reverse("account_reset_password") in mail.body for mail in mails] == [False, True]


def test_another_users_address_gets_the_same_response_as_a_new_one(browser: Client, bob: Any, mails: list[Any]) -> None:
    seen = []
    for email in ("new@example.com", bob.email):
        answer = browser.post(PAGE, {"email": email, "action_add": ""})
        page = browser.get(CONFIRM).content.decode().replace(email, "·")
        seen.append((answer.status_code, answer["Location"], re.sub(r'value="\w{64}"', "", page)))
    assert seen[0] == seen[1]
    assert notices_in(mails)[-2][0] == "new@example.com"
    assert notices_in(mails)[-1] == (bob.email, "You already have an account")
    assert "\n    " not in mails[-1].body


def test_another_users_address_is_not_found(browser: Client, bob: Any) -> None:
    for action in ("action_remove", "action_primary"):
        assert browser.post(PAGE, {"email": bob.email, action: ""}).status_code == 404
    assert EmailAddress.objects.filter(user=bob).exists()


def test_a_code_works_only_in_the_browser_that_asked_for_it(browser: Client, ada: Any, mails: list[Any]) -> None:
    browser.post(PAGE, {"email": SECOND, "action_add": ""})
    other = enter_password(ada.email)
    assert other.post(CONFIRM, {"code": code_in(mails[-1])})["Location"] == PAGE
    assert rows() == [(ada.email, True, False)]


def test_the_primary_address_is_verified_with_a_code(browser: Client, ada: Any, mails: list[Any]) -> None:
    browser.post(PAGE, {"email": ada.email, "action_send": "", "next": "/activity"})
    done = browser.post(CONFIRM, {"code": code_in(mails[-1])})
    assert done["Location"] == "/activity"
    assert rows() == [(ada.email, True, True)]
    assert log_entries(event="user.email_verified", user_id=ada.id).count() == 1


def test_a_verified_address_needs_no_code(two: Client) -> None:
    answer = two.post(PAGE, {"email": SECOND, "action_send": ""})
    assert "This address is already confirmed." in answer.content.decode()


def test_the_number_of_addresses_is_limited(two: Client, ada: Any, mails: list[Any]) -> None:
    for number in range(4):
        EmailAddress.objects.create(user=ada, email=f"{number}@work.example", verified=True)
    assert (
        "An account can have at most 5 addresses."
        in two.post(PAGE, {"email": "x@work.example", "action_add": ""}).content.decode()
    )
    assert mails == []


class TestUnverifiedAccount:
    @pytest.fixture(autouse=True)
    def _required(self, settings: Any, ada: Any, developer: Any) -> None:
        settings.REQUIRE_VERIFIED_EMAIL = True

    def test_is_redirected_to_its_addresses_and_back_to_the_request(
        self, browser: Client, ask: Any, mails: list[Any]
    ) -> None:
        url = f"/consent/{ask().id}"
        answer = browser.post(url, {"decision": "allow", "scopes": ["email:read"]})
        assert (answer.status_code, answer["Location"]) == (303, f"{PAGE}?next={url}")
        page = browser.get(answer["Location"]).content.decode()
        assert "Confirm your email address first" in page
        browser.post(PAGE, {"email": "ada@example.com", "action_send": "", "next": url})
        assert browser.post(CONFIRM, {"code": code_in(mails[-1])})["Location"] == url

    @cases("path", ["", "agents", "policies", "api-keys"])
    def test_cannot_open_the_developer_portal(self, as_developer: Browser, path: str) -> None:
        answer = as_developer.get(f"{as_developer.home}/{path}")
        assert (answer.status_code, answer["Location"]) == (303, f"{PAGE}?next={as_developer.home}/{path}")
