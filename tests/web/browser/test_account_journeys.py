"""The account in a browser: ending another browser's session, with the keyboard and with the page changed in place."""

import pytest

from tests.world import make_user

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_ending_another_browsers_session_signs_it_out(open_tab):
    ada = make_user("ada@example.com", "Ada")
    other, tab = open_tab(), open_tab(javascript=True)
    for each in (other, tab):
        each.open_as(ada.email, "/account/sessions")
        each.page.get_by_role("heading", name="Sessions", exact=True).wait_for()
    tab.page.get_by_role("button", name="End Chrome on Linux").focus()
    tab.page.keyboard.press("Enter")
    tab.page.locator("main").get_by_text("The session has ended").wait_for()
    assert tab.page.get_by_role("button", name="End all other sessions").count() == 0
    other.goto("/connections")
    other.page.get_by_role("button", name="Sign in", exact=True).wait_for()
