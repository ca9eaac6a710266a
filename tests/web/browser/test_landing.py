"""The consent demo on the landing page, with and without JavaScript."""

import re

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def outcomes(tab) -> list[str]:
    return tab.page.locator(".attempt .pill").all_inner_texts()


def test_the_demo_changes_in_place_with_javascript(open_tab):
    tab = open_tab(javascript=True)
    tab.goto("/")
    tab.page.evaluate("window.isSame = true")
    tab.page.get_by_role("button", name="Allow", exact=True).click()
    tab.page.get_by_text("The permission had not been granted.").first.wait_for()
    assert tab.focused() == "next-title"
    send = tab.page.get_by_role("checkbox", name=re.compile("^Send email as you"))
    send.check()
    tab.page.get_by_role("button", name="Allow", exact=True).click()
    tab.page.get_by_text("You chose to be asked every time.").wait_for()
    assert tab.focused() == "next-title"
    assert send.is_checked()
    tab.page.get_by_role("button", name="Switch it off").click()
    tab.page.get_by_text("From now on, every check is denied.").first.wait_for()
    assert outcomes(tab) == ["Denied"] * 5
    assert tab.page.evaluate("window.isSame"), "the page was not loaded again"
