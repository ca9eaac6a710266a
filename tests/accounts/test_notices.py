"""How workers send notices: each once, and again after a failure of the mail server."""

import threading
import time
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import time_machine
from django.core.mail import EmailMessage
from django.test import override_settings
from django.utils.translation import get_language

from accounts.choices import choose_mails
from accounts.erasure import erase_user
from accounts.models import Notice, User
from accounts.notices import MIN_DELAY, add_notice
from accounts.tasks import mail_notices
from core import clock
from tests.threads import race
from tests.world import ANONYMOUS, as_user, make_user

pytestmark = pytest.mark.django_db
BROKEN = {"default": {"BACKEND": "tests.accounts.test_mails.BrokenMailer", "OPTIONS": {}}}


@pytest.fixture
def ada() -> User:
    """Return a user with a notice that waits."""
    user = make_user("ada@example.com")
    tell(user)
    return user


def tell(user: User) -> None:
    add_notice("new_device", user=user, actor=ANONYMOUS, at=clock.now())


def fail_to_send(after: timedelta) -> int:
    """Let a worker try to send while the mail server refuses connections."""
    with override_settings(MAILERS=BROKEN), time_machine.travel(clock.now() + after, tick=False):
        return mail_notices()


def test_a_notice_is_sent_once_when_the_mail_server_works_again(ada: User, mailoutbox: list[Any]) -> None:
    assert fail_to_send(timedelta(seconds=1)) == 1
    assert (mail_notices(), mailoutbox) == (0, [])
    with time_machine.travel(clock.now() + MIN_DELAY + timedelta(seconds=2), tick=False):
        assert (mail_notices(), mail_notices()) == (1, 0)
    assert len(mailoutbox) == 1
    assert not Notice.objects.exists()


def test_a_notice_is_written_in_the_language_and_the_zone_that_the_user_has_when_it_is_sent(
    mailoutbox: list[Any],
) -> None:
    user = make_user("ada@example.com")
    with time_machine.travel("2026-07-01T10:00:30Z", tick=False):
        tell(user)
        User.objects.filter(pk=user.pk).update(language="ar", time_zone="Asia/Tokyo")
        mail_notices()
    (part,) = mailoutbox[0].alternatives
    assert '<html lang="ar" dir="rtl">' in part.content
    assert "7:00 م JST" in mailoutbox[0].body
    assert get_language() == "en"


def test_attempts_become_rarer_and_end_after_a_day(ada: User, mailoutbox: list[Any], caplog: Any) -> None:
    minutes = []
    while waiting := Notice.objects.first():
        minutes.append(round((waiting.due_at - waiting.created_at).total_seconds() / 60))
        fail_to_send(waiting.due_at + timedelta(seconds=0.1) - clock.now())
    assert minutes[:6] == [0, 2, 4, 8, 16, 32]
    assert len(minutes) == 14
    assert 24 * 60 <= minutes[-1] < 28 * 60
    levels = [record.levelname for record in caplog.records if record.name == "accounts.notices"]
    assert levels == [*["WARNING"] * (len(minutes) - 1), "ERROR"]
    assert mailoutbox == []


def test_acts_of_an_organizations_members_cannot_flood_a_mailbox(mailoutbox: list[Any]) -> None:
    user, facts = make_user("ada@example.com"), {"organization": "Acme", "role": "auditor"}
    for organization_id in ("org_1", "org_2"):
        for _ in range(22):
            told = {**facts, "organizationId": organization_id}
            add_notice("member_role_changed", user=user, actor=ANONYMOUS, at=clock.now(), facts=told)
    assert mail_notices() == 44
    assert len(mailoutbox) == 40
    assert not Notice.objects.exists()


def test_a_refused_mail_does_not_hold_back_others(ada: User, mailoutbox: list[Any]) -> None:
    tell(ada)
    Notice.objects.filter(pk=Notice.objects.earliest("pk").pk).update(name="of-no-template")
    assert mail_notices() == 2
    assert len(mailoutbox) == 1
    assert Notice.objects.get().name == "of-no-template"


def test_a_worker_that_dies_while_it_sends_loses_no_mail(ada: User, mailoutbox: list[Any], monkeypatch: Any) -> None:
    class Killed(BaseException):
        pass

    def die(*_args: Any, **_named: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(EmailMessage, "send", die)
        with pytest.raises(Killed):
            mail_notices()
    with time_machine.travel(clock.now() + MIN_DELAY + timedelta(seconds=1), tick=False):
        assert mail_notices() == 1
    assert len(mailoutbox) == 1


@pytest.mark.django_db(transaction=True)
def test_a_second_worker_does_not_send_what_the_first_is_sending(
    ada: User, mailoutbox: list[Any], monkeypatch: Any
) -> None:
    """The mail server answers only once the second worker has ended."""
    send, second_has_ended = EmailMessage.send, threading.Event()

    def send_slowly(message: EmailMessage) -> int:
        assert second_has_ended.wait(20)
        return int(send(message))

    def be_second() -> int:
        while Notice.objects.filter(due_at__lte=clock.now()).exists():
            time.sleep(0.01)
        found = mail_notices()
        second_has_ended.set()
        return found

    monkeypatch.setattr(EmailMessage, "send", send_slowly)
    assert race([mail_notices, be_second]) == [1, 0]
    assert len(mailoutbox) == 1


def test_an_account_that_is_erased_while_its_mail_is_sent_stays_erased(ada: User, monkeypatch: Any) -> None:
    monkeypatch.setattr(EmailMessage, "send", lambda _message: erase_user(actor=as_user(ada), user=ada))
    mail_notices()
    assert not Notice.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_two_workers_send_a_notice_once(ada: User, mailoutbox: list[Any]) -> None:
    assert sum(race([mail_notices, mail_notices])) == 1
    assert len(mailoutbox) == 1


@pytest.mark.django_db(transaction=True)
def test_a_warning_that_is_switched_off_twice_at_once_is_mailed_once(ada: User) -> None:
    Notice.objects.all().delete()
    switch_off = partial(choose_mails, actor=as_user(ada), user=ada, wanted={"device_mails": False})
    race([partial(switch_off, signed_in_at=clock.now())] * 2)
    assert [notice.name for notice in Notice.objects.all()] == ["security_changed"]
