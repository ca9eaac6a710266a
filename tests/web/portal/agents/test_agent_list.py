"""The list of the organization's agents: search, filter and pages."""

from typing import Any

import pytest
from django.test import Client

from agents.models import Agent
from agents.services import stop_agent, update_agent
from core.actor import SYSTEM
from developers.models import Developer
from tests.shared import cases
from web.requests import paging


@pytest.fixture
def agents(world: Any, developer: Developer, rival: Developer) -> dict[str, Agent]:
    names = ("Mail Sorter", "Ledgerbot", "Mail Writer")
    made = {name: world.make_agent(developer, name=name) for name in names}
    world.make_agent(rival, name="Rival Mail")
    update_agent(actor=SYSTEM, agent=made["Ledgerbot"], changes={"status": "suspended"})
    stop_agent(actor=SYSTEM, agent=made["Mail Writer"], reason="Spam.")
    return made


def found(client: Client, query: str) -> list[str]:
    return [row["agent"].name for row in client.get(f"/developer/agents?{query}").context["rows"]]


@cases(
    ("query", "names"),
    [
        ("", ["Mail Writer", "Ledgerbot", "Mail Sorter"]),
        ("q=mail", ["Mail Writer", "Mail Sorter"]),
        ("q=mail&status=active", ["Mail Sorter"]),
        ("status=suspended", ["Ledgerbot"]),
        ("status=stopped", ["Mail Writer"]),
        ("q=rival", []),
        ("q=%00%25", []),
    ],
)
def test_finds_agents_by_name_and_status(
    as_developer: Client, agents: dict[str, Agent], query: str, names: list[str]
) -> None:
    assert found(as_developer, query) == names


@cases("attribute", ["id", "client_id"])
def test_finds_an_agent_by_its_ids(as_developer: Client, agents: dict[str, Agent], attribute: str) -> None:
    wanted = getattr(agents["Ledgerbot"], attribute)
    assert found(as_developer, f"q={wanted}") == ["Ledgerbot"]
    assert found(as_developer, f"q={wanted[:-3]}") == ["Ledgerbot"]


def test_says_that_nothing_matches_and_what_to_do(as_developer: Client, agents: dict[str, Agent]) -> None:
    page = as_developer.get("/developer/agents?q=nothing").content.decode()
    assert "No agent matches" in page
    assert 'value="nothing"' in page
    assert "No agents yet" not in page


def test_an_unknown_status_is_an_error_that_names_the_field(as_developer: Client, agents: dict[str, Agent]) -> None:
    page = as_developer.get("/developer/agents?status=broken")
    assert "Status: Select a valid choice" in page.content.decode()
    assert page.context["rows"] == []


def test_counts_the_users_of_each_agent(
    world: Any, as_developer: Client, agents: dict[str, Agent], ada: Any, bob: Any
) -> None:
    for user in (ada, bob):
        world.allow(world.ask(agents["Mail Sorter"]), user)
    world.ask(agents["Mail Sorter"])
    rows = as_developer.get("/developer/agents").context["rows"]
    assert [row["users"] for row in rows] == [0, 0, 2]


def test_shows_the_decisions_of_the_last_day_as_bars_and_in_words(
    as_developer: Client, agents: dict[str, Agent], monkeypatch: pytest.MonkeyPatch
) -> None:
    busy, idle = agents["Mail Sorter"].id, [0] * 24
    numbers = {agent.id: idle for agent in agents.values()} | {busy: [*idle[:22], 1, 2400]}
    monkeypatch.setattr("web.portal.agents.views.decisions_per_hour", lambda *_: numbers)
    page = as_developer.get("/developer/agents").content.decode()
    assert "2,401 decisions in the last 24 hours, at most 2,400 in one hour" in page
    assert 'd="M90 23v-2M94 23v-21"' in page
    assert f"?agent={busy}&amp;event=token.verify&amp;from=" in page
    assert page.count("0 decisions in the last 24 hours") == 2


def test_the_pages_keep_the_filters(
    as_developer: Client, agents: dict[str, Agent], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging.paginate, "__defaults__", (1,))
    page = as_developer.get("/developer/agents?q=mail")
    after = f"?q=mail&amp;cursor={agents['Mail Writer'].id}"
    assert after in page.content.decode()
    assert found(as_developer, after.removeprefix("?").replace("&amp;", "&")) == ["Mail Sorter"]
