"""Guesses of a password are throttled, reveal nothing, and do not lock the owner out."""

from typing import Any

import pytest
from django.test import Client

from accounts import services
from accounts.errors import BadCredentials
from accounts.selectors import session_for_token
from accounts.services import (
    check_password,
    deactivate_user,
    delete_expired_sessions,
    delete_unused_addresses,
    open_session,
    reactivate_user,
)
from core.actor import SYSTEM, Actor
from core.errors import Throttled
from tests.log import log_entries
from tests.threads import race
from tests.world import PASSWORD, make_user

HOME = Actor("anonymous", ip="203.0.113.7")
ELSEWHERE = Actor("anonymous", ip="198.51.100.9")

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _three_a_minute(settings: Any) -> None:
    settings.THROTTLE_SIGN_IN = "3/minute"


def guess(actor: Actor = ELSEWHERE, password: str = "wrong", email: str = "ada@example.com") -> type | None:
    try:
        check_password(actor=actor, email=email, password=password)
    except (BadCredentials, Throttled) as error:
        return type(error)
    return None


def test_an_unknown_account_gets_the_same_error_as_a_wrong_password_after_the_same_work(monkeypatch: Any) -> None:
    make_user("ada@example.com")
    hashed: list[str] = []
    monkeypatch.setattr(services, "make_password", hashed.append)
    with pytest.raises(BadCredentials) as unknown:
        check_password(actor=HOME, email="nobody@example.com", password="wrong")
    with pytest.raises(BadCredentials) as wrong:
        check_password(actor=HOME, email="ada@example.com", password="wrong")
    assert (str(unknown.value), unknown.value.code) == (str(wrong.value), wrong.value.code)
    assert hashed == ["wrong"]


def test_failures_are_limited_by_address_and_by_account() -> None:
    user = make_user("ada@example.com")
    assert [guess() for _ in range(4)] == [BadCredentials] * 3 + [Throttled]
    assert guess(email="eve@example.com") is Throttled
    assert guess(HOME, PASSWORD) is None
    open_session(actor=HOME, user=user)
    assert [guess(Actor("anonymous", ip=f"192.0.2.{number}")) for number in range(27)] == [BadCredentials] * 27
    assert guess(Actor("anonymous", ip="192.0.2.99"), PASSWORD) is Throttled
    assert guess(HOME, PASSWORD) is None


def test_successful_sign_ins_do_not_count_as_failures() -> None:
    make_user("ada@example.com")
    assert [guess(password=PASSWORD) for _ in range(10)] == [None] * 10


def test_a_strangers_guesses_do_not_lock_the_owner_out() -> None:
    user = make_user("ada@example.com")
    open_session(actor=HOME, user=user)
    for _ in range(5):
        guess()
    assert guess(ELSEWHERE, PASSWORD) is Throttled
    assert guess(HOME, PASSWORD) is None


def test_the_browser_shares_the_limit() -> None:
    make_user("ada@example.com")
    client = Client()
    for _ in range(4):
        page = client.post("/accounts/login/", {"login": "ada@example.com", "password": "wrong"})
    assert b"Too many attempts. Try again in about a minute." in page.content
    assert guess(Actor("anonymous", ip="127.0.0.1"), PASSWORD) is Throttled


@pytest.mark.django_db(transaction=True)
def test_concurrent_guesses_count_exactly() -> None:
    make_user("ada@example.com")
    outcomes = race([guess] * 8)
    assert sorted(outcome.__name__ for outcome in outcomes) == ["BadCredentials"] * 3 + ["Throttled"] * 5


def test_a_deactivated_user_cannot_sign_in_or_use_a_session_until_reactivated() -> None:
    user = make_user("ada@example.com")
    token = open_session(actor=HOME, user=user).token
    assert session_for_token(token) is not None

    deactivate_user(actor=SYSTEM, user=user, reason="left")
    assert session_for_token(token) is None
    assert guess(HOME, PASSWORD) is BadCredentials

    reactivate_user(actor=SYSTEM, user=user, reason="back")
    assert guess(HOME, PASSWORD) is None
    events = list(log_entries().values_list("event", flat=True))
    assert events.count("user.deactivated") == events.count("user.reactivated") == 1


def test_a_session_expires_after_twelve_hours(settings: Any) -> None:
    from datetime import datetime, timedelta

    import time_machine

    user = make_user("ada@example.com")
    with time_machine.travel(datetime.now().astimezone(), tick=False) as traveller:
        token = open_session(actor=HOME, user=user).token
        traveller.shift(timedelta(hours=12))
        assert session_for_token(token) is None
        assert delete_expired_sessions() == 1
        assert delete_expired_sessions() == 0


def test_an_unused_known_address_is_deleted_after_half_a_year() -> None:
    from datetime import datetime, timedelta

    import time_machine

    user = make_user("ada@example.com")
    with time_machine.travel(datetime.now().astimezone(), tick=False) as traveller:
        open_session(actor=HOME, user=user)
        traveller.shift(timedelta(days=100))
        open_session(actor=ELSEWHERE, user=user)
        assert delete_unused_addresses() == 0
        traveller.shift(timedelta(days=80))
        assert delete_unused_addresses() == 1
        assert user.known_addresses.count() == 1
