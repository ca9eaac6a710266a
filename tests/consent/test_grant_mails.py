"""Mails about what an agent may newly do: one for each new grant, and none for a renewal."""

import re
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from accounts.choices import choose_mails
from accounts.erasure import erase_user
from accounts.models import Notice, User
from accounts.tasks import mail_notices
from agents.models import Agent
from consent.connections import Choice
from consent.granting import approve_consent, deny_consent
from consent.models import Consent
from consent.terms import GivenTerms
from core import clock
from core.actor import Actor
from core.errors import DomainError
from tests.mail_samples import compose, make_samples
from tests.mails import leads_to, time_in_words
from tests.threads import race
from tests.world import as_user, ask

pytestmark = pytest.mark.django_db

READ, SEND = "email:read", "email:send"
LIMIT = {"type": "rate_limit", "config": {"maxRequests": 5, "windowSeconds": 3600, "scope": "per_user"}}


def grant(agent: Agent, user: User, *scopes: str, **choice: Any) -> Consent:
    asked = ask(agent, scopes=list(scopes))
    actor = Actor("user", user.id, ip="203.0.113.9", user_agent="curl/8.4.0")
    return approve_consent(actor=actor, consent=asked, user=user, choice=Choice(**choice)).consent


def test_the_first_grant_is_mailed_once(agent: Agent, ada: User, mailoutbox: list[Any]) -> None:
    consent = grant(agent, ada, READ)
    assert (mail_notices(), mail_notices()) == (1, 0)
    (mail,) = mailoutbox
    assert mail.to == ["ada@example.com"]
    assert mail.subject == "[AgentGate] An agent may now act for you"
    ends = time_in_words(consent.expires_at, ada.time_zone)
    assert mail.body.startswith("SmartMail\n\nAn AI agent by Acme\nDeveloper not verified\n")
    assert f"\nThis agent may now act for you until {ends}. It may:\n" in mail.body
    assert "\n- Read your email (Standard risk)\n" in mail.body
    assert "Where: IP address 203.0.113.9\n" in mail.body
    assert f"http://localhost:8000/connections/{consent.id}\n" in mail.body
    assert leads_to(mail, "/accounts/password/reset/", "/account/notifications")


def test_a_widened_connection_is_mailed_with_what_is_new(agent: Agent, ada: User, mailoutbox: list[Any]) -> None:
    grant(agent, ada, READ)
    grant(agent, ada, READ, SEND)
    mail_notices()
    mail = mailoutbox[1]
    assert mail.subject == "[AgentGate] An agent may now do more for you"
    assert re.findall(r"^- (.+)$", mail.body, re.M) == ["Send email as you (High risk)"]
    ends = time_in_words(Consent.objects.get(status="approved").expires_at, ada.time_zone)
    assert f"may now do more for you than before until {ends}." in mail.body


def test_the_riskiest_permissions_come_first_and_none_of_high_risk_is_left_out() -> None:
    low, high, critical = ({"id": level, "title": level, "riskLevel": level} for level in ("low", "high", "critical"))
    name, facts = make_samples()["access_widened"]
    for scopes, first, more in (
        ([low] * 10 + [high] * 20 + [critical], ["critical"] + ["high"] * 20 + ["low"] * 8, "- and 2 more, all of s"),
        ([low] * 9, ["low"] * 8, "- and 1 more of standard or low risk\n"),
        ([low, *[high] * 31], ["high"] * 30 + ["low"], "- and 1 more permission\n"),
    ):
        body = str(compose((name, {**facts, "scopes": scopes})).body)
        assert re.findall(r"^- (\w+) \(", body, re.M) == first
        assert more in body


def test_a_scope_that_no_longer_asks_is_mailed(agent: Agent, ada: User, mailoutbox: list[Any]) -> None:
    grant(agent, ada, SEND, terms=GivenTerms(modes={SEND: "ask"}))
    grant(agent, ada, SEND, terms=GivenTerms(modes={SEND: "allow"}))
    assert mail_notices() == 2
    assert "may now do more for you than before" in mailoutbox[1].body


def test_a_limit_that_is_lifted_is_mailed(agent: Agent, ada: User) -> None:
    grant(agent, ada, SEND, terms=GivenTerms(limits={SEND: [LIMIT]}))
    grant(agent, ada, SEND, terms=GivenTerms(limits={SEND: []}))
    assert mail_notices() == 2


@pytest.mark.parametrize("lifetime", [timedelta(days=1), timedelta(days=90)])
def test_a_renewal_with_nothing_new_is_not_mailed(agent: Agent, ada: User, lifetime: timedelta) -> None:
    grant(agent, ada, READ, SEND)
    mail_notices()
    grant(agent, ada, READ, lifetime=lifetime)
    grant(agent, ada, READ, SEND, scopes=[READ], is_whole=True)
    assert mail_notices() == 0


def test_a_tightened_connection_is_not_mailed(agent: Agent, ada: User) -> None:
    grant(agent, ada, SEND)
    mail_notices()
    grant(agent, ada, SEND, terms=GivenTerms(modes={SEND: "ask"}, limits={SEND: [LIMIT]}))
    assert mail_notices() == 0


def test_a_denied_request_is_not_mailed(agent: Agent, ada: User) -> None:
    deny_consent(actor=as_user(ada), consent=ask(agent), user=ada)
    assert mail_notices() == 0


def test_nothing_is_mailed_when_switched_off(agent: Agent, ada: User) -> None:
    choose_mails(actor=as_user(ada), user=ada, wanted={"grant_mails": False}, signed_in_at=clock.now())
    ada.refresh_from_db()
    assert mail_notices() == 1
    grant(agent, ada, READ)
    assert mail_notices() == 0


def test_a_grant_that_is_rolled_back_is_not_mailed(agent: Agent, ada: User) -> None:
    def fail() -> None:
        with transaction.atomic():
            grant(agent, ada, READ)
            raise DomainError("no")

    with pytest.raises(DomainError):
        fail()
    assert not Notice.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_request_that_is_approved_twice_at_once_is_mailed_once(agent: Agent, ada: User) -> None:
    asked = ask(agent, scopes=[READ])
    act = partial(approve_consent, actor=as_user(ada), consent=asked, user=ada)
    race([act, act])
    assert mail_notices() == 1


def test_a_grant_through_the_api_is_mailed_too(agent: Agent, ada: User) -> None:
    client = Client()
    client.force_login(ada)
    answer = client.post(f"/api/v1/consent/{ask(agent).id}/approve", {}, "application/json")
    assert answer.status_code == 200
    assert mail_notices() == 1


def test_a_mail_cannot_link_to_what_a_developer_wrote(ada: User, agent: Agent, mailoutbox: list[Any]) -> None:
    Agent.objects.filter(pk=agent.pk).update(name="https://evil.example/login now")
    grant(agent, ada, READ)
    mail_notices()
    assert "evil.example" not in mailoutbox[0].body
    assert "evil" not in mailoutbox[0].subject


def test_the_account_that_is_erased_gets_no_waiting_mail(agent: Agent, ada: User, mails: list[Any]) -> None:
    grant(agent, ada, READ)
    erase_user(actor=as_user(ada), user=ada)
    assert mail_notices() == 0
    assert [mail.subject for mail in mails] == ["[AgentGate] Your account was erased"]
