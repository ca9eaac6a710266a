"""Named client secrets: races, and when each was last used."""

from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import time_machine

from agents.client_secrets import MAX_SECRETS, create_client_secret, revoke_client_secret, rotate_client_secret
from agents.errors import InvalidClient
from agents.models import Agent, ClientSecret
from agents.selectors import live_secrets
from agents.services import authenticate_client
from core.errors import Invalid, NotFound
from core.rotation import USE_PRECISION, AlreadyReplaced
from developers.acting import as_developer
from developers.models import Developer
from tests.constants import MOMENT, NOON
from tests.log import log_entries
from tests.threads import race
from tests.world import ANONYMOUS, make_agent

pytestmark = pytest.mark.django_db


@pytest.fixture
def agent(developer: Developer) -> Agent:
    return make_agent(developer)


@pytest.fixture
def actor(developer: Developer) -> Any:
    return as_developer(ANONYMOUS, developer)


def authenticate(agent: Agent, secret: str) -> Agent:
    return authenticate_client(actor=ANONYMOUS, client_id=agent.client_id, client_secret=secret)


@pytest.mark.django_db(transaction=True)
def test_of_several_creations_at_once_no_more_than_the_limit_succeed(agent: Agent, actor: Any) -> None:
    for number in range(MAX_SECRETS - 3):
        create_client_secret(actor=actor, agent=agent, name=f"place {number}")
    acts = [partial(create_client_secret, actor=actor, agent=agent, name=f"late {number}") for number in range(4)]
    outcomes = race(acts)
    assert sum(isinstance(outcome, Invalid) for outcome in outcomes) == 2
    assert agent.secrets.count() == MAX_SECRETS == len(log_entries(event="agent.secret_created")) + 1


@pytest.mark.django_db(transaction=True)
def test_of_several_creations_with_one_name_one_succeeds(agent: Agent, actor: Any) -> None:
    outcomes = race([partial(create_client_secret, actor=actor, agent=agent, name="production")] * 4)
    assert sum(isinstance(outcome, Invalid) for outcome in outcomes) == 3
    assert agent.secrets.filter(name="production").count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_several_rotations_of_one_secret_at_once_one_succeeds(agent: Agent, actor: Any) -> None:
    given = {"actor": actor, "agent": agent, "secret_id": agent.secrets.get().pk, "overlap_seconds": 3600}
    outcomes = race([partial(rotate_client_secret, **given)] * 4)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["AlreadyReplaced"] * 3 + ["NewSecret"]
    assert agent.secrets.count() == 2
    with pytest.raises(AlreadyReplaced, match="A new secret has replaced this one"):
        rotate_client_secret(**given)


def test_rotations_pass_the_limit_of_live_secrets_only_without_an_overlap(agent: Agent, actor: Any) -> None:
    rotate = partial(rotate_client_secret, actor=actor, agent=agent)
    newest = agent.secrets.get().pk
    for _number in range(MAX_SECRETS - 1):
        newest = rotate(secret_id=newest, overlap_seconds=3600).row.pk
    for secret_id in (newest, None):
        with pytest.raises(Invalid, match="At most 10 can work at once"):
            rotate(secret_id=secret_id, overlap_seconds=3600)
    rotate(secret_id=newest)
    assert live_secrets(agent).count() == agent.secrets.count() - 1 == MAX_SECRETS
    only = rotate()
    assert live_secrets(agent).get() == only.row


def test_one_secret_for_several_has_the_name_of_none(agent: Agent, actor: Any) -> None:
    create_client_secret(actor=actor, agent=agent, name="production")
    assert rotate_client_secret(actor=actor, agent=agent).row.name == ""
    only = create_client_secret(actor=actor, agent=agent, name="production").row
    revoke_client_secret(actor=actor, agent=agent, secret_id=agent.secrets.exclude(pk=only.pk).first().pk)
    assert rotate_client_secret(actor=actor, agent=agent, overlap_seconds=3600).row.name == "production"


@pytest.mark.django_db(transaction=True)
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
