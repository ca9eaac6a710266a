"""One account cannot fill the database with agents."""

from datetime import timedelta

import pytest
import time_machine

from agents.models import Agent
from core import clock
from tests.api.conftest import Api, expect, problem
from tests.api.test_agents import BODY


def test_registrations_of_agents_are_throttled_by_organization(developer: Api, rival: Api, settings: object) -> None:
    settings.THROTTLE_AGENTS = "2/hour"  # type: ignore[attr-defined]
    for _ in range(2):
        expect(201, developer.post("/agents", BODY))
    refused = developer.post("/agents", BODY)
    assert problem(refused, 429, "throttled")
    assert int(refused["Retry-After"]) > 0
    assert Agent.objects.count() == 2
    expect(201, rival.post("/agents", BODY))


def test_an_organization_has_a_bounded_number_of_agents(developer: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.services.MAX_AGENTS", 1)
    expect(201, developer.post("/agents", BODY))
    refused = expect(400, developer.post("/agents", BODY))
    assert refused["errors"] == [
        {"field": "name", "message": "An organization can have at most 1 agents. Delete one first."}
    ]


def test_deleting_agents_makes_room_for_a_bounded_number(
    developer: Api, rival: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents.services.MAX_DELETED", 2)
    for _ in range(2):
        expect(201, developer.post("/agents", BODY))
    Agent.objects.update(deleted_at=clock.now())
    refused = developer.post("/agents", BODY)
    assert problem(refused, 429, "throttled")
    assert 29 * 86_400 < int(refused["Retry-After"]) <= 30 * 86_400 + 1
    expect(201, rival.post("/agents", BODY))
    with time_machine.travel(clock.now() + timedelta(days=30)):
        expect(201, developer.post("/agents", BODY))
