"""Concurrent revocations that lock the same rows do not deadlock."""

import pytest

from agents.models import Agent
from agents.services import register_agent, update_agent
from core.actor import SYSTEM
from developers.models import Organization
from policies.services import create_policy
from tests.threads import race

ROUNDS = 8


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

    for _ in range(ROUNDS):
        race([add, change, add, change])
    assert Agent.objects.get().policies.count() == 2 * ROUNDS
