"""Reading the documentation without JavaScript and without a mouse."""

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_the_code_of_a_page_can_be_copied(open_tab, live_server):
    tab = open_tab(javascript=True)
    tab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    tab.goto("/docs/api-reference/getHealth")
    tab.page.get_by_role("button", name="Copy").click()
    tab.page.get_by_role("button", name="Copied").wait_for()
    assert tab.page.locator("#announcer").text_content() == "Copied"
    assert tab.page.locator("#announcer").get_attribute("role") == "status"
    assert "application/json" in tab.page.evaluate("navigator.clipboard.readText()")
