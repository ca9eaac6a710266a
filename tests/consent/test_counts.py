"""A limit of a connection with another window is no new quota, whichever way the user sets it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from consent.connections import Choice
from consent.granting import approve_consent
from consent.models import Consent
from consent.narrowing import Narrowing, narrow_consent
from consent.services import revoke_consent
from consent.terms import GivenTerms
from core import clock
from decisions.requests import Decision, VerifyRequest
from decisions.services import decide
from limits.models import Counter
from tests.threads import race
from tests.world import ANONYMOUS, Grant, as_user, ask, make_grant, make_user
from tokens.exchange import exchange_code
from tokens.issuing import IssuedTokens

pytestmark = pytest.mark.django_db(transaction=True)
ROUNDS = range(6)
SCOPE = "email:send"
HOUR, DAY = 3600, 86_400


@pytest.fixture
def grant() -> Grant:
    return make_grant(scopes=["email:read", SCOPE])


def calls(most: int, window: int, scope: str = "per_user") -> dict[str, Any]:
    return {"type": "rate_limit", "config": {"maxRequests": most, "windowSeconds": window, "scope": scope}}


def euros(most: str, window: int, currency: str = "EUR") -> dict[str, Any]:
    config = {"maxAmount": most, "currency": currency, "windowSeconds": window, "scope": "per_user"}
    return {"type": "spend_limit", "config": config}


def renew(grant: Grant, *limits: dict[str, Any]) -> str:
    """Approve a new request, by which the connection has just these limits. Return an access token."""
    choice = Choice(terms=GivenTerms(limits={SCOPE: list(limits)}))
    granted = approve_consent(
        actor=as_user(grant.user),
        consent=ask(grant.agent, scopes=["email:read", SCOPE]),
        user=grant.user,
        choice=choice,
        signed_in_at=clock.now(),
    )
    issued = exchange_code(actor=ANONYMOUS, agent=grant.agent, code=granted.code)
    assert isinstance(issued, IssuedTokens)
    return issued.access_token


def tighten(grant: Grant, *limits: dict[str, Any]) -> None:
    """Narrow the connection to these limits."""
    narrowing = Narrowing(terms=GivenTerms(limits={SCOPE: list(limits)}))
    consent = Consent.objects.get(user=grant.user, status=Consent.Status.APPROVED)
    narrow_consent(actor=as_user(grant.user), user=grant.user, consent=consent, narrowing=narrowing)


def send(token: str, amount: str | None = None, currency: str = "EUR") -> Decision:
    context = {} if amount is None else {"amount": {"value": amount, "currency": currency}}
    return decide([VerifyRequest(token=token, required_scopes=(SCOPE,), actor=ANONYMOUS, context=context)])[0]


def count(token: str, tries: int = 6) -> int:
    return sum(send(token).allowed for _ in range(tries))


def test_a_new_consent_with_another_window_counts_what_was_sent(grant: Grant) -> None:
    assert count(renew(grant, calls(3, DAY))) == 3
    assert count(renew(grant, calls(5, HOUR))) == 2
    assert count(renew(grant, calls(6, 2 * DAY))) == 1


def test_a_narrowing_with_another_window_counts_what_was_sent(grant: Grant) -> None:
    token = renew(grant, calls(3, DAY))
    assert count(token, 2) == 2
    tighten(grant, calls(3, DAY), calls(2, HOUR))
    assert count(token) == 0


def test_a_revoked_connection_starts_from_what_it_has_counted(grant: Grant) -> None:
    count(renew(grant, calls(3, DAY)))
    revoke_consent(actor=as_user(grant.user), consent=Consent.objects.get(user=grant.user, status="approved"))
    assert count(renew(grant, calls(4, HOUR))) == 1


def test_a_consent_without_limits_in_between_forgets_nothing_before_it(grant: Grant) -> None:
    count(renew(grant, calls(3, DAY)))
    renew(grant)
    assert count(renew(grant, calls(4, HOUR))) == 1


@pytest.mark.parametrize("scope", ["per_agent", "global"])
def test_another_scope_of_the_limit_is_the_same_counter(grant: Grant, scope: str) -> None:
    """Within a connection there is one user and one agent, so every scope counts the same requests."""
    count(renew(grant, calls(3, DAY)))
    token = renew(grant, calls(4, DAY, scope))
    tighten(grant, calls(4, DAY, scope), calls(4, HOUR, scope))
    assert count(token) == 1


def test_amounts_keep_their_sums_in_their_currency(grant: Grant) -> None:
    token = renew(grant, euros("10.00", DAY))
    assert send(token, "8.00").allowed
    token = renew(grant, euros("10.00", HOUR))
    assert not send(token, "2.01").allowed
    assert send(token, "2.00").allowed
    token = renew(grant, euros("10.00", HOUR, "USD"))
    assert send(token, "10.00", "USD").allowed


def test_other_connections_keep_their_own_counts(grant: Grant) -> None:
    other = replace(grant, user=make_user("eve@example.com"))
    count(renew(grant, calls(3, DAY)))
    assert count(renew(other, calls(3, DAY)), 1) == 1
    renew(grant, calls(3, HOUR))
    assert count(renew(other, calls(3, HOUR))) == 2


def test_a_limit_that_does_not_change_is_not_counted_again(grant: Grant) -> None:
    count(renew(grant, calls(3, DAY)))
    rows = list(Counter.objects.values())
    renew(grant, calls(3, DAY))
    assert list(Counter.objects.values()) == rows


@pytest.mark.parametrize("number", ROUNDS)
@pytest.mark.parametrize("change", [tighten, renew])
def test_calls_at_once_are_counted_once_and_never_lost(
    grant: Grant, change: Callable[..., object], number: int
) -> None:
    """However many calls come before the change, the connection allows four in all."""
    token = renew(grant, calls(4, DAY))
    count(token, 1)
    sending: list[Callable[[], Any]] = [lambda: count(token, 2)] * 3
    results = race([lambda: change(grant, calls(4, DAY), calls(4, HOUR)), *sending])
    assert sum(results[1:]) + count(token) == 3
