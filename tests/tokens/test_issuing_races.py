"""What issues tokens holds its locks while it reads and writes: the same code or token in parallel, and a stop.

Revocations and refreshes at once do not overtake each other.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction

from agents.emergency import stop_everything
from consent.granting import approve_consent
from core.actor import SYSTEM
from tests.threads import race
from tests.tokens.test_flows import exchange, make_code, refresh
from tests.world import ANONYMOUS, as_user, ask, make_grant, make_user
from tokens import exchange as exchanging
from tokens import refresh as refreshing
from tokens import services
from tokens.issuing import EVERYTHING_STOPPED, IssuedTokens, Refusal
from tokens.models import AccessToken
from tokens.services import issue_client_token, revoke_token

pytestmark = pytest.mark.django_db(transaction=True)


def make_act(name: str) -> Callable[[], IssuedTokens | Refusal]:
    """Return an act that uses the same code, refresh token or client each time."""
    if name == "exchange":
        agent, code = make_code()
        return lambda: exchange(agent, code)
    grant = make_grant()
    if name == "client":
        return lambda: issue_client_token(actor=ANONYMOUS, agent=grant.agent, scopes=["email:read"])
    return lambda: refresh(grant)


def delay(monkeypatch: pytest.MonkeyPatch, name: str, before: Callable[[], object]) -> None:
    """Call `before` when everything is read, and nothing is written yet."""
    module: Any = {"exchange": exchanging, "refresh": refreshing, "client": services}[name]
    issuing = "issue_access_token" if name == "client" else "issue_pair"
    issue = getattr(module, issuing)

    def late(*arguments: Any, **named: Any) -> Any:
        before()
        return issue(*arguments, **named)

    monkeypatch.setattr(module, issuing, late)


@pytest.mark.parametrize("name", ["exchange", "refresh"])
def test_of_two_uses_at_once_one_gets_tokens(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    act = make_act(name)
    delay(monkeypatch, name, lambda: time.sleep(0.2))
    outcomes = race([act, act])
    assert sum(isinstance(one, IssuedTokens) for one in outcomes) == 1
    assert sum(isinstance(one, Refusal) for one in outcomes) == 1


@pytest.mark.parametrize("name", ["exchange", "refresh", "client"])
def test_a_stop_of_everything_waits_for_tokens_that_are_being_issued(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    act, is_reached, seen = make_act(name), threading.Event(), list[int]()

    def linger() -> None:
        is_reached.set()
        time.sleep(0.3)

    def stop_meanwhile() -> None:
        assert is_reached.wait(10)
        stop_everything(actor=SYSTEM, reason="Something is wrong.")
        seen.append(AccessToken.objects.count())

    delay(monkeypatch, name, linger)
    issued, _ = race([act, stop_meanwhile])
    assert isinstance(issued, IssuedTokens)
    assert seen == [AccessToken.objects.count()], "it has returned after the tokens were there"


@pytest.mark.parametrize("name", ["exchange", "refresh", "client"])
def test_what_waited_for_a_stop_of_everything_issues_nothing(name: str) -> None:
    act, is_stopping, tokens = make_act(name), threading.Event(), AccessToken.objects.count()

    def stop_slowly() -> None:
        with transaction.atomic():
            stop_everything(actor=SYSTEM, reason="Something is wrong.")
            is_stopping.set()
            time.sleep(0.3)

    def act_meanwhile() -> IssuedTokens | Refusal:
        assert is_stopping.wait(10)
        return act()

    _, outcome = race([stop_slowly, act_meanwhile])
    assert outcome is EVERYTHING_STOPPED
    assert AccessToken.objects.count() == tokens


def test_revocations_and_refreshes_at_once_all_succeed_and_none_is_overtaken() -> None:
    """Four threads end five families each, while four refresh theirs."""
    first = make_grant()
    users = [make_user(f"user{number}@example.com") for number in range(24)]
    consents = [(ask(first.agent), user) for user in users]
    codes = [approve_consent(actor=as_user(user), consent=one, user=user).code for one, user in consents]
    issued = [exchange(first.agent, code) for code in codes]
    waited, refreshed = list[float](), list[bool]()

    def timed(act: Callable[[], Any]) -> Any:
        began = time.monotonic()
        outcome = act()
        waited.append(time.monotonic() - began)
        return outcome

    def revoke(tokens: list[Any]) -> list[bool]:
        return [
            timed(lambda one=one: revoke_token(actor=ANONYMOUS, token=one.access_token, agent=first.agent))
            for one in tokens
        ]

    def rotate(token: Any) -> list[bool]:
        for _ in range(5):
            token = timed(lambda token=token: refresh(first, token.refresh_token))
            refreshed.append(isinstance(token, IssuedTokens))
        return refreshed

    revoking = [lambda tokens=issued[start : start + 5]: revoke(tokens) for start in range(0, 20, 5)]
    rotating = [lambda token=token: rotate(token) for token in issued[20:]]
    outcomes = race(revoking + rotating)
    assert all(all(each) for each in outcomes)
    assert len(waited) == 40
    assert max(waited) < 3
