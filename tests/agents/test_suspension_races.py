"""Registering an agent while an administrator suspends the organization."""

import threading
import time
from functools import partial

import pytest

from agents import services
from agents.models import Agent
from core.actor import SYSTEM, Actor
from developers.errors import OrganizationSuspended
from developers.models import Developer
from developers.services import suspend_organization
from tests.log import log_entries
from tests.threads import race
from tests.world import make_agent

pytestmark = pytest.mark.django_db(transaction=True)


def suspend(developer: Developer) -> bool:
    return suspend_organization(actor=SYSTEM, organization=developer.organization, reason="Fraud.")


def events() -> list[str]:
    """Return the events of agents and organizations, in the order of the log."""
    logged = log_entries(event__in=["agent.created", "organization.suspended"])
    return list(logged.order_by("id").values_list("event", flat=True))


def test_a_suspension_waits_for_a_registration_that_has_begun(
    developer: Developer, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_held, hold_developer = threading.Event(), services.hold_developer

    def hold_and_linger(actor: Actor) -> None:
        hold_developer(actor)
        is_held.set()
        time.sleep(0.2)

    def suspend_meanwhile() -> bool:
        assert is_held.wait(10)
        return suspend(developer)

    monkeypatch.setattr(services, "hold_developer", hold_and_linger)
    race([partial(make_agent, developer), suspend_meanwhile])

    assert events() == ["agent.created", "organization.suspended"]
    assert not Agent.objects.get().may_act


def test_no_agent_is_registered_after_a_suspension_has_returned(developer: Developer) -> None:
    *outcomes, _ = race([*[partial(make_agent, developer)] * 4, partial(suspend, developer)])

    made = [outcome for outcome in outcomes if isinstance(outcome, Agent)]
    refused = [outcome for outcome in outcomes if isinstance(outcome, OrganizationSuspended)]
    assert len(made) + len(refused) == 4
    assert events() == ["agent.created"] * len(made) + ["organization.suspended"]
