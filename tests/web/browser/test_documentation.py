"""Reading the documentation without JavaScript and without a mouse."""

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_a_reader_searches_and_opens_a_section_by_keyboard(open_tab):
    tab = open_tab(width=320)
    tab.goto("/docs")
    tab.page.get_by_label("Search the documentation").fill("rate_limit")
    tab.page.keyboard.press("Enter")
    tab.page.get_by_role("heading", name="results for rate_limit").wait_for()
    tab.page.get_by_role("link", name="rate_limit", exact=True).first.focus()
    tab.page.keyboard.press("Enter")
    tab.page.get_by_role("heading", name="rate_limit", exact=True).wait_for()
    assert tab.page.url.endswith("/docs/policies#rate_limit")
    tab.page.get_by_text("On this page").first.focus()
    tab.page.keyboard.press("Enter")
    tab.page.get_by_role("link", name="spend_limit", exact=True).click()
    assert tab.page.url.endswith("#spend_limit")


def test_the_code_of_a_page_can_be_copied(open_tab, live_server):
    tab = open_tab(javascript=True)
    tab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    tab.goto("/docs/api-reference/getHealth")
    tab.page.get_by_role("button", name="Copy").click()
    tab.page.get_by_role("button", name="Copied").wait_for()
    assert "application/json" in tab.page.evaluate("navigator.clipboard.readText()")
