"""Stock clients, their assertions, and the sweeps that delete what is unused or expired."""

from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
import time_machine

from accounts.models import User
from agents.errors import InvalidClient
from agents.models import Agent, UsedAssertion
from agents.registration import (
    ClientMetadata,
    delete_expired_assertions,
    register_stock_client,
    save_metadata_client,
    use_assertion,
)
from agents.services import stop_agent
from agents.tasks import sweep_client_assertions
from consent.granting import deny_consent
from consent.tasks import sweep_unused_registrations
from consent.unused_clients import delete_unused_registrations
from core.actor import SYSTEM
from tests.constants import CALLBACK, CHALLENGE, NOON
from tests.log import log_entries
from tests.shared import cases
from tests.threads import race
from tests.world import ANONYMOUS, allow, as_user, ask, make_agent, make_developer, make_user

WEEK = timedelta(days=7)
DOCUMENT = "https://tool.example/client.json"
NONE = Agent.AuthMethod.NONE

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada() -> User:
    return make_user("ada@example.com")


def metadata(name: str = "Tool", auth_method: Agent.AuthMethod = NONE, **fields: Any) -> ClientMetadata:
    return ClientMetadata(name=name, redirect_uris=[CALLBACK], auth_method=auth_method, **fields)


def register(**fields: Any) -> Agent:
    return register_stock_client(actor=ANONYMOUS, metadata=metadata(**fields)).agent


def publish(url: str = DOCUMENT, **fields: Any) -> Agent:
    """Save the client whose metadata document is at `url`."""
    fresh_until = NOON + timedelta(hours=1)
    return save_metadata_client(actor=ANONYMOUS, client_id=url, metadata=metadata(**fields), fresh_until=fresh_until)


def request(agent: Agent) -> Any:
    return ask(agent, scopes=["email:read"], code_challenge=CHALLENGE)


def use(agent: Agent, token_id: str = "one", expires_at: datetime = NOON) -> None:
    use_assertion(agent=agent, token_id=token_id, expires_at=expires_at)


@cases("method", Agent.AuthMethod)
def test_only_a_client_that_uses_a_secret_gets_one(method: Agent.AuthMethod) -> None:
    made = register_stock_client(actor=ANONYMOUS, metadata=metadata(auth_method=method))
    uses_secret = method in ("client_secret_basic", "client_secret_post")
    assert made.client_secret.startswith("ags_") is uses_secret
    assert made.agent.secrets.count() == uses_secret
    assert made.agent.is_confidential is (method != "none")


def test_a_stock_client_belongs_to_no_organization_and_must_use_pkce() -> None:
    for agent in (register(), publish()):
        assert (agent.organization, agent.is_stock, agent.require_pkce) == (None, True, True)
        assert log_entries().get(agent_id=agent.id).organization_ids == []


def test_a_new_document_updates_the_client_and_keeps_an_administrators_stop() -> None:
    first = publish()
    stop_agent(actor=SYSTEM, agent=first, reason="phishing")
    second = publish(name="Other")
    assert (second.pk, second.name, second.is_stopped) == (first.pk, "Other", True)
    assert log_entries(event="agent.created").count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_document_fetched_several_times_at_once_creates_one_client() -> None:
    for number in range(1, 6):
        agents = race([partial(publish, f"https://{number}.example/client.json")] * 4)
        assert len({agent.pk for agent in agents}) == 1
        assert Agent.objects.count() == log_entries(event="agent.created").count() == number


def test_an_assertion_works_once_for_each_client() -> None:
    first, second = register(), register()
    use(first)
    with pytest.raises(InvalidClient, match="already been used"):
        use(first)
    use(first, "two")
    use(second)


@pytest.mark.django_db(transaction=True)
def test_an_assertion_used_several_times_at_once_works_once() -> None:
    agent = register()
    for number in range(3):
        outcomes = race([partial(use, agent, str(number))] * 4)
        assert outcomes.count(None) == 1
        assert sum(isinstance(outcome, InvalidClient) for outcome in outcomes) == 3


def test_expired_assertions_are_deleted_up_to_the_limit() -> None:
    agent = register()
    with time_machine.travel(NOON, tick=False):
        for number in range(4):
            use(agent, str(number), NOON - timedelta(seconds=number))
        use(agent, "live", NOON + timedelta(microseconds=1))
        assert delete_expired_assertions(limit=3) == 3
        assert sweep_client_assertions() == 1
        assert sweep_client_assertions() == 0
    assert UsedAssertion.objects.count() == 1


def test_a_client_without_a_decided_consent_is_deleted_after_a_week(ada: User) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        allowed, denied, requested, unused = [register() for _ in range(4)]
        allow(request(allowed), ada)
        deny_consent(actor=as_user(ada), consent=request(denied), user=ada)
        request(requested)
        clock.move_to(NOON + WEEK - timedelta(microseconds=1))
        assert sweep_unused_registrations() == 0
        clock.move_to(NOON + WEEK)
        assert sweep_unused_registrations() == 2
        assert sweep_unused_registrations() == 0
    assert set(Agent.objects.all()) == {allowed, denied}
    expired = log_entries(event="agent.expired")
    assert {entry.agent_id for entry in expired} == {requested.id, unused.id}
    assert {entry.content["actor"]["kind"] for entry in expired} == {"system"}


def test_organizations_own_agents_and_stopped_clients_are_not_deleted() -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        own, stopped = make_agent(make_developer("dev@example.com")), publish()
        stop_agent(actor=SYSTEM, agent=stopped, reason="phishing")
        clock.shift(10 * WEEK)
        assert sweep_unused_registrations() == 0
    assert set(Agent.objects.all()) == {own, stopped}


def test_a_sweep_deletes_the_oldest_clients_up_to_its_limit() -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        agents = []
        for _ in range(3):
            agents.append(register())
            clock.shift(timedelta(seconds=1))
        clock.shift(WEEK)
        assert delete_unused_registrations(limit=2) == 2
    assert Agent.objects.get() == agents[-1]
