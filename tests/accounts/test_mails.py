"""The content of emails, and delivery without a working mail server."""

import re
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
import time_machine
from django.core.mail import EmailMessage
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.console_mail import EmailBackend
from tests.mails import REMEDIES, link_in, read
from tests.world import make_user

pytestmark = pytest.mark.django_db


def test_the_console_backend_does_not_break_long_links() -> None:
    stream, link = StringIO(), "https://gate.example.com/" + "x" * 200
    EmailBackend(stream=stream).send_messages([EmailMessage("Hello", f"Open:\n\n{link}\n", to=["ada@example.com"])])
    assert link in stream.getvalue()
    assert "To: ada@example.com\nSubject: Hello\n" in stream.getvalue()


@pytest.mark.parametrize("email", ["ada@example.com", "unknown@example.com"])
def test_links_start_with_api_url_whatever_the_host_header_says(mails: list[Any], settings: Any, email: str) -> None:
    settings.API_URL, settings.ALLOWED_HOSTS = "https://gate.example.com", ["*"]
    make_user("ada@example.com")
    Client().post("/accounts/password/reset/", {"email": email}, headers={"Host": "evil.example"})
    (mail,) = mails
    assert mail.to == [email]
    found = re.findall(r"https?://([^/\s]+)", mail.body)
    assert set(found) == {"gate.example.com"}
    assert "evil" not in mail.subject


def test_an_email_about_a_request_has_the_language_and_the_zone_of_its_page(mails: list[Any]) -> None:
    client = Client(headers={"Accept-Language": "ar"})
    client.cookies["timezone"] = "Asia/Tokyo"
    client.post("/accounts/password/reset/", {"email": "unknown@example.com"})
    (part,) = mails[0].alternatives
    assert '<html lang="ar" dir="rtl">' in part.content
    assert "JST" in mails[0].body
    assert "UTC" not in mails[0].body


def test_a_reset_request_gets_the_same_response_for_known_and_unknown_addresses(mails: list[Any]) -> None:
    make_user("ada@example.com")
    seen = []
    for email in ("ada@example.com", "unknown@example.com", "\uff41da@example.com"):
        answer = Client().post("/accounts/password/reset/", {"email": email}, follow=True)
        page = re.sub(r'value="\w{64}"', "", answer.content.decode())
        seen.append((answer.status_code, answer.redirect_chain, page))
    assert seen[0] == seen[1] == seen[2]
    assert [mail.to for mail in mails] == [["ada@example.com"], ["unknown@example.com"], ["ada@example.com"]]
    assert reverse("account_signup") in mails[1].body


@pytest.mark.parametrize("email", ["ada@example.com", "unknown@example.com"])
def test_reset_mails_to_one_address_are_limited_with_the_same_response(mails: list[Any], email: str) -> None:
    make_user("ada@example.com")

    def ask(number: int) -> tuple[int, str]:
        client = Client(REMOTE_ADDR=f"198.51.100.{number}")
        answer = client.post("/accounts/password/reset/", {"email": email}, follow=True)
        return answer.status_code, re.sub(r'value="\w{64}"', "", answer.content.decode())

    answers = [ask(number) for number in range(12)]

    assert len(mails) == 5
    assert len(set(answers)) == 1
    with time_machine.travel(timezone.now() + timedelta(hours=1, minutes=2)):
        ask(1)
    assert len(mails) == 6


def test_the_email_to_a_deactivated_user_does_not_say_that_no_account_exists(mails: list[Any]) -> None:
    user = make_user("ada@example.com")
    user.is_active = False
    user.save(update_fields=["is_active"])
    Client().post("/accounts/password/reset/", {"email": "ada@example.com"})
    assert "No account" not in mails[0].subject
    assert "No active AgentGate account has ada@example.com as its primary address" in read(mails[0])
    assert "administrator" in mails[0].body


def test_a_reset_request_runs_the_same_queries_for_known_and_unknown_addresses(mails: list[Any]) -> None:
    make_user("ada@example.com")
    counts = []
    for email in ("ada@example.com", "unknown@example.com"):
        with CaptureQueriesContext(connection) as queries:
            Client().post("/accounts/password/reset/", {"email": email})
        counts.append([query["sql"].split()[0] for query in queries])
    assert counts[0] == counts[1]


def test_a_reset_link_works_once_and_for_an_hour(mails: list[Any], reset: Any) -> None:
    make_user("ada@example.com")
    reset("ada@example.com", "the-first-new-passphrase")
    link = link_in(next(mail for mail in mails if "/key/" in mail.body))
    assert "This link no longer works" in Client().get(link, follow=True).content.decode()
    Client().post("/accounts/password/reset/", {"email": "ada@example.com"})
    with time_machine.travel(timezone.now() + timedelta(seconds=3602)):
        page = Client().get(link_in(mails[-1]), follow=True).content.decode()
    assert "This link no longer works" in page


def test_a_reset_leads_to_the_passkeys(mails: list[Any], reset: Any) -> None:
    make_user("ada@example.com")
    page = reset("ada@example.com", "the-first-new-passphrase").content.decode()
    assert "a passkey signs in without the password" in page
    for path in REMEDIES[1:]:
        assert f'href="{path}"' in page
        assert f"http://localhost:8000{path}\n" in mails[-1].body


def test_a_failing_mail_server_does_not_change_the_response(
    settings: Any, django_capture_on_commit_callbacks: Any
) -> None:
    settings.MAILERS = {"default": {"BACKEND": "tests.accounts.test_mails.BrokenMailer", "OPTIONS": {}}}
    make_user("ada@example.com")
    with django_capture_on_commit_callbacks(execute=True):
        answer = Client().post("/accounts/password/reset/", {"email": "ada@example.com"})
    assert answer.status_code == 302


class BrokenMailer:
    """A mail backend that cannot connect."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise OSError("connection refused")
