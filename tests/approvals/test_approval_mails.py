"""Mails about requests that wait: to whom, how often, and what they contain."""

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine

from accounts.choices import choose_mails
from accounts.models import User
from agents.models import Agent
from approvals.tasks import mail_approvals
from consent.models import Consent
from core import clock
from tests.approvals import Asks, make_approval
from tests.mails import read, time_in_words
from tests.threads import race
from tests.world import allow, as_user, ask, make_agent, make_developer, make_resource_server

pytestmark = pytest.mark.django_db


def test_each_request_is_mailed_once(ada: User, asks: Asks, mails: list[Any]) -> None:
    asked = [asks(), asks()]
    assert mail_approvals() == 2
    assert mail_approvals() == 0
    assert [mail.to for mail in mails] == [["ada@example.com"]] * 2
    for approval, mail in zip(asked, mails, strict=True):
        assert mail.subject == "[AgentGate] An agent asks for your approval"
        assert mail.body.startswith("SmartMail asks for your approval:\n\n    Send an email to")
        assert "\n\nAn AI agent by Acme\nDeveloper not verified\n" in mail.body
        assert "\nPermission: Send email as you\n" in mail.body
        assert f"\nDecide until: {time_in_words(approval.expires_at, ada.time_zone)}\n" in mail.body
        assert f"http://localhost:8000/approvals/{approval.id}\n" in mail.body
        assert "http://localhost:8000/account/notifications\n" in mail.body


def test_a_mail_names_the_agents_that_handed_the_work_on(asks: Asks, granted: Consent, mails: list[Any]) -> None:
    names = ("Planner", "Summarizer")
    assert granted.agent.organization is not None
    owner = granted.agent.organization.developers.earliest("pk")
    middle, last = (make_agent(owner, name=name) for name in names)
    asks(agent=last, chain=[[granted.agent_id, None], [middle.id, "del_1"], [last.id, "del_2"]])
    assert mail_approvals() == 1
    assert mails[0].body.startswith("Summarizer asks for your approval:")
    assert "\nHanded on by: SmartMail\nHanded on by: Planner\n" in mails[0].body


def test_held_back_requests_are_mailed_by_the_connection(asks: Asks, granted: Consent, mails: list[Any]) -> None:
    assert granted.agent.organization is not None
    helper = make_agent(granted.agent.organization.developers.earliest("pk"), name="Summarizer")
    asks(is_held=True)
    asks(is_held=True, agent=helper, chain=[[granted.agent_id, None], [helper.id, "del_1"]])
    mail_approvals()
    assert len(mails) == 1
    assert "SmartMail" in mails[0].body


def test_decided_and_expired_requests_are_not_mailed(asks: Asks, mails: list[Any]) -> None:
    asks(status="denied")
    asks(expires_at=clock.now())
    assert mail_approvals() == 0
    assert mails == []


def test_no_text_of_the_agent_is_in_the_mail(granted: Consent, asks: Asks, mails: list[Any]) -> None:
    evil = '<a href="https://evil.example">click</a> evil.example'
    Agent.objects.update(name=f"Bank\n\u202e www.evil.example/{'x' * 100} {evil}")
    shown = [{**each, "title": f"See evil.example @{evil}"} for each in granted.shown_scopes]
    Consent.objects.update(shown_scopes=shown)
    context = {"verb": evil, "recipient": "eve@evil.example", "text": evil, "amount": {"value": "1", "currency": evil}}
    asks(context=context, resource="https://evil.example", action="evil:act")
    mail_approvals()
    (mail,) = mails
    assert re.findall(r"\bevil\.\w|\w@\w|\w/\w*evil|https?://(?!localhost)", mail.body) == []
    assert "\nDetails: with an amount, a recipient, a message and a description of its own\n" in mail.body
    assert "\u202e" not in mail.body
    assert "x" * 61 not in mail.body
    assert "wants to" not in mail.body
    assert "evil" not in mail.subject


def test_the_service_is_named_with_host_and_organization(asks: Asks, mails: list[Any]) -> None:
    server = make_resource_server(make_developer("eve@example.com", "Rival"), "https://mail.rival.example/api").server
    asks(server_id=server.id)
    asks(named_server_id=server.id)
    mail_approvals()
    named = f"{server.name} at mail.rival.example (Rival)\n"
    assert f"\nService: {named}" in read(mails[0])
    assert f"\nUnconfirmed service: {named}" in read(mails[1])


def test_fields_are_named_but_what_they_say_is_not(asks: Asks, mails: list[Any]) -> None:
    context = {"verb": "pay", "recipient": "shop", "account": "call 0800", "Call-0800-now": 1, "cc": ["eve"]}
    asks(context={**context, "arguments": "a" * 64, "definition": "b" * 64, "labels": ["private"]})
    mail_approvals()
    assert "\nDetails: with an account, copies to others and 1 more field\n" in mails[0].body
    assert "0800" not in mails[0].body


@pytest.mark.parametrize(
    ("context", "line"),
    [
        ({"verb": "delete"}, "Delete"),
        ({"verb": "archive"}, "Send email as you"),
        ({"verb": "send", "recipient": "bob@acme.com"}, "Send an email to bob@acme.com"),
        (
            {"verb": "pay", "recipient": "shop.example", "amount": {"value": "19.90", "currency": "EUR"}},
            "Pay €19.90 to shop.example",
        ),
    ],
)
def test_the_mail_says_what_it_would_do(asks: Asks, mails: list[Any], context: dict[str, Any], line: str) -> None:
    asked = asks(context=context)
    mail_approvals()
    assert f"\n    {line}\n" in read(mails[0])
    assert f"\nCode: {asked.code}\n" in mails[0].body


@pytest.mark.parametrize(
    "context",
    [
        {"verb": ["delete"]},
        {"verb": "delete", "target": "all: your account is locked, call 0123"},
        {"verb": "delete", "recipient": ["a@b.example"]},
        {"verb": "pay", "amount": {"value": "1", "currency": "your money"}},
        {"verb": "x" * 31},
    ],
)
def test_the_mail_leaves_out_what_could_lure(asks: Asks, mails: list[Any], context: dict[str, Any]) -> None:
    asks(context=context)
    mail_approvals()
    body = mails[0].body
    assert "\n    Send email as you\n\nHigh risk\n" in body
    assert "delete" not in body.lower()


def test_held_requests_are_mailed_together_at_most_once_per_hour(ada: User, asks: Asks, mails: list[Any]) -> None:
    for _ in range(3):
        asks(is_held=True)
    assert mail_approvals() == 3
    (mail,) = mails
    assert mail.subject == "[AgentGate] An agent asks for many approvals"
    assert "3 more requests wait for you." in mail.body
    assert "http://localhost:8000/approvals\n" in mail.body

    asks(is_held=True)
    assert mail_approvals() == 0
    now = clock.now() + timedelta(hours=1)
    with time_machine.travel(now, tick=False):
        asks(is_held=True)
        assert mail_approvals() == 1
    assert "1 more request waits for you." in mails[1].body
    assert len(mails) == 2


def test_batches_are_per_agent(ada: User, asks: Asks, mails: list[Any]) -> None:
    asks(is_held=True)
    other = allow(ask(make_agent(make_developer("other@example.com"), name="Other")), ada)
    make_approval(other, is_held=True)
    assert mail_approvals() == 2
    assert len(mails) == 2


def test_users_can_opt_out(ada: User, asks: Asks, mails: list[Any]) -> None:
    choose_mails(actor=as_user(ada), user=ada, wanted={"approval_mails": False})
    asks()
    asks(is_held=True)
    assert mail_approvals() == 2
    assert mails == []
    choose_mails(actor=as_user(ada), user=ada, wanted={"approval_mails": True})
    assert mail_approvals() == 0
    asks()
    assert mail_approvals() == 1
    assert len(mails) == 1


def test_an_inactive_user_gets_no_mail(ada: User, asks: Asks, mails: list[Any]) -> None:
    User.objects.filter(pk=ada.pk).update(is_active=False)
    asks()
    mail_approvals()
    assert mails == []


@pytest.mark.django_db(transaction=True)
def test_workers_at_once_send_each_mail_once(asks: Asks, mailoutbox: list[Any]) -> None:
    for _ in range(6):
        asks()
        asks(is_held=True)
    assert sum(race([mail_approvals] * 4)) == 12
    assert len(mailoutbox) == 7


@pytest.mark.django_db(transaction=True)
def test_a_failure_of_the_mail_server_loses_one_mail(
    asks: Asks, mailoutbox: list[Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from accounts import mails

    def fail(message: Any) -> None:
        monkeypatch.undo()
        raise ConnectionRefusedError

    asks()
    asks()
    monkeypatch.setattr(mails, "_deliver", fail)
    assert mail_approvals() == 2
    assert mail_approvals() == 0
    assert len(mailoutbox) == 1
