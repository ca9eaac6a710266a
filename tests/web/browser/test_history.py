"""A user's history without JavaScript, by keyboard."""

import pytest

from tests.web.browser.pages import activity

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def content():
    return activity.make()


@pytest.fixture
def tab(open_tab, content):
    tab = open_tab()
    tab.open_as(content.email, "/activity")
    tab.page.get_by_role("heading", name="Activity").wait_for()
    return tab


def test_what_an_agent_does_again_and_again_opens(tab):
    group = tab.page.locator("details", has_text="42 times")
    assert not group.locator("li").first.is_visible()
    group.locator("summary").focus()
    tab.page.keyboard.press("Enter")
    assert group.locator("li").count() == 42
    group.locator("a").first.click()
    tab.page.get_by_role("heading", name="Read your email: https://mail.example/").wait_for()


def test_an_entry_is_reported_by_keyboard(tab, content):
    tab.goto(f"/activity/{content.ids['written']}")
    tab.page.get_by_role("link", name="This was not me").focus()
    tab.page.keyboard.press("Enter")
    tab.page.get_by_label("Pause this agent").focus()
    tab.page.keyboard.press("ArrowDown")
    assert tab.page.get_by_label("Revoke its access").is_checked()
    tab.page.get_by_label("Sign me out everywhere else").focus()
    tab.page.keyboard.press("Space")
    tab.page.get_by_role("button", name="Stop and report").focus()
    tab.page.keyboard.press("Enter")
    tab.page.get_by_role("heading", name="You reported that this was not you").wait_for()
    tab.page.get_by_role("link", name="Change your password").wait_for()
