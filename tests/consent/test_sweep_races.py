"""Sweeps beside an approval, an exchange and a refresh, in every order that can happen."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import time_machine

from accounts.models import User
from agents.models import Agent
from agents.registration import ClientMetadata, register_stock_client
from consent import granting, unused_clients
from consent.errors import ConsentExpired
from consent.granting import approve_consent
from consent.models import AuthorizationCode, Consent
from consent.tasks import sweep_codes, sweep_consents, sweep_undecided_consents, sweep_unused_registrations
from core import clock
from core.errors import NotFound
from tests.constants import CALLBACK, CHALLENGE, MOMENT
from tests.log import log_entries
from tests.threads import race
from tests.world import ANONYMOUS, allow, as_user, ask
from tokens import repeats
from tokens.exchange import exchange_code
from tokens.issuing import IssuedTokens
from tokens.refresh import refresh_tokens
from tokens.tasks import sweep_tokens

pytestmark = pytest.mark.django_db(transaction=True)
LINGER_SECONDS = 0.2


@pytest.fixture
def pending() -> Consent:
    """Return a request of a stock client that registered so long ago that the sweep deletes it."""
    metadata = ClientMetadata(name="Tool", redirect_uris=[CALLBACK], auth_method=Agent.AuthMethod.NONE)
    agent = register_stock_client(actor=ANONYMOUS, metadata=metadata).agent
    consent = ask(agent, scopes=["email:read"], code_challenge=CHALLENGE)
    Agent.objects.filter(pk=agent.pk).update(created=clock.now() - timedelta(days=8))
    return consent


def approving(consent: Consent, user: User) -> Callable[[], Any]:
    def act() -> Any:
        return approve_consent(actor=as_user(user), consent=consent, user=user)

    return act


def lingering(act: Callable[..., Any], is_reached: threading.Event) -> Callable[..., Any]:
    """Return `act`, after which the thread waits for the others, still in its transaction."""

    def linger(*arguments: Any) -> Any:
        result = act(*arguments)
        is_reached.set()
        time.sleep(LINGER_SECONDS)
        return result

    return linger


def after(is_reached: threading.Event, act: Callable[[], Any]) -> Callable[[], Any]:
    def wait() -> Any:
        assert is_reached.wait(10)
        return act()

    return wait


def test_a_client_is_kept_while_a_user_approves_it(
    pending: Consent, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_locked = threading.Event()
    monkeypatch.setattr(granting, "lock_agent", lingering(granting.lock_agent, is_locked))
    approved, swept = race([approving(pending, ada), after(is_locked, sweep_unused_registrations)])
    assert (approved.consent.status, swept) == ("approved", 0)
    assert Agent.objects.filter(pk=pending.agent_id).exists()


def test_a_client_is_kept_if_the_approval_commits_before_the_sweep_locks_it(
    pending: Consent, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def search_then_lock(rows: Any, limit: int) -> list[Any]:
        found = list(rows.values_list("pk", flat=True)[:limit])
        allow(pending, ada)
        return found

    monkeypatch.setattr(unused_clients, "lock_batch", search_then_lock)
    assert sweep_unused_registrations() == 0
    assert Consent.objects.get(pk=pending.pk).status == "approved"
    assert not log_entries(event="agent.expired").exists()


def test_an_approval_that_waits_for_the_sweep_finds_nothing(
    pending: Consent, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_locked = threading.Event()
    monkeypatch.setattr(unused_clients, "lock_batch", lingering(unused_clients.lock_batch, is_locked))
    swept, refused = race([sweep_unused_registrations, after(is_locked, approving(pending, ada))])
    assert swept == 1
    assert isinstance(refused, NotFound)
    assert not Agent.objects.filter(pk=pending.agent_id).exists()
    assert not log_entries(event="consent.approved").exists()


def test_a_request_that_expires_while_it_is_approved_is_either_approved_or_expired(
    pending: Consent, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_begun = threading.Event()
    with time_machine.travel(pending.expires_at - MOMENT, tick=False) as traveller:
        lock_agent = granting.lock_agent

        def lock_late(agent_id: str) -> Agent:
            traveller.shift(MOMENT)
            is_begun.set()
            time.sleep(LINGER_SECONDS)
            return lock_agent(agent_id)

        monkeypatch.setattr(granting, "lock_agent", lock_late)
        outcome, swept = race([approving(pending, ada), after(is_begun, sweep_consents)])
    events = set(log_entries(consent_id=pending.id).values_list("event", flat=True))
    if swept:
        assert isinstance(outcome, ConsentExpired)
        assert events == {"consent.requested", "consent.expired"}
    else:
        assert outcome.consent.status == "approved"
        assert events == {"consent.requested", "consent.approved"}


def test_exchanges_beside_sweeps_all_succeed(agent: Agent, ada: User) -> None:
    with time_machine.travel(clock.now() - timedelta(days=2)):
        expired = approving(ask(agent), ada)()
    codes = [approving(ask(agent), ada)().code for _ in range(8)]

    def exchange_all() -> list[Any]:
        return [exchange_code(actor=ANONYMOUS, agent=agent, code=code) for code in codes]

    issued, swept = race([exchange_all, partial(repeat, sweep_codes, sweep_undecided_consents)])
    assert all(isinstance(outcome, IssuedTokens) for outcome in issued)
    assert swept == 1
    assert not AuthorizationCode.objects.filter(consent_id=expired.consent.id, expires__lte=clock.now()).exists()


def test_refreshes_beside_the_sweep_all_succeed(agent: Agent, ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "REFRESH_REPEAT_LIFETIME", timedelta(0))
    first = exchange_code(actor=ANONYMOUS, agent=agent, code=approving(ask(agent), ada)().code)
    assert isinstance(first, IssuedTokens)

    def refresh_repeatedly() -> list[Any]:
        issued: list[Any] = [first]
        for _ in range(8):
            token = issued[-1].refresh_token
            issued.append(refresh_tokens(actor=ANONYMOUS, agent=agent, refresh_token=token, is_repeatable=True))
        return issued

    issued, swept = race([refresh_repeatedly, partial(repeat, sweep_tokens)])
    assert all(isinstance(outcome, IssuedTokens) for outcome in issued)
    assert swept + sweep_tokens() <= 8


def repeat(*tasks: Callable[[], int]) -> int:
    return sum(task() for _ in range(16) for task in tasks)
