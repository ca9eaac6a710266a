"""What a process remembers between batches saves work and decides nothing, on all drivers."""

from datetime import timedelta

import pytest
import time_machine

from core import clock
from core.actor import SYSTEM
from decisions.memory import Bounded
from limits.models import Counter
from limits.tasks import sweep_counters
from policies.services import update_policy
from tests.decisions.drivers import SHOP, Decide, allowed, another_user_of, asking, forget, limit
from tests.world import Grant, make_caller, make_grant, make_resource_server, mean_for
from tokens.models import AccessToken

pytestmark = [pytest.mark.django_db, pytest.mark.postgresql]

HOUR = 3600


def test_a_cold_process_reads_policies_and_counters(decide: Decide, grant: Grant) -> None:
    limit(grant, 3)
    limit(grant, 100, "global")
    results = []
    for _ in range(5):
        forget()
        results.append(decide(asking(grant.access_token))[0].allowed)
    assert results == [True, True, True, False, False]


def test_missing_counters_are_created(decide: Decide, grant: Grant) -> None:
    limit(grant, 1)
    assert not Counter.objects.exists()
    assert allowed(decide(*[asking(grant.access_token)] * 2)) == [True, False]
    assert Counter.objects.count() == 1


def test_counters_of_a_token_that_is_new_to_a_warm_process(decide: Decide, grant: Grant) -> None:
    limit(grant, 2, "per_user")
    limit(grant, 3, "per_agent")
    decide(asking(grant.access_token))
    other = another_user_of(grant)
    decisions = decide(*[asking(other)] * 3, asking(grant.access_token))
    assert allowed(decisions) == [True, True, False, False]


def test_a_swept_counter_is_created_again(decide: Decide, grant: Grant) -> None:
    limit(grant, 1, seconds=60)
    assert allowed(decide(*[asking(grant.access_token)] * 2)) == [True, False]

    with time_machine.travel(clock.now() + timedelta(hours=2)):
        AccessToken.objects.update(expires=clock.now() + timedelta(hours=1))
        assert sweep_counters() == 1
        assert not Counter.objects.exists()
        assert allowed(decide(*[asking(grant.access_token)] * 2)) == [True, False]


def test_a_new_counter_is_not_swept_before_it_counts(decide: Decide, grant: Grant) -> None:
    """It is created in a transaction of its own, so a sweep can see it empty."""
    limit(grant, 1)
    assert decide(asking(grant.access_token))[0].allowed
    assert sweep_counters() == 0


def test_an_edited_limit_applies_to_the_next_batch(decide: Decide, grant: Grant) -> None:
    policy = limit(grant, 5)
    assert allowed(decide(*[asking(grant.access_token)] * 3)) == [True] * 3
    other_window = {"maxRequests": 4, "windowSeconds": 2 * HOUR, "scope": "per_user"}
    for config, expected in (
        ({"maxRequests": 4, "windowSeconds": HOUR, "scope": "per_agent"}, [True, False]),
        (other_window, [False, False]),
        ({**other_window, "maxRequests": 6}, [True, True]),
    ):
        changes = {"rules": [{"type": "rate_limit", "config": config}]}
        update_policy(actor=SYSTEM, policy=policy, changes=changes)
        assert allowed(decide(*[asking(grant.access_token)] * 2)) == expected, config


def test_a_policy_of_the_service_that_is_new_to_the_process(decide: Decide, grant: Grant) -> None:
    other = make_grant(email="bob@example.com", developer="bob-dev@example.com")
    decide(asking(grant.access_token))
    shop = make_resource_server(other.agent.organization.developers.get(), SHOP).server
    mean_for(AccessToken.objects.filter(user=grant.user), shop)
    limit(other, 1)
    asked = [asking(grant.access_token, credential=make_caller(shop))] * 2
    assert allowed(decide(*asked)) == [True, False]


def test_a_full_memory_forgets_its_older_half() -> None:
    memory: Bounded[int, str] = Bounded(4)
    for number in range(5):
        memory[number] = str(number)
    assert memory == {2: "2", 3: "3", 4: "4"}
