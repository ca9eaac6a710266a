"""Second factors used, added and removed concurrently: each code and each challenge works once."""

from functools import partial
from typing import Any

import pytest
from allauth.mfa.models import Authenticator

from accounts.authenticators import codes_left
from accounts.erasure import erase_user
from accounts.errors import PasskeyRefused, WrongSecondFactor
from accounts.models import User
from accounts.passkeys import Assertion
from accounts.second_factors import add_passkey, add_totp, check_code, new_secret, remove_passkey, use_passkey
from core.actor import SYSTEM
from core.errors import Conflict, NotFound, Throttled
from tests.threads import race
from tests.totp import code_now
from tests.world import ANONYMOUS, as_user, make_user

pytestmark = pytest.mark.django_db(transaction=True)
CREDENTIAL = {"rawId": "AAAA", "id": "AAAA", "response": {}, "type": "public-key"}
AT_ONCE = 4


@pytest.fixture
def ada() -> User:
    return make_user("ada@example.com")


def codes_of(ada: User) -> tuple[str, list[str]]:
    """Set up an app. Return a code that was not used yet, and the recovery codes."""
    secret = new_secret()
    recovery = add_totp(actor=as_user(ada), user=ada, secret=secret, code=code_now(secret, -1))
    return code_now(secret, 1), recovery


def outcomes_of(acts: list[Any]) -> list[Any]:
    return [outcome if isinstance(outcome, str) else type(outcome) for outcome in race(acts)]


@pytest.mark.parametrize("kind", ["totp", "recovery_codes"])
def test_a_code_works_once(ada: User, kind: str) -> None:
    app_code, recovery = codes_of(ada)
    code = app_code if kind == "totp" else recovery[0]
    found = outcomes_of([partial(check_code, actor=ANONYMOUS, user=ada, code=code)] * AT_ONCE)
    assert sorted(map(str, found)) == sorted(map(str, [kind, *[WrongSecondFactor] * (AT_ONCE - 1)]))


def test_different_recovery_codes_used_at_once_are_all_used(ada: User) -> None:
    _, recovery = codes_of(ada)
    acts = [partial(check_code, actor=ANONYMOUS, user=ada, code=code) for code in recovery[:AT_ONCE]]
    assert outcomes_of(acts) == ["recovery_codes"] * AT_ONCE
    assert codes_left(Authenticator.objects.get(type="recovery_codes")) == 10 - AT_ONCE


def test_guesses_at_once_do_not_exceed_the_throttle(ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    codes_of(ada)
    monkeypatch.setattr("accounts.throttles.SECOND_STEP_RATE", "2/hour")
    found = outcomes_of([partial(check_code, actor=ANONYMOUS, user=ada, code="000000")] * 6)
    assert found.count(Throttled) == 4


def test_a_signed_challenge_works_once(ada: User) -> None:
    add_passkey(actor=as_user(ada), user=ada, name="Phone", credential=CREDENTIAL)
    assertion = Assertion(Authenticator.objects.get(type="webauthn"), ada, "challenge")
    found = race([partial(use_passkey, actor=ANONYMOUS, assertion=assertion)] * AT_ONCE)
    assert [type(outcome) for outcome in found].count(PasskeyRefused) == AT_ONCE - 1


def test_a_passkey_is_added_once_and_with_one_set_of_codes(ada: User) -> None:
    add = partial(add_passkey, actor=as_user(ada), user=ada, name="Phone", credential=CREDENTIAL)
    found = race([add] * AT_ONCE)
    assert [type(outcome) for outcome in found].count(Conflict) == AT_ONCE - 1
    assert sorted(Authenticator.objects.values_list("type", flat=True)) == ["recovery_codes", "webauthn"]


def test_a_passkey_is_removed_once(ada: User) -> None:
    add_passkey(actor=as_user(ada), user=ada, name="Phone", credential=CREDENTIAL)
    passkey_id = str(Authenticator.objects.get(type="webauthn").pk)
    found = race([partial(remove_passkey, actor=as_user(ada), user=ada, passkey_id=passkey_id)] * AT_ONCE)
    assert [type(outcome) for outcome in found].count(NotFound) == AT_ONCE - 1
    assert not Authenticator.objects.exists()


@pytest.mark.parametrize("_number", range(4))
def test_nothing_is_added_to_an_account_that_is_erased(ada: User, _number: int) -> None:
    add = partial(add_passkey, actor=as_user(ada), user=ada, name="Phone", credential=CREDENTIAL)
    race([add, partial(erase_user, actor=SYSTEM, user=User.objects.get(pk=ada.pk))])
    assert not Authenticator.objects.exists()
