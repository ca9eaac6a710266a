"""Sign-ins hash two passwords at a time. Others wait a while, then are told to come back."""

import time
from collections.abc import Iterator
from threading import Lock
from typing import Any

import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher, check_password, make_password
from django.test import Client

from accounts import hashers
from core.errors import Unavailable
from tests.shared import cases
from tests.threads import race
from tests.world import PASSWORD, make_user, sign_in

EMAIL = "ada@example.com"


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two hashes are under way and do not end."""
    monkeypatch.setattr(hashers, "WAIT_SECONDS", 0.02)
    for _ in range(hashers.AT_ONCE):
        hashers._turns.acquire()
    yield
    for _ in range(hashers.AT_ONCE):
        hashers._turns.release()


def log_in(password: str = PASSWORD) -> Any:
    body = {"email": EMAIL, "password": password}
    return Client().post("/api/v1/users/login", body, content_type="application/json")


@pytest.mark.django_db
@cases("act", [lambda: make_password("x"), lambda: check_password("x", make_password("x"))])
def test_at_most_two_passwords_are_hashed_at_a_time(act: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    lock, running, most = Lock(), 0, 0

    def slowly(original: Any) -> Any:
        def wrapped(*args: Any) -> Any:
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            time.sleep(0.02)
            try:
                return original(*args)
            finally:
                with lock:
                    running -= 1

        return wrapped

    for name in ("encode", "verify"):
        monkeypatch.setattr(Argon2PasswordHasher, name, slowly(getattr(Argon2PasswordHasher, name)))
    assert all(race([act] * 8))
    assert most == 2


@pytest.mark.usefixtures("busy")
def test_a_third_waits_a_while_and_is_then_refused() -> None:
    began = time.monotonic()
    with pytest.raises(Unavailable):
        make_password("x")
    assert time.monotonic() - began >= 0.02


def test_an_error_gives_the_turn_back() -> None:
    for _ in range(3 * hashers.AT_ONCE):
        with pytest.raises(AssertionError):
            hashers.BoundedArgon2Hasher().verify("x", "another-algorithm$hash")
    assert make_password("x").startswith("argon2")


@pytest.mark.django_db
def test_a_refused_sign_in_does_not_count_as_a_failure(settings: Any, request: pytest.FixtureRequest) -> None:
    settings.THROTTLE_SIGN_IN = "3/minute"
    make_user(EMAIL)
    request.getfixturevalue("busy")
    for _ in range(4):
        answer = log_in()
        assert (answer.status_code, answer["Retry-After"], answer.json()["code"]) == (503, "1", "unavailable")
    hashers._turns.release()
    try:
        assert log_in().status_code == 200
    finally:
        hashers._turns.acquire()


@pytest.mark.django_db
@pytest.mark.parametrize("email", [EMAIL, "nobody@example.com"])
def test_a_busy_server_does_not_reveal_which_accounts_exist(email: str, request: pytest.FixtureRequest) -> None:
    make_user(EMAIL)
    request.getfixturevalue("busy")
    answer = Client().post("/accounts/login/", {"login": email, "password": PASSWORD})
    assert (answer.status_code, answer["Retry-After"]) == (503, "1")
    assert b"Too many people are signing in" in answer.content


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/accounts/signup/", {"email": "eve@example.com", "password1": PASSWORD}),
        ("/accounts/reauthenticate/", {"password": PASSWORD}),
        ("/accounts/password/change/", {"oldpassword": PASSWORD, "password1": "n-e-w-7", "password2": "n-e-w-7"}),
    ],
)
def test_every_form_with_a_password_says_that_the_server_is_busy(
    path: str, form: dict[str, str], request: pytest.FixtureRequest
) -> None:
    browser = Client() if "signup" in path else sign_in(make_user(EMAIL))
    request.getfixturevalue("busy")
    answer = browser.post(path, form)
    assert (answer.status_code, answer["Retry-After"]) == (503, "1")
