"""Devices that an account has not used before: when the user is told, and what the mail says."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.choices import choose_mails
from accounts.models import KnownDevice, Notice, User
from accounts.services import open_session
from accounts.tasks import mail_notices, sweep_known_addresses
from audit.models import Journal
from core import clock
from core.actor import Actor
from core.browser import KNOWN_DEVICE_LIFETIME
from tests.log import log_entries
from tests.mails import leads_to, read
from tests.threads import race
from tests.world import PASSWORD, as_user, make_user

pytestmark = pytest.mark.django_db

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
)
EVENT = "user.device_added"


@pytest.fixture
def ada() -> User:
    """Return a user whose account is old enough for news of it."""
    user = make_user("ada@example.com", "Ada")
    User.objects.filter(pk=user.pk).update(created_at=clock.now() - timedelta(days=1), time_zone="Europe/Berlin")
    user.refresh_from_db()
    return user


def sign_in(client: Client) -> Client:
    answer = client.post("/accounts/login/", {"login": "ada@example.com", "password": PASSWORD})
    assert answer.status_code == 302
    return client


def browser(user_agent: str = CHROME) -> Client:
    return Client(headers={"User-Agent": user_agent})


def use_program(user: User, user_agent: str = "curl/8.4.0", ip: str = "203.0.113.9") -> None:
    open_session(actor=Actor("anonymous", ip=ip, user_agent=user_agent), user=user)


def count_of_entries(user: User) -> int:
    return len(log_entries(event=EVENT, user_id=user.id))


def test_a_new_browser_is_logged_and_mailed_once(ada: User, mailoutbox: list[Any]) -> None:
    client = sign_in(browser())
    assert mail_notices() == 1
    client.post("/accounts/logout/")
    sign_in(client)
    assert mail_notices() == 0
    assert len(mailoutbox) == 1
    assert count_of_entries(ada) == 1
    assert not Notice.objects.exists()


def test_the_mail_says_what_happened_when_from_where_and_what_to_do(ada: User, mailoutbox: list[Any]) -> None:
    with time_machine.travel("2026-07-01T10:00:30Z", tick=False):
        User.objects.filter(pk=ada.pk).update(created_at=clock.now() - timedelta(days=1))
        sign_in(browser())
        mail_notices()
    (mail,) = mailoutbox
    assert mail.to == ["ada@example.com"]
    assert mail.subject == "[AgentGate] New sign-in: Chrome on Windows"
    assert "When: Jul 1, 2026, 12:00\u202fPM CEST\n" in mail.body
    assert "Browser or program (as reported): Chrome on Windows\n" in mail.body
    assert "Where: IP address 127.0.0.1\n" in mail.body
    assert leads_to(mail, "/accounts/password/reset/", "/account/sessions", "/account/notifications")


def test_a_sign_in_and_its_new_device_are_one_row_of_the_journal(ada: User) -> None:
    before = Journal.objects.count()
    client = sign_in(browser())
    assert Journal.objects.count() == before + 1
    assert count_of_entries(ada) == 1
    client.post("/accounts/logout/")
    with CaptureQueriesContext(connection) as captured:
        sign_in(client)
    (query,) = [query["sql"] for query in captured.captured_queries if "accounts_knowndevice" in query["sql"]]
    assert query.startswith("UPDATE")


def test_the_cookie_is_for_this_server_only_and_lasts(ada: User) -> None:
    cookie = sign_in(browser()).cookies[settings.DEVICE_COOKIE_NAME]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/")
    assert cookie["max-age"] == KNOWN_DEVICE_LIFETIME.total_seconds()
    assert cookie.value not in KnownDevice.objects.get(user=ada).digest


def test_a_browser_that_another_user_has_used_is_new_for_this_one(ada: User, mailoutbox: list[Any]) -> None:
    make_user("bob@example.com")
    client = browser()
    client.post("/accounts/login/", {"login": "bob@example.com", "password": PASSWORD})
    client.post("/accounts/logout/")
    sign_in(client)
    mail_notices()
    assert [mail.to for mail in mailoutbox] == [["ada@example.com"]]


def test_a_forged_cookie_is_replaced(ada: User) -> None:
    client = browser()
    client.cookies[settings.DEVICE_COOKIE_NAME] = "x"
    assert len(sign_in(client).cookies[settings.DEVICE_COOKIE_NAME].value) == 43


def test_the_first_device_of_a_new_account_is_not_reported(mailoutbox: list[Any]) -> None:
    user = make_user("ada@example.com")
    client = sign_in(browser())
    assert (mail_notices(), count_of_entries(user)) == (0, 0)
    sign_in(browser())
    assert (mail_notices(), count_of_entries(user)) == (1, 1)
    client.post("/accounts/logout/")
    sign_in(client)
    assert mail_notices() == 0


def test_a_program_is_known_by_its_name_and_network(ada: User, mailoutbox: list[Any]) -> None:
    use_program(ada)
    assert mail_notices() == 1
    use_program(ada, "curl/9.0")
    assert mail_notices() == 0
    use_program(ada, "curl/9.0", ip="198.51.100.1")
    use_program(ada, "httpx/1")
    assert mail_notices() == 2
    assert "Browser or program (as reported): curl" in mailoutbox[0].body


def test_no_link_can_be_made_of_what_a_program_says_of_itself(ada: User, mailoutbox: list[Any]) -> None:
    use_program(ada, "evil.example\r\nhttps://evil.example/x")
    mail_notices()
    assert "evil.example" in read(mailoutbox[0])
    assert "evil.example" not in mailoutbox[0].body


def test_nothing_is_mailed_when_switched_off_but_it_is_logged(ada: User, mailoutbox: list[Any]) -> None:
    choose_mails(actor=as_user(ada), user=ada, wanted={"device_mails": False}, signed_in_at=clock.now())
    assert mail_notices() == 1
    sign_in(browser())
    assert (mail_notices(), len(mailoutbox)) == (0, 1)
    assert count_of_entries(ada) == 1


def test_an_inactive_user_gets_no_mail(ada: User, mailoutbox: list[Any]) -> None:
    use_program(ada)
    User.objects.filter(pk=ada.pk).update(is_active=False)
    assert mail_notices() == 1
    assert mailoutbox == []


def test_a_sign_in_succeeds_while_no_mail_can_be_sent(ada: User, settings: Any) -> None:
    settings.MAILERS = {"default": {"BACKEND": "tests.accounts.test_mails.BrokenMailer", "OPTIONS": {}}}
    client = sign_in(browser())
    mail_notices()
    assert client.get("/account").status_code == 200


def test_a_refused_sign_in_adds_no_device(ada: User) -> None:
    Client().post("/accounts/login/", {"login": "ada@example.com", "password": "wrong"})
    assert not KnownDevice.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_new_program_that_signs_in_twice_at_once_is_mailed_once(ada: User) -> None:
    race([lambda: use_program(ada), lambda: use_program(ada)])
    assert Notice.objects.count() == 1
    assert count_of_entries(ada) == 1


def test_a_device_is_forgotten_after_its_lifetime(ada: User) -> None:
    use_program(ada)
    with time_machine.travel(clock.now() + KNOWN_DEVICE_LIFETIME + timedelta(seconds=1)):
        sweep_known_addresses()
    assert not KnownDevice.objects.exists()
