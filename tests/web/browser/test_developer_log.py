"""The developer's log with a script: new rows while it is live, and an entry that opens and closes in place."""

from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pytest

from agents.models import Agent
from tests.constants import PASSWORD
from tests.web.developer_log import write_denied

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def tab(open_tab: Any, agent: Agent, developer: Any) -> Any:
    """Return the tab of the developer with the live log, and mark its document as the same."""
    found = open_tab(javascript=True)
    found.goto("/accounts/login/?next=/developer/logs%3Flive=1")
    found.sign_in(developer.user.email, PASSWORD)
    found.page.wait_for_url(lambda url: urlsplit(url).path == "/developer/logs")
    found.page.evaluate("window.isSamePage = true")
    return found


def test_new_rows_arrive_until_the_log_is_paused(tab: Any, agent: Agent, ada: Any) -> None:
    write = partial(write_denied, agent, ada, "res_" + "0" * 32)
    first = write()
    tab.page.locator(f"#{first}.log__row--new").wait_for()
    assert tab.page.locator("#announcer").inner_text() == "1 new entry"
    tab.page.route("**/developer/logs/new?*", lambda route: route.abort())
    tab.page.get_by_text("New entries cannot be loaded").wait_for()
    tab.page.get_by_role("link", name="Pause").click()
    tab.page.get_by_role("link", name="Live", exact=True).wait_for()
    asked: list[str] = []
    tab.page.on("request", lambda request: asked.append(request.url))
    tab.page.wait_for_timeout(3500)
    assert asked == []
    assert tab.page.evaluate("window.isSamePage")


def test_new_rows_wait_while_a_row_is_read(tab: Any, agent: Agent, ada: Any) -> None:
    first = tab.page.locator("tbody tr").first.get_attribute("id")
    tab.page.locator("tbody tr .log__link").first.focus()
    tab.page.keyboard.press("ArrowDown")
    assert tab.page.locator("tbody tr .log__link").nth(1).evaluate("link => link === document.activeElement")
    tab.page.keyboard.press("ArrowUp")
    newer = [write_denied(agent, ada, "res_" + "0" * 32) for _ in range(2)]
    more = tab.page.get_by_role("button", name="2 new entries")
    more.wait_for()
    assert tab.page.evaluate("document.activeElement.id") == f"open-{first}"
    assert tab.page.locator(f"#{newer[0]}").count() == 0
    assert tab.page.locator("#announcer").inner_text() == "2 new entries"
    more.click()
    assert tab.page.locator(".log__row--new").count() == 2
    assert tab.page.evaluate("document.activeElement.id") == f"open-{newer[1]}"
    assert more.count() == 0


def test_an_entry_opens_beside_the_table_and_escape_closes_it(tab: Any) -> None:
    row = tab.page.locator("tbody tr").nth(1)
    link = row.locator(".log__link").get_attribute("id")
    row.locator(".log__agent").click(force=True)  # the whole row is the link, which covers it
    drawer = tab.page.get_by_role("complementary")
    drawer.get_by_role("heading", name="Proof").wait_for()
    assert "entry=log_" in tab.page.url
    assert tab.page.evaluate("document.activeElement.id") == "entry-title"
    tab.page.get_by_text("Filter", exact=True).click()
    tab.page.get_by_label("User ID").fill("usr_1")
    tab.page.keyboard.press("Escape")
    assert tab.page.evaluate("document.activeElement.tagName") == "BODY"
    assert tab.page.get_by_label("User ID").input_value() == "usr_1"
    tab.page.keyboard.press("Escape")
    drawer.wait_for(state="detached")
    assert "entry=" not in tab.page.url
    assert tab.page.evaluate("document.activeElement.id") == link
    assert tab.page.evaluate("window.isSamePage")
