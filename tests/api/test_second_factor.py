"""Logging in through the API to an account with a second factor."""

from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from allauth.mfa.models import Authenticator

from accounts.erasure import erase_user
from accounts.models import SessionToken, User
from accounts.second_factors import add_passkey, add_totp, new_secret
from core.actor import SYSTEM
from developers.models import Developer
from tests.api.conftest import PASSWORD, Api, expect, problem
from tests.log import log_entries
from tests.shared import cases
from tests.totp import code_now
from tests.world import as_user, make_developer

EMAIL = "dev@example.com"
NOON = datetime(2026, 3, 4, 12, 0, 5, tzinfo=UTC)
PATHS = ["/users/login", "/developers/login"]

pytestmark = pytest.mark.django_db


@pytest.fixture
def now() -> Any:
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def user(now: Any) -> User:
    return make_developer(EMAIL).user


@pytest.fixture
def codes(user: User, now: Any) -> tuple[str, list[str]]:
    """Set up an authenticator app. Return its next code and the recovery codes."""
    secret = new_secret()
    recovery = add_totp(actor=as_user(user), user=user, secret=secret, code=code_now(secret))
    now.shift(30)
    return code_now(secret), recovery


def log_in(path: str, code: str | None = None, password: str = PASSWORD, **headers: str) -> Any:
    body = {"email": EMAIL, "password": password} | ({} if code is None else {"code": code})
    return Api().post(path, body, **headers)


@cases("path", PATHS)
def test_the_password_alone_is_refused(codes: Any, path: str) -> None:
    problem(log_in(path), 401, "second_factor_required")
    assert not SessionToken.objects.exists()


@cases("path", PATHS)
def test_the_code_logs_in_once(codes: Any, path: str) -> None:
    code, _ = codes
    assert expect(200, log_in(path, code))["sessionToken"]
    problem(log_in(path, code), 401, "wrong_second_factor")


def test_a_recovery_code_logs_in_once(codes: Any) -> None:
    _, recovery = codes
    expect(200, log_in(PATHS[0], recovery[0]))
    problem(log_in(PATHS[0], recovery[0]), 401, "wrong_second_factor")


def test_without_the_password_a_code_is_not_looked_at(codes: Any) -> None:
    code, _ = codes
    problem(log_in(PATHS[0], code, password="wrong-passphrase"), 401, "invalid_credentials")
    expect(200, log_in(PATHS[0], code))


def test_an_account_without_a_second_factor_needs_no_code(user: User) -> None:
    expect(200, log_in(PATHS[0]))
    expect(200, log_in(PATHS[0], "123456"))


def test_an_account_with_only_a_passkey_is_refused(user: User) -> None:
    credential = {"rawId": "AAAA", "id": "AAAA", "response": {}, "type": "public-key"}
    recovery = add_passkey(actor=as_user(user), user=user, name="Phone", credential=credential)
    for code in (None, recovery[0]):
        body = problem(log_in(PATHS[0], code), 401, "second_factor_required")
        assert "add an authenticator app" in body["detail"]


def test_wrong_codes_are_throttled_and_logged(codes: Any, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accounts.throttles.SECOND_STEP_RATE", "2/hour")
    answers = [log_in(PATHS[0], "000000") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [401, 401, 429]
    assert int(answers[2]["Retry-After"]) > 60
    assert log_entries(event="user.second_factor_failed", user_id=user.id).count() == 2


def test_a_repeated_request_gets_the_same_session_although_its_code_is_used(codes: Any) -> None:
    code, _ = codes
    first = expect(200, log_in(PATHS[0], code, Idempotency_Key="one"))
    assert expect(200, log_in(PATHS[0], code, Idempotency_Key="one")) == first
    problem(log_in(PATHS[0], code, Idempotency_Key="two"), 401, "wrong_second_factor")
    problem(log_in(PATHS[0], "000000", Idempotency_Key="one"), 401, "wrong_second_factor")


@cases("code", [123456, None, "", "x" * 41, ["1"]])
def test_the_code_must_be_a_short_string(codes: Any, code: Any) -> None:
    body = {"email": EMAIL, "password": PASSWORD, "code": code}
    problem(Api().post(PATHS[0], body), 400, "validation_failed", "code")


def test_the_password_does_not_make_a_protected_user_a_developer(codes: Any, user: User) -> None:
    Developer.objects.all().delete()
    answer = Api().post("/developers/register", {"name": "Acme", "email": EMAIL, "password": PASSWORD})
    assert "Sign in on the website" in problem(answer, 409, "email_taken")["detail"]
    assert not Developer.objects.exists()


def test_erasing_an_account_deletes_its_second_factors(codes: Any, user: User) -> None:
    assert Authenticator.objects.filter(user=user).count() == 2
    erase_user(actor=SYSTEM, user=user)
    assert not Authenticator.objects.exists()
