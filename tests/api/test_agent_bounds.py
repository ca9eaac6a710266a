"""One account cannot fill the database with agents."""

import pytest

from agents.models import Agent
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
