"""Of several calls at the same time, as many succeed as may."""

from functools import partial
from itertools import chain
from typing import Any

import pytest

from accounts.models import User
from developers.models import Developer
from tests.api.conftest import Json
from tests.api.test_verified_addresses import ADA, PERSON, REGISTRATIONS, confirm, register, required
from tests.api.test_verify_throttle import clock, statuses, verify
from tests.threads import race

__all__ = ["clock", "register", "required"]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(("prefix", "body"), REGISTRATIONS)
def test_only_one_of_concurrent_confirmations_succeeds(register: Any, settings: Any, prefix: str, body: Json) -> None:
    settings.THROTTLE_SIGN_IN = "1000/minute"
    code = register(prefix, body)
    statuses = [answer.status_code for answer in race([partial(confirm, prefix, ADA, code)] * 8)]
    assert sorted(statuses) == [201] + [400] * 7
    assert User.objects.count() == 1
    assert Developer.objects.count() == (prefix == "/developers")


def test_only_one_of_concurrent_codes_creates_the_account(register: Any, settings: Any) -> None:
    settings.THROTTLE_SIGN_IN = "1000/minute"
    codes = [register("/users", PERSON) for _ in range(6)]
    statuses = [answer.status_code for answer in race([partial(confirm, "/users", ADA, code) for code in codes])]
    assert sorted(statuses) == [201] + [409] * 5
    assert User.objects.count() == 1


def test_concurrent_verifies_are_counted_exactly(tokens: Json, settings: Any) -> None:
    settings.THROTTLE_VERIFY = "20/minute"
    answers = race([lambda: [verify() for _ in range(5)]] * 8)
    assert statuses(chain.from_iterable(answers)) == {200: 20, 429: 20}
