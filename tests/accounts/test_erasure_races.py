"""Erasing a user while they sign in, connect an agent, or while the agent acts, and while the log is written."""

import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import UpdateError

from accounts.erasure import erase_user
from accounts.models import BrowserSession, KnownAddress, SessionToken, User
from accounts.services import check_password, open_session
from audit.events import Event
from audit.models import Entry
from audit.sequencing import sequencer
from consent.granting import approve_consent, deny_consent
from consent.models import Consent
from core.actor import SYSTEM
from core.errors import DomainError
from tests.api.conftest import verify
from tests.constants import PASSWORD
from tests.dumps import readable_dump
from tests.threads import race, rounds
from tests.world import ANONYMOUS, Grant, as_user, ask, make_grant, sign_in
from tokens.exchange import exchange_code
from tokens.models import TokenFamily

pytestmark = pytest.mark.django_db(transaction=True)

EMAIL, BROWSER = "zoraida@home.example", "ZoraidasBrowser/7.1"
ACTOR = ANONYMOUS._replace(user_agent=BROWSER)


@pytest.fixture
def grant(settings: Any) -> Grant:
    settings.THROTTLE_SIGN_IN = settings.THROTTLE_VERIFY = "10000/minute"
    return make_grant(email=EMAIL)


def erase(grant: Grant) -> bool:
    return erase_user(actor=SYSTEM, user=User.objects.get(pk=grant.user.pk))


def sign_in_to_api() -> Any:
    return open_session(actor=ACTOR, user=check_password(actor=ACTOR, email=EMAIL, password=PASSWORD))


def meet_erasure(act: Callable[[], Any], grant: Grant) -> tuple[Any, bool]:
    outcome, is_first = race([act, partial(erase, grant)])
    return outcome, is_first


@rounds(4)
def test_a_sign_in_leaves_no_session(grant: Grant, number: int) -> None:
    assert meet_erasure(sign_in_to_api, grant)[1]
    assert not SessionToken.objects.filter(user=grant.user).exists()
    assert not KnownAddress.objects.filter(user=grant.user).exists()


def test_a_sign_in_that_has_checked_the_password_is_refused(grant: Grant) -> None:
    user = check_password(actor=ACTOR, email=EMAIL, password=PASSWORD)
    erase(grant)
    with pytest.raises(DomainError, match="no longer active"):
        open_session(actor=ACTOR, user=user)
    assert not SessionToken.objects.exists()


@rounds(4)
def test_a_browser_leaves_no_session(grant: Grant, number: int) -> None:
    client = sign_in(grant.user)

    def visit() -> None:
        session = client.session
        if SESSION_KEY not in session:
            return  # The user is erased already, so no page knows the address.
        session["visited"] = EMAIL
        with suppress(UpdateError):
            session.save()

    assert meet_erasure(visit, grant)[1]
    assert not BrowserSession.objects.filter(user_id=grant.user.id).exists()
    sequencer.sequence()
    assert EMAIL.encode() not in readable_dump()


@pytest.mark.parametrize("decide", [approve_consent, deny_consent])
@rounds(4)
def test_no_decision_about_a_request_outlives_it(grant: Grant, decide: Any, number: int) -> None:
    consent = ask(grant.agent, scopes=["email:send"], reason="For Zoraida")
    act = partial(decide, actor=as_user(grant.user), consent=consent, user=grant.user)
    assert meet_erasure(act, grant)[1]
    assert not Consent.objects.filter(user=grant.user, status=Consent.Status.APPROVED).exists()
    assert not Consent.objects.filter(user=grant.user).exclude(reason="").exists()


@rounds(4)
def test_no_code_yields_tokens_that_outlive_it(grant: Grant, number: int) -> None:
    consent = ask(grant.agent, scopes=["email:send"])
    code = approve_consent(actor=as_user(grant.user), consent=consent, user=grant.user).code
    assert meet_erasure(partial(exchange_code, actor=ANONYMOUS, agent=grant.agent, code=code), grant)[1]
    assert not TokenFamily.objects.filter(user=grant.user, revoked_at=None).exists()


@rounds(4)
def test_no_request_is_allowed_after_it(grant: Grant, number: int) -> None:
    is_over, started = threading.Event(), threading.Barrier(3, timeout=30)
    late: list[bool] = []

    def ask_again_and_again() -> None:
        started.wait()
        while True:
            was_over = is_over.is_set()
            is_allowed = verify(grant.access_token)["allowed"]
            if was_over:
                late.append(is_allowed)
                return

    def erase_meanwhile() -> bool:
        started.wait()
        try:
            return erase(grant)
        finally:
            is_over.set()

    race([ask_again_and_again, ask_again_and_again, erase_meanwhile])
    assert late == [False, False]
    sequencer.sequence()
    erased = Entry.objects.get(event=Event.USER_ERASED).leaf_index
    after = Entry.objects.filter(event=Event.TOKEN_VERIFY, leaf_index__gt=erased)
    assert set(after.values_list("outcome", flat=True)) == {"denied"}


def test_two_erasures_at_once_are_one(grant: Grant) -> None:
    assert sorted(race([partial(erase, grant)] * 3)) == [False, False, True]
    sequencer.sequence()
    assert Entry.objects.filter(event=Event.USER_ERASED).count() == 1


@rounds(4)
def test_what_the_sequencer_moves_meanwhile_is_erased(grant: Grant, number: int) -> None:
    for _ in range(20):
        sign_in_to_api()
    race([partial(sequencer.sequence, wait=True), partial(erase, grant)])
    sequencer.sequence()
    assert BROWSER.encode() not in readable_dump()
