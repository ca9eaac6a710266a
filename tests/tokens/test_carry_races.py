"""What a consent no longer permits, beside a delegation that is made or redeemed: nothing of it comes back later."""

from collections.abc import Callable
from typing import Any

import pytest

from agents.models import Agent
from consent.connections import Choice
from consent.granting import approve_consent
from consent.models import Consent
from consent.narrowing import Narrowing, narrow_consent
from core import clock
from decisions.requests import VerifyRequest
from decisions.services import decide
from tests.log import log_entries
from tests.threads import race, rounds
from tests.world import ANONYMOUS, Grant, as_user, ask, let_delegate, make_agent, make_grant
from tokens.delegations import Delegated, Wanted, create_delegation
from tokens.exchange import redeem_delegation
from tokens.issuing import IssuedTokens
from tokens.models import Delegation

pytestmark = pytest.mark.django_db(transaction=True)
READ, SEND = "email:read", "email:send"


@pytest.fixture
def grant() -> Grant:
    grant = make_grant(scopes=[READ, SEND])
    let_delegate(grant.access_token)
    return grant


@pytest.fixture
def second(grant: Grant) -> Agent:
    assert grant.agent.organization is not None
    return make_agent(grant.agent.organization.developers.earliest("pk"), name="B", allowed_scopes=[READ, SEND])


def approving(grant: Grant, **choice: Any) -> Callable[[], Any]:
    """Return an approval that replaces the connection."""
    pending = ask(grant.agent, scopes=[READ, SEND])

    def act() -> Consent:
        fresh = Consent.objects.select_related("agent__organization").get(pk=pending.pk)
        chosen, actor = Choice(**choice), as_user(grant.user)
        return approve_consent(
            actor=actor, consent=fresh, user=grant.user, choice=chosen, signed_in_at=clock.now()
        ).consent

    return act


def narrowing(grant: Grant, **changes: Any) -> Callable[[], Any]:
    narrowing = Narrowing(**changes)
    return lambda: narrow_consent(
        actor=as_user(grant.user), user=grant.user, consent=grant.consent, narrowing=narrowing
    )


def creating(grant: Grant, to: Agent, scopes: list[str]) -> Callable[[], Any]:
    wanted = Wanted(to=to.client_id, scopes=scopes)
    return lambda: create_delegation(actor=ANONYMOUS, agent=grant.agent, token=grant.access_token, wanted=wanted)


def redeeming(to: Agent, token: str) -> Callable[[], Any]:
    return lambda: redeem_delegation(actor=ANONYMOUS, agent=to, token=token)


def reason(issued: IssuedTokens, scope: str = READ) -> str | None:
    request = VerifyRequest(token=issued.access_token, required_scopes=(scope,), actor=ANONYMOUS)
    return decide([request])[0].reason


@rounds(6)
@pytest.mark.parametrize("how", [approving, narrowing])
def test_nothing_made_or_redeemed_beside_it_outlives_the_mode(
    grant: Grant, second: Agent, how: Callable[..., Callable[[], Any]], number: int
) -> None:
    """Not even if the user lets the agent hand work on again."""
    waiting = creating(grant, second, [READ])()
    made, issued, _ = race(
        [creating(grant, second, [READ]), redeeming(second, waiting.token), how(grant, delegation="none")]
    )
    ends = Delegation.objects.values_list("ended_at", flat=True)
    assert None not in ends
    assert log_entries(event="delegation.ended").count() == len(ends) == 1 + isinstance(made, Delegated)
    approving(grant, delegation="developer")()
    if isinstance(issued, IssuedTokens):
        assert reason(issued) == "delegation_ended"
    if isinstance(made, Delegated):
        assert not isinstance(redeeming(second, made.token)(), IssuedTokens)


@rounds(6)
def test_a_scope_removed_beside_it_does_not_return_to_what_was_handed_on(
    grant: Grant, second: Agent, number: int
) -> None:
    waiting = creating(grant, second, [READ, SEND])()
    made, issued, _ = race(
        [
            creating(grant, second, [READ, SEND]),
            redeeming(second, waiting.token),
            narrowing(grant, remove_scopes=[SEND]),
        ]
    )
    assert isinstance(issued, IssuedTokens)
    approving(grant)()
    assert (reason(issued), reason(issued, SEND)) == (None, "insufficient_scope")
    if isinstance(made, Delegated):
        later = redeeming(second, made.token)()
        assert (reason(later), reason(later, SEND)) == (None, "insufficient_scope")
