"""A person's addresses: changed only by one who gave the password a moment ago, told to the old address, logged."""

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from allauth.account.models import EmailAddress
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from audit.models import Entry
from tests.constants import PASSWORD
from tests.mails import code_in

PAGE, CONFIRM, SECOND = "/accounts/email/", "/accounts/email/confirm/", "ada@work.example"


@pytest.fixture
def browser(ada: Any, mails: list[Any]) -> Client:
    """Ada, who has just signed in."""
    client = Client()
    client.post("/accounts/login/", {"login": ada.email, "password": PASSWORD})
    return client


@pytest.fixture
def two(browser: Client, mails: list[Any]) -> Client:
    """Ada, who has added a second address."""
    browser.post(PAGE, {"email": SECOND, "action_add": ""})
    browser.post(CONFIRM, {"code": code_in(mails[-1])})
    mails.clear()
    return browser


def rows() -> list[tuple[str, bool, bool]]:
    return list(EmailAddress.objects.order_by("email").values_list("email", "primary", "verified"))


def told(mails: list[Any]) -> list[tuple[str, str]]:
    return [(mail.to[0], mail.subject.removeprefix("[AgentGate] ")) for mail in mails]


def test_an_address_is_added_by_its_code_and_told_to_the_old_one(browser: Client, ada: Any, mails: list[Any]) -> None:
    answer = browser.post(PAGE, {"email": SECOND.upper(), "action_add": ""})
    assert (answer.status_code, answer["Location"]) == (303, CONFIRM)
    assert rows() == [(ada.email, True, False)]
    code = code_in(mails[-1])
    assert browser.post(CONFIRM, {"code": "00000-00000"}).status_code == 422
    assert browser.post(CONFIRM, {"code": code})["Location"] == PAGE
    assert rows() == [(ada.email, True, False), (SECOND, False, True)]
    assert told(mails)[-1] == (ada.email, "An email address was added to your account")
    assert SECOND in mails[-1].body
    assert Entry.objects.filter(event="user.email_added", user_id=ada.id).count() == 1


@pytest.mark.parametrize("action", ["action_add", "action_remove", "action_primary", "action_send"])
def test_each_needs_the_password_given_a_moment_ago(two: Client, ada: Any, mails: list[Any], action: str) -> None:
    before = rows()
    with time_machine.travel(timezone.now() + timedelta(minutes=5, seconds=1)):
        answer = two.post(PAGE, {"email": "third@work.example" if action == "action_add" else SECOND, action: ""})
        assert answer["Location"].startswith("/accounts/reauthenticate/")
        assert (rows(), mails) == (before, [])


def test_after_the_password_what_was_asked_is_done(two: Client, ada: Any, mails: list[Any]) -> None:
    with time_machine.travel(timezone.now() + timedelta(minutes=6)):
        form = two.post(PAGE, {"email": SECOND, "action_remove": ""})["Location"]
        wrong = two.post(form, {"password": "wrong"})
        assert "This is not your password." in wrong.content.decode()
        assert len(rows()) == 2
        two.post(form, {"password": PASSWORD})
        assert rows() == [(ada.email, True, False)]


def test_a_session_that_only_a_cookie_opened_is_not_recent(as_ada: Client, ada: Any, mails: list[Any]) -> None:
    answer = as_ada.post(PAGE, {"email": SECOND, "action_add": ""})
    assert answer["Location"].startswith("/accounts/reauthenticate/")
    assert mails == []


def test_an_address_is_removed_and_both_are_told(two: Client, ada: Any, mails: list[Any]) -> None:
    two.post(PAGE, {"email": SECOND, "action_remove": ""})
    assert rows() == [(ada.email, True, False)]
    words = "An email address was removed from your account"
    assert told(mails) == [(ada.email, words), (SECOND, words)]
    assert Entry.objects.filter(event="user.email_removed", user_id=ada.id).count() == 1


def test_the_main_address_is_not_removed(two: Client, ada: Any) -> None:
    answer = two.post(PAGE, {"email": ada.email, "action_remove": ""})
    assert answer.status_code == 422
    assert len(rows()) == 2


def test_switching_tells_the_old_address_and_drops_one_never_proved(two: Client, ada: Any, mails: list[Any]) -> None:
    old = ada.email
    two.post(PAGE, {"email": SECOND, "action_primary": ""})
    ada.refresh_from_db()
    assert ada.email == SECOND
    assert rows() == [(SECOND, True, True)]
    words = "The primary email address of your account was changed"
    assert told(mails) == [(old, words), (SECOND, words)]
    assert Entry.objects.filter(event="user.email_changed", user_id=ada.id).count() == 1


def test_only_the_main_address_signs_in(two: Client) -> None:
    answer = Client().post("/accounts/login/", {"login": SECOND, "password": PASSWORD})
    assert "The email address or password is wrong." in answer.content.decode()


def test_an_address_that_is_not_confirmed_does_not_become_the_main_one(browser: Client, ada: Any) -> None:
    EmailAddress.objects.create(user=ada, email=SECOND)
    assert browser.post(PAGE, {"email": SECOND, "action_primary": ""}).status_code == 422
    ada.refresh_from_db()
    assert ada.email != SECOND


@pytest.mark.parametrize("action", ["action_remove", "action_primary"])
def test_each_address_is_told_a_remedy_that_works_for_it(two: Client, ada: Any, mails: list[Any], action: str) -> None:
    two.post(PAGE, {"email": SECOND, action: ""})
    main = ada.email if action == "action_remove" else SECOND
    assert len(mails) == 2
    for mail in mails:
        assert (reverse("account_reset_password") in mail.body) == (mail.to == [main])
        assert ("administrator" in mail.body) == (mail.to != [main])


def test_a_further_address_that_is_taken_is_not_told_to_sign_in(two: Client, mails: list[Any], settings: Any) -> None:
    settings.REQUIRE_VERIFIED_EMAIL = True
    for email in (SECOND, "ada@example.com"):
        Client().post("/accounts/signup/", {"email": email, "password1": "a-passphrase-of-mine-5"})
    assert [mail.to for mail in mails] == [[SECOND], ["ada@example.com"]]
    assert [reverse("account_login") in mail.body for mail in mails] == [False, True]
    assert [reverse("account_reset_password") in mail.body for mail in mails] == [False, True]


def test_somebody_else_s_address_is_answered_like_a_new_one(browser: Client, bob: Any, mails: list[Any]) -> None:
    seen = []
    for email in ("new@example.com", bob.email):
        answer = browser.post(PAGE, {"email": email, "action_add": ""})
        page = browser.get(CONFIRM).content.decode().replace(email, "·")
        seen.append((answer.status_code, answer["Location"], re.sub(r'value="\w{64}"', "", page)))
    assert seen[0] == seen[1]
    assert told(mails)[-2][0] == "new@example.com"
    assert told(mails)[-1] == (bob.email, "You already have an account")
    assert "\n    " not in mails[-1].body


def test_somebody_else_s_address_row_is_absent(browser: Client, bob: Any) -> None:
    for action in ("action_remove", "action_primary"):
        assert browser.post(PAGE, {"email": bob.email, action: ""}).status_code == 404
    assert EmailAddress.objects.filter(user=bob).exists()


def test_one_s_own_main_address_is_proved_by_its_code(browser: Client, ada: Any, mails: list[Any]) -> None:
    browser.post(PAGE, {"email": ada.email, "action_send": "", "next": "/activity"})
    done = browser.post(CONFIRM, {"code": code_in(mails[-1])})
    assert done["Location"] == "/activity"
    assert rows() == [(ada.email, True, True)]
    assert Entry.objects.filter(event="user.email_verified", user_id=ada.id).count() == 1


def test_a_code_for_one_s_own_address_says_when_it_is_proved_already(two: Client) -> None:
    answer = two.post(PAGE, {"email": SECOND, "action_send": ""})
    assert "This address is already confirmed." in answer.content.decode()


def test_there_is_a_bound(two: Client, ada: Any, mails: list[Any]) -> None:
    for number in range(4):
        EmailAddress.objects.create(user=ada, email=f"{number}@work.example", verified=True)
    assert (
        "An account can have at most 5 addresses."
        in two.post(PAGE, {"email": "x@work.example", "action_add": ""}).content.decode()
    )
    assert mails == []


class TestAnAccountOlderThanTheSwitch:
    @pytest.fixture(autouse=True)
    def _required(self, settings: Any, ada: Any, developer: Any) -> None:
        settings.REQUIRE_VERIFIED_EMAIL = True

    def test_is_led_to_its_addresses_and_back_to_the_request(self, browser: Client, ask: Any, mails: list[Any]) -> None:
        url = f"/consent/{ask().id}"
        answer = browser.post(url, {"decision": "allow", "scopes": ["email:read"]})
        assert (answer.status_code, answer["Location"]) == (303, f"{PAGE}?next={url}")
        page = browser.get(answer["Location"]).content.decode()
        assert "Confirm your email address first" in page
        browser.post(PAGE, {"email": "ada@example.com", "action_send": "", "next": url})
        assert browser.post(CONFIRM, {"code": code_in(mails[-1])})["Location"] == url

    @pytest.mark.parametrize("path", ["", "agents", "policies", "api-keys"])
    def test_opens_no_page_of_the_portal(self, as_developer: Client, path: str) -> None:
        answer = as_developer.get(f"/developer/{path}")
        assert (answer.status_code, answer["Location"]) == (303, f"{PAGE}?next=/developer/{path}")
