"""Periodic deletion of expired rows, and of the agents of deleted organizations."""

import time
from contextlib import suppress

from celery import shared_task

from agents import registration
from agents.deletion import delete_agent
from agents.selectors import agents_of_deleted_organizations
from core.actor import SYSTEM
from core.errors import NotFound
from core.sweeps import BATCH, SECONDS, sweep


@shared_task
def sweep_client_assertions() -> int:
    return sweep(registration.delete_expired_assertions)


@shared_task
def delete_agents() -> int:
    """Delete the agents of deleted organizations, which are stopped, for up to `SECONDS`. Return how many."""
    deadline, deleted = time.monotonic() + SECONDS, 0
    for agent in agents_of_deleted_organizations()[:BATCH]:
        if time.monotonic() >= deadline:
            break
        with suppress(NotFound):  # another worker has deleted it
            delete_agent(actor=SYSTEM, agent=agent)
            deleted += 1
    return deleted
