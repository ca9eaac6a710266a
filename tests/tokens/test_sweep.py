"""The sweep of expired tokens and families, also while another transaction locks the same rows."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import transaction
from pytest_django import DjangoAssertNumQueries

from agents.models import Agent
from core import clock
from tests.threads import race
from tests.world import ANONYMOUS, Grant, make_agent, make_developer, make_grant
from tokens.families import outlive_refresh_token
from tokens.issuing import IssuedTokens
from tokens.models import AccessToken, RefreshToken, TokenFamily
from tokens.refresh import refresh_tokens
from tokens.services import issue_client_token
from tokens.tasks import sweep_tokens

pytestmark = pytest.mark.postgresql

NOON = datetime(2026, 3, 23, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def refresh(grant: Grant) -> None:
    issued = refresh_tokens(actor=ANONYMOUS, agent=grant.agent, refresh_token=grant.refresh_token)
    assert isinstance(issued, IssuedTokens)
    assert issued.refresh_token
    grant.refresh_token = issued.refresh_token


def left() -> list[int]:
    """Sweep, and return how many families, refresh tokens and access tokens are left."""
    sweep_tokens()
    return [model.objects.count() for model in (TokenFamily, RefreshToken, AccessToken)]


@pytest.mark.django_db
def test_a_family_is_deleted_after_its_last_refresh_token() -> None:
    with time_machine.travel(NOON, tick=False) as traveller:
        grant = make_grant()
        traveller.shift(29 * DAY)
        refresh(grant)
        traveller.shift(30 * DAY)
        assert left() == [1, 1, 0]
        traveller.shift(DAY)
        assert left() == [1, 0, 0]
        traveller.shift(DAY)
        assert left() == [0, 0, 0]


@pytest.mark.django_db
def test_a_client_credentials_family_is_deleted_a_day_after_its_token() -> None:
    agent: Agent = make_agent(make_developer("dev@example.com"), allowed_scopes=["db:read"])
    with time_machine.travel(NOON, tick=False) as traveller:
        issue_client_token(actor=ANONYMOUS, agent=agent, scopes=[])
        traveller.shift(DAY)
        assert left() == [1, 0, 1]
        traveller.shift(timedelta(minutes=15))
        assert left() == [0, 0, 0]


@pytest.mark.django_db
def test_of_the_refreshes_within_a_day_one_moves_the_expiry(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with time_machine.travel(NOON, tick=False):
        make_grant()
    family = TokenFamily.objects.get()
    with django_assert_num_queries(0):
        outlive_refresh_token(family, NOON + DAY)
    with django_assert_num_queries(1):
        outlive_refresh_token(family, NOON + DAY + timedelta(seconds=1))
    with django_assert_num_queries(0):
        outlive_refresh_token(family, NOON + 2 * DAY)


@pytest.mark.django_db(transaction=True)
def test_the_sweep_skips_locked_rows_and_so_cannot_deadlock() -> None:
    agent, long_ago = make_agent(make_developer("dev@example.com", "Acme")), clock.now() - timedelta(days=3)
    times = {"created_at": long_ago, "expires_at": long_ago}
    ids = [TokenFamily.objects.create(application=agent, resource=[], **times).pk for _ in range(2)]
    is_held, is_swept = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            TokenFamily.objects.select_for_update().get(pk=max(ids))
            is_held.set()
            is_swept.wait(1)
            TokenFamily.objects.select_for_update().filter(pk=min(ids)).first()

    def sweep() -> int:
        is_held.wait(10)
        deleted = sweep_tokens()
        is_swept.set()
        return deleted

    deleted = race([hold, sweep])[1]
    assert deleted + sweep_tokens() == 2
    assert not TokenFamily.objects.exists()
