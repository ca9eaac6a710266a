"""Mails about what an agent need no longer ask: a rule from answers, and an approval for more than a day."""

from functools import partial
from typing import Any

import pytest
from django.db import transaction

from accounts.models import Notice, User
from accounts.tasks import mail_notices
from approvals.errors import SuggestionChanged
from approvals.models import Approval
from approvals.services import approve_approval
from approvals.standing_rules import accept_suggestion
from consent.models import Consent
from core import clock
from core.actor import Actor
from core.errors import DomainError
from core.money import Amount
from tests.approvals import Asks, make_approval
from tests.mails import leads_to, read, time_in_words
from tests.threads import race
from tests.world import as_user

pytestmark = pytest.mark.django_db

DAY = 86_400
SHOP = {"verb": "pay", "recipient": "shop.example"}


@pytest.fixture(autouse=True)
def _told(granted: Consent) -> None:
    """Send the mail about the connection itself."""
    mail_notices()


@pytest.fixture
def example(granted: Consent, mailoutbox: list[Any]) -> Approval:
    """The last of five payments that the user approved, from which a rule follows."""
    mailoutbox.clear()
    now, approved = clock.now(), {"status": Approval.Status.USED, "decided_at": clock.now(), "used_at": clock.now()}
    context = {**SHOP, "amount": {"value": "20", "currency": "EUR"}}
    made = [make_approval(granted, context=context, target_digest="t", now=now, **approved) for _ in range(5)]
    return made[-1]


def accept(example: Approval, user: User, per_day: int = 5) -> Approval:
    actor = Actor("user", user.id, ip="203.0.113.9", user_agent="curl/8.4.0")
    return accept_suggestion(actor=actor, example=example, user=user, ceiling=Amount("20", "EUR"), per_day=per_day)


def approve(approval: Approval, user: User, **more: Any) -> Approval:
    return approve_approval(actor=as_user(user), approval=approval, user=user, signed_in_at=clock.now(), **more)


def switch_off(user: User) -> None:
    User.objects.filter(pk=user.pk).update(grant_mails=False)


def test_an_accepted_rule_is_mailed_with_its_bounds(example: Approval, ada: User, mailoutbox: list[Any]) -> None:
    accept(example, ada)
    assert (mail_notices(), mail_notices()) == (1, 0)
    (mail,) = mailoutbox
    assert mail.to == ["ada@example.com"]
    assert mail.subject == "[AgentGate] An agent may now do something without asking you"
    ends = time_in_words(example.consent.expires_at, ada.time_zone)
    assert read(mail).startswith("SmartMail\n\n    Allowed without asking: Pay up to €20.00 to shop.example\n")
    assert f"\nUntil: {ends}\n" in mail.body
    assert "\nAt most: 5 times a day\n" in mail.body
    assert "\n- Send email as you (High risk)\n" in mail.body
    assert "Where: IP address 203.0.113.9\n" in mail.body
    assert leads_to(mail, f"/connections/{example.consent_id}", "/accounts/password/reset/", "/account/notifications")


@pytest.mark.django_db(transaction=True)
def test_a_rule_that_is_accepted_twice_at_once_is_mailed_once(example: Approval, ada: User) -> None:
    race([partial(accept, example, ada)] * 2)
    assert mail_notices() == 1


def test_a_rule_that_does_not_follow_is_not_mailed(example: Approval, ada: User) -> None:
    with pytest.raises(SuggestionChanged):
        accept(example, ada, per_day=6)
    assert mail_notices() == 0


def test_a_rule_that_is_rolled_back_is_not_mailed(example: Approval, ada: User) -> None:
    def fail() -> None:
        with transaction.atomic():
            accept(example, ada)
            raise DomainError("no")

    with pytest.raises(DomainError):
        fail()
    assert not Notice.objects.exists()


@pytest.mark.parametrize(("seconds", "mails"), [(3600, 0), (DAY, 0), (DAY + 1, 1), (20 * DAY, 1)])
def test_an_approval_for_a_time_is_mailed_if_it_is_long(asks: Asks, ada: User, seconds: int, mails: int) -> None:
    approve(asks(), ada, for_target=True, expires_in_seconds=seconds)
    assert mail_notices() == mails


def test_the_mail_about_a_long_approval_says_what_it_is_for(asks: Asks, ada: User, mailoutbox: list[Any]) -> None:
    mailoutbox.clear()
    approve(asks(), ada, for_target=True, expires_in_seconds=7 * DAY)
    mail_notices()
    (mail,) = mailoutbox
    assert "    Allowed without asking: Send an email to bob@example.com\n" in read(mail)
    assert "times a day" not in mail.body


def test_the_mail_names_what_else_must_be_the_same(asks: Asks, ada: User, mailoutbox: list[Any]) -> None:
    mailoutbox.clear()
    approve(asks(context={**SHOP, "account": "DE1", "text": "Hi"}), ada, for_target=True, expires_in_seconds=7 * DAY)
    mail_notices()
    assert "\nMust be the same as in the request: account\n" in mailoutbox[0].body
    assert "\nMay differ: Only the text, the changes and the task. The amount may be lower.\n" in mailoutbox[0].body
    assert "DE1" not in mailoutbox[0].body


def test_an_approval_once_is_not_mailed(asks: Asks, ada: User) -> None:
    approve(asks(), ada)
    assert mail_notices() == 0


def test_nothing_is_mailed_when_switched_off(example: Approval, asks: Asks, ada: User) -> None:
    switch_off(ada)
    accept(example, ada)
    approve(asks(), ada, for_target=True, expires_in_seconds=7 * DAY)
    assert mail_notices() == 0
