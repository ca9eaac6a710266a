"""The form of an agent with a script: the preview and the search follow what the developer types."""

import re

import pytest

from agents.models import Agent
from tests.world import make_resource_server

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_the_preview_and_the_search_follow_what_is_typed(open_tab, developer):
    tab = open_tab(javascript=True)
    tab.open_as(developer.user.email, "/developer/agents/new")
    page, preview = tab.page, tab.page.locator("#preview")

    page.get_by_label("Name", exact=True).fill("Ledgerbot")
    preview.get_by_text("Ledgerbot").first.wait_for()
    assert tab.focused() == "id_name"

    page.get_by_label("Search the scopes").fill("charge")
    assert page.locator("#picker label:visible").count() == 1
    assert not page.locator("#picker summary .risk").count()
    page.locator("#picker label:visible input").check()
    preview.get_by_text("Take payments from you").first.wait_for()
    assert page.locator("#picker summary:visible").inner_text().splitlines()[1:] == ["1 of 2", "Critical risk"]
    page.get_by_label("Search the scopes").fill("nothing at all")
    page.get_by_text("No scope matches.").wait_for()
    page.get_by_label("Search the scopes").fill("")
    assert page.locator("#picker input:checked:visible").count() == 1


def test_what_was_typed_before_the_scripts_ran_counts(open_tab, developer):
    tab, held = open_tab(javascript=True), []
    tab.open_as(developer.user.email, "/developer/agents")
    tab.page.get_by_role("heading", name="Agents").wait_for()
    tab.page.route(re.compile(r"/(preview|picker)[^/]*\.js"), lambda route: held.append(route))
    with tab.page.expect_request("**/preview*.js"), tab.page.expect_request("**/picker*.js"):
        tab.page.goto(f"{tab.base_url}/developer/agents/new", wait_until="commit")
    tab.page.get_by_label("Name", exact=True).fill("Ledgerbot")
    tab.page.get_by_label("Search the scopes").fill("charge")
    for route in held:
        route.continue_()
    tab.page.locator("#picker label:visible", has_text="payments:charge").wait_for()
    tab.page.locator("#preview").get_by_text("Ledgerbot").first.wait_for()


def test_the_scopes_of_a_resource_server_are_searched_without_sending_the_form(open_tab, developer):
    server = make_resource_server(developer, "https://mail.example").server
    tab = open_tab(javascript=True)
    tab.open_as(developer.user.email, f"/developer/resource-servers/{server.id}/edit")
    search, labels = tab.page.get_by_label("Search the scopes"), tab.page.locator("#picker label:visible")
    search.wait_for()
    tab.page.wait_for_load_state()  # with its scripts
    search.fill("charge")
    search.press("Enter")
    assert labels.count() == 1
    labels.locator("input").check()
    assert tab.page.locator("#picker summary:visible").inner_text().endswith("1 of 2")
    tab.page.get_by_role("button", name="Save").click()
    tab.page.get_by_text("Saved.").wait_for()
    server.refresh_from_db()
    assert "payments:charge" in server.scopes


FILLED = {"Name": "Ledgerbot", "Redirect URIs, one per line": "https://books.example/callback"}


def fill(tab, developer):
    tab.open_as(developer.user.email, "/developer/agents/new")
    for label, text in FILLED.items():
        tab.page.get_by_label(label, exact=True).fill(text)
    tab.page.locator("#picker summary").first.click()
    tab.page.locator("#picker label:visible input").first.check()


def test_enter_saves_and_the_preview_takes_the_focus(open_tab, developer):
    tab = open_tab(javascript=True, width=320)
    fill(tab, developer)
    tab.page.get_by_role("button", name="Preview", exact=True).click()
    tab.page.locator("#preview-title:focus").wait_for()
    assert tab.shows(tab.page.get_by_role("heading", name="What your users see"))
    tab.page.get_by_label("Name", exact=True).press("Enter")
    tab.page.get_by_role("heading", name="Ledgerbot", exact=True).wait_for()
    assert Agent.objects.get().name == "Ledgerbot"


def test_without_a_script_the_preview_saves_nothing(open_tab, developer):
    tab = open_tab()
    fill(tab, developer)
    uris = tab.page.get_by_label("Redirect URIs, one per line")
    uris.fill("")
    tab.page.get_by_role("button", name="Preview", exact=True).click()
    assert tab.page.url.endswith("#preview-title")
    uris.fill(FILLED["Redirect URIs, one per line"])
    tab.page.get_by_label("Search the scopes").fill("charge")
    tab.page.get_by_label("Search the scopes").press("Enter")
    assert tab.page.locator("#picker label:visible").count() == 1
    assert not Agent.objects.exists()
    tab.page.get_by_role("button", name="Register agent").click()
    assert Agent.objects.get().name == "Ledgerbot"
