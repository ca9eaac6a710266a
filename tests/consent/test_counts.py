"""However a user sets a limit with a new window on a connection, it grants no new quota."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import time_machine

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
from resources.custom_scopes import ScopeDefinition
from tests.constants import NOON
from tests.threads import race, rounds
from tests.world import ANONYMOUS, Grant, as_user, ask, make_agent, make_grant, make_resource_server, make_user
from tokens.exchange import exchange_code
from tokens.issuing import IssuedTokens

pytestmark = pytest.mark.django_db
SCOPE = "email:send"
# The key of its counter would be longer than a key may be.
LONG_SCOPE = "tickets-of-the-support-team:" + "x" * 58
HOUR, DAY = 3600, 86_400


@pytest.fixture
def grant() -> Grant:
    return make_grant(scopes=["email:read", SCOPE])


def calls(most: int, window: int, scope: str = "per_user") -> dict[str, Any]:
    return {"type": "rate_limit", "config": {"maxRequests": most, "windowSeconds": window, "scope": scope}}


def euros(most: str, window: int, currency: str = "EUR") -> dict[str, Any]:
    config = {"maxAmount": most, "currency": currency, "windowSeconds": window, "scope": "per_user"}
    return {"type": "spend_limit", "config": config}


def renew(grant: Grant, *limits: dict[str, Any], scope: str = SCOPE) -> str:
    """Approve a new request, by which the scope has just these limits. Return an access token."""
    return approve(grant, ["email:read", scope], Choice(terms=GivenTerms(limits={scope: list(limits)})))


def approve(grant: Grant, asked: list[str], choice: Choice) -> str:
    granted = approve_consent(
        actor=as_user(grant.user),
        consent=ask(grant.agent, scopes=asked),
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
    narrow_consent(actor=as_user(grant.user), user=grant.user, consent=live(grant), narrowing=narrowing)


def live(grant: Grant) -> Consent:
    return Consent.objects.get(user=grant.user, status=Consent.Status.APPROVED)


def send(token: str, amount: str | None = None, currency: str = "EUR", scope: str = SCOPE) -> Decision:
    context = {} if amount is None else {"amount": {"value": amount, "currency": currency}}
    return decide([VerifyRequest(token=token, required_scopes=(scope,), actor=ANONYMOUS, context=context)])[0]


def count(token: str, tries: int = 6, scope: str = SCOPE) -> int:
    return sum(send(token, scope=scope).allowed for _ in range(tries))


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
    revoke_consent(actor=as_user(grant.user), consent=live(grant))
    assert count(renew(grant, calls(4, HOUR))) == 1


def test_a_consent_without_limits_in_between_forgets_nothing_before_it(grant: Grant) -> None:
    count(renew(grant, calls(3, DAY)))
    renew(grant)
    assert count(renew(grant, calls(4, HOUR))) == 1


def test_a_consent_without_the_scope_in_between_forgets_nothing_before_it(grant: Grant) -> None:
    count(renew(grant, calls(3, DAY)))
    others = GivenTerms(limits={"email:read": [calls(9, DAY)]})
    approve(grant, ["email:read"], Choice(scopes=["email:read"], is_whole=True, terms=others))
    assert count(renew(grant, calls(4, HOUR))) == 1


def test_a_removed_limit_goes_on_counting(grant: Grant) -> None:
    """Each change is allowed once the shorter window has passed, but the longest remembers all of it."""
    with time_machine.travel(NOON, tick=False) as moment:
        assert count(renew(grant, calls(3, DAY))) == 3
        moment.shift(2 * HOUR)
        assert count(renew(grant, calls(3, HOUR))) == 3
        moment.shift(2 * HOUR)
        assert count(renew(grant, calls(6, 2 * DAY))) == 0
        assert count(renew(grant, calls(7, DAY))) == 1


def test_a_removed_limit_is_forgotten_once_its_window_has_passed(grant: Grant) -> None:
    with time_machine.travel(NOON, tick=False) as moment:
        renew(grant, calls(3, HOUR))
        renew(grant, euros("5.00", HOUR))
        assert list(live(grant).terms["history"]) == [SCOPE]
        moment.shift(2 * HOUR)
        renew(grant)
        assert [kind["currency"] for kind in live(grant).terms["history"][SCOPE]["retired"]] == ["EUR"]


def test_the_longest_scope_is_counted_like_others(grant: Grant) -> None:
    developer = grant.agent.organization.developers.get()
    make_resource_server(developer, "https://tickets.example", ScopeDefinition(LONG_SCOPE, "low", "See", "See", "sell"))
    agent = make_agent(developer, allowed_scopes=["email:read", LONG_SCOPE])
    long = replace(grant, agent=agent)
    assert count(renew(long, calls(3, DAY), scope=LONG_SCOPE), scope=LONG_SCOPE) == 3
    assert count(renew(long, calls(5, HOUR), scope=LONG_SCOPE), scope=LONG_SCOPE) == 2


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


@pytest.mark.django_db(transaction=True)
@rounds(6)
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
