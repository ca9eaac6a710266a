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
    tab.page.locator(f"#open-{first}").focus()
    second = write()
    tab.page.locator(f"#{second}").wait_for()
    assert tab.page.evaluate("document.activeElement.id") == f"open-{first}"
    tab.page.get_by_role("link", name="Pause").click()
    tab.page.get_by_role("link", name="Live", exact=True).wait_for()
    asked: list[str] = []
    tab.page.on("request", lambda request: asked.append(request.url))
    tab.page.wait_for_timeout(3500)
    assert asked == []
    assert tab.page.evaluate("window.isSamePage")


def test_an_entry_opens_beside_the_table_and_escape_closes_it(tab: Any) -> None:
    row = tab.page.locator("tbody tr").first
    row.locator(".log__agent").click(force=True)  # the whole row is the link, which covers it
    drawer = tab.page.get_by_role("complementary")
    drawer.get_by_role("heading", name="Proof").wait_for()
    assert "entry=log_" in tab.page.url
    assert tab.page.evaluate("document.activeElement.id") == "entry-title"
    tab.page.keyboard.press("Escape")
    drawer.wait_for(state="detached")
    assert "entry=" not in tab.page.url
    assert tab.page.evaluate("window.isSamePage")
