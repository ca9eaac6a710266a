"""Delegations beside each other and beside what ends or narrows them: nothing overtakes, and none outlives an end."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from agents.models import Agent
from consent.connections import Choice
from consent.granting import approve_consent
from consent.models import Consent
from consent.narrowing import Narrowing, narrow_consent
from core.actor import SYSTEM
from tests.threads import race
from tests.tokens.test_flows import is_allowed
from tests.world import ANONYMOUS, Grant, as_user, ask, hand_over, let_delegate, make_agent, make_grant
from tokens import delegations, exchange
from tokens import refresh as refreshing
from tokens.delegations import Delegated, Wanted, create_delegation, end_delegation, live_delegations
from tokens.errors import DelegationNotAllowed
from tokens.exchange import redeem_delegation
from tokens.issuing import IssuedTokens, Refusal
from tokens.models import Delegation, TokenFamily
from tokens.refresh import refresh_tokens

pytestmark = pytest.mark.django_db(transaction=True)
SCOPES = ["email:read", "email:send"]


@pytest.fixture
def grant() -> Grant:
    grant = make_grant(scopes=SCOPES)
    let_delegate(grant.access_token)
    return grant


@pytest.fixture
def second(grant: Grant) -> Agent:
    assert grant.agent.organization is not None
    return make_agent(grant.agent.organization.developers.get(), name="Summarizer", allowed_scopes=SCOPES)


def creating(grant: Grant, to: Agent, scopes: list[str] = SCOPES) -> Callable[[], Delegated]:
    wanted = Wanted(to=to.client_id, scopes=scopes)
    return lambda: create_delegation(actor=ANONYMOUS, agent=grant.agent, token=grant.access_token, wanted=wanted)


def redeeming(agent: Agent, made: Delegated) -> Callable[[], IssuedTokens | Refusal]:
    return lambda: redeem_delegation(actor=ANONYMOUS, agent=agent, token=made.token)


def replacing(grant: Grant, scopes: list[str] = SCOPES, mode: str = "developer") -> Callable[[], Any]:
    pending = ask(grant.agent, scopes=SCOPES)
    choice = Choice(scopes=scopes, is_whole=True, delegation=mode)
    return lambda: approve_consent(actor=as_user(grant.user), consent=pending, user=grant.user, choice=choice).consent


def lingering(module: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Make the function of the module wait a moment once, and return an event that says that it is reached."""
    reached, work = threading.Event(), getattr(module, name)

    def late(*arguments: Any, **named: Any) -> Any:
        if not reached.is_set():
            reached.set()
            time.sleep(0.2)
        return work(*arguments, **named)

    monkeypatch.setattr(module, name, late)
    return reached


def after(reached: threading.Event, act: Callable[[], Any]) -> Callable[[], Any]:
    def acting() -> Any:
        assert reached.wait(10)
        return act()

    return acting


def test_creations_at_once_never_exceed_what_a_connection_may_have(
    grant: Grant, second: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delegations, "MAX_LIVE", 3)
    outcomes = race([creating(grant, second)] * 6)
    assert sum(isinstance(one, Delegated) for one in outcomes) == 3
    assert sum(isinstance(one, DelegationNotAllowed) for one in outcomes) == 3
    assert Delegation.objects.count() == 3


def test_of_two_redemptions_at_once_one_gets_tokens(
    grant: Grant, second: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = creating(grant, second)()
    reached = lingering(exchange, "read_chain", monkeypatch)
    outcomes = race([redeeming(second, made), after(reached, redeeming(second, made))])
    assert isinstance(outcomes[0], IssuedTokens)
    assert isinstance(outcomes[1], Refusal)
    assert TokenFamily.objects.filter(delegation=made.delegation).count() == 1
    assert is_allowed(outcomes[0].access_token)


@pytest.mark.parametrize("name", ["redemption", "refresh"])
def test_what_is_issued_beside_an_end_is_worth_nothing(
    grant: Grant, second: Agent, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    if name == "redemption":
        made = creating(grant, second)()
        issue, module, row = redeeming(second, made), exchange, made.delegation
    else:
        row, issued = hand_over(grant.access_token, second, SCOPES)
        token = issued.refresh_token or ""
        issue, module = lambda: refresh_tokens(actor=ANONYMOUS, agent=second, refresh_token=token), refreshing
    reached = lingering(module, "issue_pair", monkeypatch)
    outcome, _ = race([issue, after(reached, lambda: end_delegation(actor=SYSTEM, delegation=row))])
    assert isinstance(outcome, IssuedTokens)
    assert not is_allowed(outcome.access_token)
    late = refresh_tokens(actor=ANONYMOUS, agent=second, refresh_token=outcome.refresh_token or "")
    assert isinstance(late, Refusal)


def test_a_redemption_beside_a_new_consent_ends_on_the_new_one(
    grant: Grant, second: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, replace = creating(grant, second)(), replacing(grant)
    reached = lingering(exchange, "read_chain", monkeypatch)
    issued, replacement = race([redeeming(second, made), after(reached, replace)])
    assert isinstance(issued, IssuedTokens)
    assert TokenFamily.objects.get(delegation=made.delegation).consent == replacement
    assert Delegation.objects.get().consent == replacement
    assert is_allowed(issued.access_token)


@pytest.mark.parametrize("is_first", [True, False])
def test_a_creation_beside_a_new_consent_ends_on_the_new_one(
    grant: Grant, second: Agent, monkeypatch: pytest.MonkeyPatch, is_first: bool
) -> None:
    replace = replacing(grant)
    if is_first:
        reached = lingering(delegations, "read_access_token", monkeypatch)
        replacement, made = race([after(reached, replace), creating(grant, second)])
    else:
        reached = lingering(delegations, "record_delegation", monkeypatch)
        made, replacement = race([creating(grant, second), after(reached, replace)])
    assert isinstance(made, Delegated)
    assert Delegation.objects.get().consent == replacement == Consent.objects.get(status="approved")
    assert isinstance(redeeming(second, made)(), IssuedTokens)


def test_a_creation_beside_a_narrowing_has_nothing_that_is_taken_back(
    grant: Grant, second: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrowing = Narrowing(remove_scopes=["email:send"])
    actor, user = as_user(grant.user), grant.user
    reached = lingering(delegations, "record_delegation", monkeypatch)
    made, _ = race(
        [
            creating(grant, second, ["email:send"]),
            after(reached, lambda: narrow_consent(actor=actor, user=user, consent=grant.consent, narrowing=narrowing)),
        ]
    )
    assert isinstance(made, Delegated)
    assert isinstance(redeeming(second, made)(), Refusal)
    assert not live_delegations(made.delegation.created_at).exists()
