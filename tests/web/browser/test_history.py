"""A user's history without JavaScript, by mouse and by keyboard."""

import pytest

from tests.constants import PASSWORD
from tests.web.browser.pages import activity

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def content():
    return activity.make()


@pytest.fixture
def tab(open_tab, content):
    tab = open_tab()
    tab.goto("/accounts/login/?next=/activity")
    tab.sign_in(content.email, PASSWORD)
    tab.page.get_by_role("heading", name="Activity").wait_for()
    return tab


def test_filters_lead_to_a_denial_and_its_explanation(tab):
    tab.page.get_by_text("Filter", exact=True).click()
    tab.page.get_by_label("Outcome").select_option("denied")
    tab.page.get_by_label("Permission or service").fill("send email")
    tab.page.get_by_role("button", name="Show").click()
    tab.page.get_by_role("link", name="Outcome: Denied").wait_for()
    assert tab.page.locator("[data-entry]").count() == 3
    tab.page.get_by_role("link", name="Permission or service: send email").click()
    tab.page.get_by_role("link", name="Why, and what you can do").first.click()
    tab.page.get_by_role("heading", name="Why it was denied").wait_for()
    tab.page.get_by_text("Nothing was done").wait_for()
    tab.page.get_by_role("link", name="Open the connection").click()
    tab.page.wait_for_url("**/connections/cns_*")


def test_what_an_agent_does_again_and_again_opens(tab):
    group = tab.page.locator("details", has_text="42 times")
    assert not group.locator("li").first.is_visible()
    group.locator("summary").focus()
    tab.page.keyboard.press("Enter")
    assert group.locator("li").count() == 42
    group.locator("a").first.click()
    tab.page.get_by_role("heading", name="SmartMail was allowed: Read your email: https://mail.example/").wait_for()


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
