"""Concurrent revocations that lock the same rows do not deadlock."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connection

from agents.models import Agent
from agents.services import register_agent, update_agent
from core.actor import SYSTEM
from developers.models import Organization
from policies.services import create_policy

ROUNDS = 15


@pytest.mark.django_db(transaction=True)
def test_adding_policies_while_their_agent_changes_does_not_deadlock() -> None:
    organization = Organization.objects.create(name="Acme")
    agent = register_agent(
        actor=SYSTEM,
        organization=organization,
        name="SmartMail",
        redirect_uris=["https://service.example/callback"],
        allowed_scopes=["email:read"],
    ).agent

    def add() -> None:
        create_policy(actor=SYSTEM, organization=organization, name="x", rules=[], agent=agent)

    def change() -> None:
        update_agent(actor=SYSTEM, agent=agent, changes={"name": "SmartMail"})

    race([add, change, add, change])
    assert Agent.objects.get().policies.count() == 2 * ROUNDS


def race(acts: list[Callable[[], None]]) -> None:
    """Run the acts concurrently, `ROUNDS` times, starting each round together. Raises the first exception."""
    barrier = Barrier(len(acts))

    def run(act: Callable[[], None]) -> None:
        try:
            for _ in range(ROUNDS):
                barrier.wait(timeout=30)
                act()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(acts)) as pool:
        for future in [pool.submit(run, act) for act in acts]:
            future.result()
