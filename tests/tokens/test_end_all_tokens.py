"""`end_all_tokens`, the command to run after a restore."""

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from importlib import import_module
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.core.management import CommandError, call_command
from django.test import Client

from accounts.models import BrowserSession, User
from approvals.models import Approval
from audit.events import Event
from consent.granting import approve_consent
from consent.models import AuthorizationCode, Consent
from core import clock
from core.actor import SYSTEM
from tests.approvals import make_approval
from tests.constants import NEW_PASSWORD, PASSWORD
from tests.log import log_entries, log_entry
from tests.mails import link_in
from tests.threads import race
from tests.tokens.test_flows import exchange, is_allowed, make_code, refresh
from tests.world import as_user, ask, make_agent, make_developer, make_grant, make_user, sign_in
from tokens.issuing import IssuedTokens, Refusal
from tokens.restored import end_what_was_restored

pytestmark = pytest.mark.django_db


def end(*flags: str) -> None:
    call_command("end_all_tokens", "--reason", "Restored the backup of Monday", *flags)


def test_all_tokens_end_and_the_reason_is_logged(capsys: pytest.CaptureFixture[str]) -> None:
    grant = make_grant()
    assert is_allowed(grant.access_token)

    call_command("end_all_tokens", "--reason", "Restored the backup of Monday")

    assert capsys.readouterr().out == (
        "Ended: connections 1, unused codes 0, requests 0, approvals 0, sessions 0.\n"
        "Agents must ask for consent again, and users must sign in again.\n"
    )
    assert not is_allowed(grant.access_token)
    assert not isinstance(refresh(grant), IssuedTokens)
    (entry,) = log_entries(event=Event.TOKEN_REVOKED)
    assert log_entry(entry.id).content["metadata"]["reason"] == "Restored the backup of Monday"
    assert grant.agent.organization_id in entry.organization_ids


def test_a_reason_is_required() -> None:
    with pytest.raises(CommandError, match="--reason"):
        call_command("end_all_tokens")


def test_families_that_had_ended_are_not_counted(capsys: pytest.CaptureFixture[str]) -> None:
    make_grant()
    call_command("end_all_tokens", "--reason", "first")
    call_command("end_all_tokens", "--reason", "second")
    assert "Ended: connections 0," in capsys.readouterr().out.splitlines()[-2]
    assert log_entries(event=Event.TOKEN_REVOKED).count() == 1


def test_a_code_that_was_not_redeemed_ends() -> None:
    agent, code = make_code()
    end()
    assert isinstance(exchange(agent, code), Refusal)


@pytest.mark.django_db(transaction=True)
def test_no_token_escapes_that_is_issued_meanwhile() -> None:
    agent = make_agent(make_developer("dev@example.com"))
    codes = []
    for number in range(8):
        user = make_user(f"user{number}@example.com")
        approval = approve_consent(actor=as_user(user), consent=ask(agent), user=user, signed_in_at=clock.now())
        codes.append(approval.code)
    acts: list[Callable[[], Any]] = [partial(exchange, agent, code) for code in codes]
    *outcomes, _ = race([*acts, partial(end_what_was_restored, actor=SYSTEM, reason="Test", with_passwords=False)])
    issued = [one for one in outcomes if isinstance(one, IssuedTokens)]
    assert len(issued) + sum(isinstance(one, Refusal) for one in outcomes) == 8
    assert not any(is_allowed(tokens.access_token) for tokens in issued)
    assert all(isinstance(exchange(agent, code), Refusal) for code in codes)


@pytest.mark.django_db(transaction=True)
def test_no_code_escapes_that_is_approved_meanwhile() -> None:
    agent = make_agent(make_developer("dev@example.com"))
    users = [make_user(f"user{number}@example.com") for number in range(8)]

    def approve(user: User, consent: Consent) -> Any:
        return approve_consent(actor=as_user(user), consent=consent, user=user, signed_in_at=clock.now()).code

    acts: list[Callable[[], Any]] = [partial(approve, user, ask(agent)) for user in users]
    *outcomes, _ = race([*acts, partial(end_what_was_restored, actor=SYSTEM, reason="Test", with_passwords=False)])
    codes = [one for one in outcomes if isinstance(one, str)]
    assert not any(isinstance(exchange(agent, code), IssuedTokens) for code in codes)


def pause_at(monkeypatch: pytest.MonkeyPatch, name: str) -> Callable[[Any], Any]:
    """Have an act pause where it calls this function. Return what ends everything meanwhile, once a row has expired."""
    module, _, function = name.rpartition(".")
    work, reached = getattr(import_module(module), function), threading.Event()

    def wait(*args: Any, **kwargs: Any) -> Any:
        found = work(*args, **kwargs)
        reached.set()
        time.sleep(1.5)
        return found

    def end_after_expiry(moment: datetime) -> None:
        assert reached.wait(10)
        time.sleep(max(0.0, (moment - clock.now()).total_seconds()))
        end_what_was_restored(actor=SYSTEM, reason="Test", with_passwords=False)

    monkeypatch.setattr(name, wait)
    return end_after_expiry


@pytest.mark.django_db(transaction=True)
def test_no_token_escapes_whose_code_expires_while_it_is_issued(monkeypatch: pytest.MonkeyPatch) -> None:
    agent, code = make_code()
    expires = clock.now() + timedelta(seconds=1)
    AuthorizationCode.objects.update(expires=expires)
    end_after = pause_at(monkeypatch, "tokens.exchange.problem_with_grant")
    issued, _ = race([partial(exchange, agent, code), partial(end_after, expires)])
    assert not (isinstance(issued, IssuedTokens) and is_allowed(issued.access_token))


@pytest.mark.django_db(transaction=True)
def test_no_code_escapes_whose_request_expires_while_it_is_approved(monkeypatch: pytest.MonkeyPatch) -> None:
    agent, user = make_agent(make_developer("dev@example.com")), make_user("ada@example.com")
    waiting = ask(agent)
    expires = clock.now() + timedelta(seconds=1)
    Consent.objects.filter(pk=waiting.pk).update(expires_at=expires)
    end_after = pause_at(monkeypatch, "consent.granting.issue_code")

    def approve() -> Any:
        return approve_consent(actor=as_user(user), consent=waiting, user=user, signed_in_at=clock.now()).code

    code, _ = race([approve, partial(end_after, expires)])
    assert not (isinstance(code, str) and isinstance(exchange(agent, code), IssuedTokens))


def test_requests_that_wait_can_no_longer_be_approved() -> None:
    grant = make_grant()
    waiting = ask(grant.agent)
    end()
    assert Consent.objects.get(pk=waiting.pk).status_at(clock.now()) == Consent.Status.EXPIRED


def test_approvals_end_and_the_user_finds_that_in_the_log() -> None:
    grant = make_grant()
    now = clock.now()
    make_approval(grant.consent)
    make_approval(grant.consent, status="approved", is_standing=True, expires_at=now.replace(year=now.year + 1))
    end()
    assert {one.status_at(clock.now()) for one in Approval.objects.all()} == {"expired"}
    assert log_entries(event=Event.APPROVAL_EXPIRED, user_id=grant.user.id).count() == 2


def test_sessions_of_browsers_and_of_the_api_end() -> None:
    user = make_user("ada@example.com")
    browser = sign_in(user)
    body = {"email": "ada@example.com", "password": PASSWORD}
    token = Client().post("/api/v1/users/login", body, content_type="application/json").json()["sessionToken"]
    api = Client(headers={"Authorization": f"Bearer {token}"})
    assert api.get("/api/v1/users/me/consents").status_code == 200

    end()

    assert api.get("/api/v1/users/me/consents").status_code == 401
    assert browser.get("/connections").status_code == 302
    assert not BrowserSession.objects.filter(user_id=user.id).exists()
    (entry,) = log_entries(event=Event.USER_SESSION_ENDED)
    assert log_entry(entry.id).content["metadata"]["endedSessions"] == 2


def test_passwords_and_second_factors_end_only_if_the_operator_says_so() -> None:
    user = make_user("ada@example.com")
    Authenticator.objects.create(user=user, type=Authenticator.Type.TOTP, data={})
    end()
    assert User.objects.get(pk=user.pk).check_password(PASSWORD)
    assert Authenticator.objects.exists()

    end("--passwords")

    assert not User.objects.get(pk=user.pk).check_password(PASSWORD)
    assert not Authenticator.objects.exists()
    assert log_entries(event=Event.USER_PASSWORD_CHANGED, user_id=user.id).count() == 1


def test_a_user_whose_password_has_ended_sets_a_new_one_by_mail(mails: list[Any]) -> None:
    make_user("ada@example.com")
    end("--passwords")
    client = Client()
    client.post("/accounts/password/reset/", {"email": "ada@example.com"})
    page = client.get(link_in(mails[-1]), follow=True)
    client.post(page.request["PATH_INFO"], {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD})
    assert User.objects.get().check_password(NEW_PASSWORD)
