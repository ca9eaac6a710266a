"""The developer's log with a script: the arrow keys, and an entry that opens and closes in place."""

from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from agents.models import Agent
from tests.web.developer_log import write_denied

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def tab(open_tab: Any, agent: Agent, developer: Any, ada: Any) -> Any:
    """Return the tab of the developer with the log, and mark its document as the same."""
    found = open_tab(javascript=True)
    write_denied(agent, ada, "res_" + "0" * 32)
    path = f"/developer/{developer.organization_id}/logs"
    found.open_as(developer.user.email, path)
    found.page.wait_for_url(lambda url: urlsplit(url).path == path)
    found.page.evaluate("window.isSamePage = true")
    return found


def test_an_entry_opens_beside_the_table_and_escape_closes_it(tab: Any) -> None:
    links = tab.page.locator("tbody tr .log__link")
    links.first.focus()
    tab.page.keyboard.press("ArrowDown")
    assert links.nth(1).evaluate("link => link === document.activeElement")
    tab.page.keyboard.press("ArrowUp")
    assert links.first.evaluate("link => link === document.activeElement")
    row = tab.page.locator("tbody tr").nth(1)
    link = row.locator(".log__link").get_attribute("id")
    row.locator(".log__agent").click(force=True)  # the whole row is the link, which covers it
    drawer = tab.page.get_by_role("complementary")
    drawer.get_by_role("heading", name="Proof").wait_for()
    assert "entry=log_" in tab.page.url
    assert tab.page.evaluate("document.activeElement.id") == "entry-title"
    search = tab.page.get_by_label("Search", exact=True)
    search.fill("token.verify since:2h")
    tab.page.keyboard.press("Escape")
    assert tab.page.evaluate("document.activeElement.tagName") == "BODY"
    assert search.input_value() == "token.verify since:2h"
    tab.page.keyboard.press("Escape")
    drawer.wait_for(state="detached")
    assert "entry=" not in tab.page.url
    assert tab.page.evaluate("document.activeElement.id") == link
    search.fill("token.verify since:2h")
    search.press("Enter")
    tab.page.wait_for_url(lambda url: urlsplit(url).query == "event=token.verify&from=2h")
    expect(search).to_have_value("event:token.verify")  # the page follows its address
    expect(tab.page.get_by_label("Time")).to_have_value("2h")
    assert tab.page.evaluate("window.isSamePage")
