"""The form of an agent: its scopes by service, and the preview of the consent screen."""

import re
from html import unescape
from typing import Any

import pytest
from django.test import Client

from agents.models import Agent
from core.actor import SYSTEM
from developers.models import Developer
from developers.services import verify_organization
from resources.custom_scopes import ScopeDefinition
from tests.shared import cases
from tests.web.portal.agents.test_developer_agents import NEW_AGENT

NEW = "/developer/agents/new"
OWN = ScopeDefinition("acme:books", "high", "See your books", "See titles", "change them")


def shown(response: Any) -> str:
    """Return the preview."""
    text = response.content.decode()
    return str(text[text.index('id="preview"') : text.index("</fieldset>\n  </section>")])


def test_the_preview_shows_what_is_filled_in_so_far_and_saves_nothing(
    as_developer: Client, developer: Developer
) -> None:
    form = {
        "name": "Ledger <b>bot</b>",
        "allowed_scopes": ["payments:charge"],
        "redirect_uris": "ftp://x",
        "preview": "",
    }
    response = as_developer.post(NEW, form)
    assert response.status_code == 200
    page = shown(response)
    assert "Preview" in page
    assert '<bdi class="named">Ledger &lt;b&gt;bot&lt;/b&gt;</bdi> asks to act for you' in page
    assert '<span class="consent__who">An AI agent by <bdi' in page
    assert "Take payments from you</bdi>, asking you each time" in page
    assert "we have not checked who is behind this agent." in page
    assert "the redirect URI" in page
    assert 'id="errors"' not in response.content.decode()
    assert 'value="Ledger &lt;b&gt;bot' in response.content.decode()
    assert "ftp://x</textarea>" in response.content.decode()
    assert not Agent.objects.exists()


def test_the_preview_follows_the_facts_of_the_real_screen(as_developer: Client, developer: Developer) -> None:
    verify_organization(actor=SYSTEM, organization=developer.organization, is_verified=True, reason="Known.")
    page = shown(as_developer.post(NEW, {**NEW_AGENT, "preview": ""}))
    assert "ledger.example" in page
    assert "Verified developer" in page
    assert "<bdi>“Keeps the books.”</bdi>" in page
    assert re.search(r'value="payments:read"\s+checked', page)


def test_the_preview_can_decide_nothing(as_developer: Client) -> None:
    """All its controls are in a disabled fieldset, and no form begins in it."""
    response = as_developer.post(NEW, {**NEW_AGENT, "allowed_scopes": ["email:send", "payments:charge"], "preview": ""})
    page = shown(response)
    assert re.search(r'<fieldset class="slip" disabled id="preview"', response.content.decode())
    assert "<form" not in page
    assert 'type="submit"' not in page
    assert "decision" not in re.findall(r'name="([^"]+)"', page)


def test_a_new_agent_takes_four_fields_on_one_page(as_developer: Client) -> None:
    form = as_developer.get(NEW).content.decode().partition('class="studio__side"')[0].partition('class="studio"')[2]
    names = set(re.findall(r'<(?:input|textarea|select)[^>]* name="([^"]+)"', form)) - {"csrfmiddlewaretoken", "find"}
    assert names == {"name", "description", "redirect_uris", "allowed_scopes"}


def test_an_empty_form_has_a_preview_too(as_developer: Client) -> None:
    page = shown(as_developer.get(NEW))
    assert "Your agent" in page
    assert "Choose scopes" in page


def test_the_settings_show_the_screen_as_it_is_now(as_developer: Client, agent: Agent) -> None:
    page = shown(as_developer.get(f"/developer/agents/{agent.id}/edit"))
    assert "SmartMail" in page
    assert len(re.findall("<li>.*?</li>", page.partition('class="asks"')[2].partition("</ul>")[0])) == 5


def picked(response: Any) -> dict[str, list[str]]:
    """Return the scopes that are shown, by service."""
    services = response.context["form"].services
    return {one.name: [pick.scope.id for pick in one.picks if pick.is_found] for one in services if one.is_found}


@cases("words", ["calendar critical", "no such thing"])
def test_the_search_hides_scopes_but_keeps_them_ticked(as_developer: Client, words: str) -> None:
    form = {"allowed_scopes": ["email:read"], "find": words, "preview": ""}
    response = as_developer.post(NEW, form)
    assert "email:read" not in str(picked(response))
    text = " ".join(response.content.decode().split())
    assert f'value="{words}"' in text
    assert 'hidden><input type="checkbox" name="allowed_scopes" value="email:read" checked>' in text
    assert shown(response).count('name="scopes"') == 1


def test_only_the_beginning_of_a_long_search_counts(as_developer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[Any] = []
    monkeypatch.setattr(
        "web.portal.agents.scope_picker._matches", lambda scope, name, words: compared.append(words) or True
    )
    text = as_developer.post(NEW, {"find": "a " * 5000, "preview": ""}).content.decode()
    assert {len(words) for words in compared} == {50}
    assert f'name="find" value="{"a " * 50}"' in text


def test_the_search_finds_services_titles_ids_and_risks(as_developer: Client) -> None:
    def found(words: str) -> dict[str, list[str]]:
        return picked(as_developer.post(NEW, {"find": words, "preview": ""}))

    assert set(found("GitHub")) == {"GitHub"}
    assert found("payments:charge") == {"Payments": ["payments:charge"]}
    assert all("payments" in one for one in found("payments critical")["Payments"])
    assert len(found("")) > 10


def test_the_organizations_own_scopes_are_offered_and_those_of_others_are_not(
    world: Any, as_developer: Client, as_rival: Client, developer: Developer
) -> None:
    world.make_resource_server(developer, "https://books.example", OWN)
    form = {**NEW_AGENT, "allowed_scopes": ["acme:books"]}
    assert "Acme Robotics" in picked(as_developer.get(NEW))
    assert as_rival.post(NEW, form).status_code == 422
    assert as_developer.post(NEW, form).status_code == 303
    assert Agent.objects.get(name=NEW_AGENT["name"]).allowed_scopes == ["acme:books"]


def test_what_is_typed_survives_an_error_and_the_preview_shows_it(as_developer: Client) -> None:
    response = as_developer.post(NEW, {**NEW_AGENT, "redirect_uris": "http://bad.example", "find": "pay"})
    assert response.status_code == 422
    text = unescape(response.content.decode())
    assert "Line 1: Must use https" in text
    assert 'name="find" value="pay"' in text
    assert "Ledgerbot" in shown(response)
    assert shown(response).count('name="scopes"') == 2
