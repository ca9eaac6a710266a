"""Named client secrets: races, and when each was last used."""

from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import time_machine

from agents.client_secrets import MAX_SECRETS, create_client_secret, revoke_client_secret, rotate_client_secret
from agents.errors import InvalidClient
from agents.models import Agent, ClientSecret
from agents.services import authenticate_client
from core.errors import Invalid, NotFound
from core.secret_use import USE_PRECISION
from developers.acting import as_developer
from developers.models import Developer
from tests.constants import MOMENT, NOON
from tests.log import log_entries
from tests.threads import race
from tests.world import ANONYMOUS, make_agent

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def agent(developer: Developer) -> Agent:
    return make_agent(developer)


@pytest.fixture
def actor(developer: Developer) -> Any:
    return as_developer(ANONYMOUS, developer)


def authenticate(agent: Agent, secret: str) -> Agent:
    return authenticate_client(actor=ANONYMOUS, client_id=agent.client_id, client_secret=secret)


def test_of_several_creations_at_once_no_more_than_the_limit_succeed(agent: Agent, actor: Any) -> None:
    for number in range(MAX_SECRETS - 3):
        create_client_secret(actor=actor, agent=agent, name=f"place {number}")
    acts = [partial(create_client_secret, actor=actor, agent=agent, name=f"late {number}") for number in range(4)]
    outcomes = race(acts)
    assert sum(isinstance(outcome, Invalid) for outcome in outcomes) == 2
    assert agent.secrets.count() == MAX_SECRETS == len(log_entries(event="agent.secret_created")) + 1


def test_of_several_creations_with_one_name_one_succeeds(agent: Agent, actor: Any) -> None:
    outcomes = race([partial(create_client_secret, actor=actor, agent=agent, name="production")] * 4)
    assert sum(isinstance(outcome, Invalid) for outcome in outcomes) == 3
    assert agent.secrets.filter(name="production").count() == 1


def test_a_rotation_and_a_revocation_of_one_secret_leave_it_dead(agent: Agent, actor: Any) -> None:
    value = create_client_secret(actor=actor, agent=agent, name="production").value
    old = agent.secrets.get(name="production")
    rotated, revoked = race(
        [
            partial(rotate_client_secret, actor=actor, agent=agent, overlap_seconds=3600, secret_id=old.pk),
            partial(revoke_client_secret, actor=actor, agent=agent, secret_id=old.pk),
        ]
    )
    assert revoked is None
    with pytest.raises(InvalidClient):
        authenticate(agent, value)
    assert isinstance(rotated, NotFound) or authenticate(agent, rotated.value) == agent


def test_the_last_use_is_recorded_once_per_ten_minutes(agent: Agent, actor: Any) -> None:
    value = create_client_secret(actor=actor, agent=agent, name="production").value
    with time_machine.travel(NOON, tick=False) as clock:
        for step, seen in (
            (timedelta(0), NOON),
            (USE_PRECISION - MOMENT, NOON),
            (USE_PRECISION, NOON + USE_PRECISION),
        ):
            clock.move_to(NOON + step)
            authenticate(agent, value)
            assert ClientSecret.objects.get(name="production").last_used_at == seen
    assert ClientSecret.objects.get(name="").last_used_at is None
