"""What users choose on the pages of their account: their name, their time zone, and which emails they get."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client

from accounts.models import Notice, User
from accounts.tasks import mail_notices
from core import clock
from tests.constants import PASSWORD
from tests.log import log_entries
from tests.mails import REMEDIES, code_in, leads_to
from tests.passkeys import add_passkey, enter_password
from tests.shared import cases

UNDONE = "Nothing has been changed yet"
MAILS_PAGE, ADDRESSES = "/account/notifications", "/accounts/email/"
OTHER = "another-passphrase-of-ada"
SIGN_IN_AGAIN = "/accounts/reauthenticate/?next=%2Faccount%2Fnotifications"
LATER = timedelta(minutes=6)


@pytest.fixture
def as_ada(ada: User) -> Client:
    """Return a browser in which Ada has just entered her password."""
    return enter_password(ada.email)


def save(client: Client, **values: str) -> Any:
    return client.post("/account", {"name": "Ada", **values})


@cases(
    ("typed", "stored"),
    [
        ("Europe/Berlin", "Europe/Berlin"),
        ("europe/berlin", "Europe/Berlin"),
        (" new york ", "America/New_York"),
        ("", ""),
        ("UTC", "UTC"),
    ],
)
def test_a_time_zone_is_found_by_its_name_or_city(as_ada: Client, ada: User, typed: str, stored: str) -> None:
    User.objects.filter(pk=ada.pk).update(time_zone="Asia/Tokyo")
    assert save(as_ada, time_zone=typed).status_code == 303
    ada.refresh_from_db()
    assert ada.time_zone == stored


@cases(("typed", "hint"), [("Berln", "Did you mean Europe/Berlin?"), ("#", "Choose one from the list")])
def test_an_unknown_time_zone_is_an_error(as_ada: Client, ada: User, typed: str, hint: str) -> None:
    answer = save(as_ada, time_zone=typed)
    assert answer.status_code == 422
    assert hint in answer.content.decode()
    assert not log_entries(event="user.profile_changed", user_id=ada.id)


def test_pages_show_times_in_the_zone(as_ada: Client, ada: User) -> None:
    save(as_ada, time_zone="Asia/Tokyo")
    with time_machine.travel("2026-07-01T10:00:00Z", tick=False):
        as_ada.force_login(ada)
        assert "7:00" in as_ada.get("/account").content.decode()


def test_a_change_of_the_profile_is_logged_once(as_ada: Client, ada: User) -> None:
    save(as_ada, name="Countess \u202eof Lovelace")
    save(as_ada, name="Countess of Lovelace")
    ada.refresh_from_db()
    assert ada.name == "Countess of Lovelace"
    (entry,) = log_entries(event="user.profile_changed", user_id=ada.id)
    assert entry.content["metadata"] == {"fields": ["name"]}
    assert "Your profile was changed" in as_ada.get("/activity").content.decode()


def test_the_choices_of_emails_are_stored_and_logged(as_ada: Client, ada: User) -> None:
    answer = as_ada.post(MAILS_PAGE, {"grant_mails": "on"})
    assert (answer.status_code, answer["Location"]) == (303, MAILS_PAGE)
    ada.refresh_from_db()
    assert (ada.approval_mails, ada.grant_mails, ada.device_mails) == (False, True, False)
    (entry,) = log_entries(event="user.mails_changed", user_id=ada.id)
    assert entry.content["metadata"] == {"approvalMails": False, "deviceMails": False}
    text = as_ada.get(MAILS_PAGE).content.decode()
    assert text.count(" checked") == 1


@cases("left_on", [{}, {"grant_mails": "on"}, {"device_mails": "on"}])
def test_mails_that_warn_are_switched_off_only_after_a_recent_sign_in(
    as_ada: Client, ada: User, left_on: dict[str, str]
) -> None:
    with time_machine.travel(clock.now() + LATER, tick=False):
        answer = as_ada.post(MAILS_PAGE, left_on)
    assert answer["Location"].startswith(SIGN_IN_AGAIN)
    ada.refresh_from_db()
    assert (ada.approval_mails, ada.grant_mails, ada.device_mails) == (True, True, True)
    assert not log_entries(event="user.mails_changed", user_id=ada.id)
    assert not Notice.objects.exists()


@cases(
    ("path", "form"),
    [
        (MAILS_PAGE, {}),
        ("/account/data/export", {}),
        ("/account/erase", {"email": "ada@example.com"}),
        ("/accounts/email/", {"email": "third@example.com", "action_add": ""}),
    ],
)
def test_after_the_password_a_page_says_that_nothing_was_changed(
    as_ada: Client, ada: User, path: str, form: dict[str, str]
) -> None:
    with time_machine.travel(clock.now() + LATER, tick=False):
        question = as_ada.post(path, form)["Location"]
        assert UNDONE not in as_ada.get(question).content.decode()
        assert UNDONE not in as_ada.post(question, {"password": "wrong"}).content.decode()
        shown = as_ada.post(question, {"password": PASSWORD}, follow=True).content.decode()
        assert shown.count(UNDONE) == 1
        assert UNDONE not in as_ada.get(path, follow=True).content.decode()


def test_after_the_password_for_a_page_there_is_nothing_to_say(as_ada: Client, ada: User) -> None:
    with time_machine.travel(clock.now() + LATER, tick=False):
        as_ada.post("/account/erase", {"email": ada.email})
        question = as_ada.get("/account/erase")["Location"]
        assert UNDONE not in as_ada.post(question, {"password": PASSWORD}, follow=True).content.decode()


def test_other_choices_of_emails_need_no_recent_sign_in(as_ada: Client, ada: User) -> None:
    User.objects.filter(pk=ada.pk).update(grant_mails=False)
    with time_machine.travel(clock.now() + LATER, tick=False):
        answer = as_ada.post(MAILS_PAGE, {"grant_mails": "on", "device_mails": "on"})
    assert answer["Location"] == MAILS_PAGE
    ada.refresh_from_db()
    assert (ada.approval_mails, ada.grant_mails, ada.device_mails) == (False, True, True)
    assert not Notice.objects.exists()


def test_the_end_of_warnings_is_mailed(as_ada: Client, mailoutbox: list[Any]) -> None:
    for _ in range(2):
        as_ada.post(MAILS_PAGE, {"approval_mails": "on"})
    assert mail_notices() == 2
    assert sorted(mail.subject for mail in mailoutbox) == [
        "[AgentGate] Emails about new access of agents were switched off",
        "[AgentGate] Emails about sign-ins with a new browser or program were switched off",
    ]
    assert all("Where: IP address 127.0.0.1" in mail.body for mail in mailoutbox)
    assert all(leads_to(mail, *REMEDIES) for mail in mailoutbox)


def test_choices_made_with_an_old_password_are_refused(as_ada: Client, ada: User) -> None:
    User.objects.filter(pk=ada.pk).update(is_active=False)
    assert as_ada.post(MAILS_PAGE, {}).status_code == 302
    ada.refresh_from_db()
    assert ada.grant_mails


def test_mails_that_protect_the_account_are_sent_whatever_is_chosen(as_ada: Client, mails: list[Any]) -> None:
    as_ada.post(MAILS_PAGE, {})
    assert mail_notices() == 2
    add_passkey(as_ada)
    for added in ("ada@home.example", "ada@work.example"):
        as_ada.post(ADDRESSES, {"email": added, "action_add": ""})
        as_ada.post(f"{ADDRESSES}confirm/", {"code": code_in(mails[-1])})
    as_ada.post(ADDRESSES, {"email": "ada@home.example", "action_remove": ""})
    as_ada.post(ADDRESSES, {"email": "ada@work.example", "action_primary": ""})
    passwords = {"oldpassword": PASSWORD, "password1": OTHER, "password2": OTHER}
    as_ada.post("/accounts/password/change/", passwords)
    Client().post("/accounts/password/reset/", {"email": "ada@work.example"})
    as_ada.post("/account/erase", {"email": "ada@work.example"})
    assert {mail.subject.removeprefix("[AgentGate] ") for mail in mails} == {
        "Emails about new access of agents were switched off",
        "Emails about sign-ins with a new browser or program were switched off",
        "A passkey was added to your account",
        "Your code to confirm this email address",
        "An email address was added to your account",
        "An email address was removed from your account",
        "The primary email address of your account was changed",
        "Your password was changed",
        "Reset your password",
        "Your account was erased",
    }
