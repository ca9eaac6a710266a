"""The main tasks of users and developers without JavaScript, by mouse and by keyboard."""

import re
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.world import grant_to, hand_over, let_delegate, make_agent

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def request_of_agent(world, developer, callback):
    """Return a function that requests consent for a verified developer's agent on another origin."""
    developer.organization.is_verified = True
    developer.organization.save()
    agent = world.make_agent(developer, redirect_uris=["http://127.0.0.1/callback"])

    def ask(**fields):
        return world.ask(agent, redirect_uri=callback, state="xyz", **fields)

    return ask


def answer_at(tab, callback) -> dict[str, list[str]]:
    tab.page.wait_for_url(f"{callback}?**")
    return parse_qs(urlsplit(tab.page.url).query)


def press_until(tab, key: str, wanted: str) -> None:
    """Press `key` until `wanted` has the focus."""
    for _ in range(60):
        tab.page.keyboard.press(key)
        if tab.focused() == wanted:
            return
    raise AssertionError(f"{wanted} cannot be reached by {key}")


def test_consent_by_mouse_from_sign_in_to_the_agent(open_tab, world, ada, request_of_agent, callback):
    consent = request_of_agent()
    tab = open_tab()
    tab.goto(f"/consent/{consent.id}")
    tab.sign_in(ada.email, world.PASSWORD)
    tab.page.get_by_role("heading", name="SmartMail asks to act for you An AI agent by Acme Robotics").wait_for()
    assert tab.page.get_by_role("checkbox", name=re.compile("^Read your email")).is_checked()
    assert not tab.page.get_by_role("checkbox", name=re.compile("^Send email as you")).is_checked()
    tab.page.locator(".scope__title", has_text="Send email as you").click()
    tab.page.get_by_role("button", name="Allow", exact=True).click()
    answer = answer_at(tab, callback)
    assert answer["code"]
    assert answer["state"] == ["xyz"]
    consent.refresh_from_db()
    assert consent.granted_scopes == ["email:read", "email:send"]


def test_allowing_nothing_moves_the_focus_to_the_error(open_tab, world, ada, request_of_agent):
    tab = open_tab()
    tab.open_as(ada.email, f"/consent/{request_of_agent().id}")
    tab.page.get_by_role("checkbox", name=re.compile("^Read your email")).uncheck()
    tab.page.get_by_role("button", name="Allow", exact=True).click()
    tab.page.get_by_role("heading", name="Nothing is ticked").wait_for()
    assert tab.focused() == "errors"
    tab.page.keyboard.press("Tab")
    tab.page.keyboard.press("Enter")
    assert tab.focused() == "scopes"


def test_not_you_leads_to_sign_in_and_back_to_the_request(open_tab, world, ada, bob, request_of_agent):
    path = f"/consent/{request_of_agent().id}"
    tab = open_tab()
    tab.goto(path)
    tab.sign_in(bob.email, world.PASSWORD)
    tab.page.get_by_role("button", name="Not you?").click()
    tab.sign_in(ada.email, world.PASSWORD)
    assert urlsplit(tab.page.url).path == path
    assert tab.page.locator(".signed-in", has_text=ada.email).is_visible()


def test_a_permission_is_tightened_on_the_page_of_its_connection(open_tab, ada, granted):
    tab = open_tab(javascript=True)
    page = tab.page
    tab.open_as(ada.email, f"/connections/{granted.id}")
    page.get_by_text("Change: Send email as you").click()
    form = page.locator("form", has=page.locator("[id='save-email:send']"))
    form.get_by_label("Number of times").fill("0")
    form.get_by_role("button", name="Save").click()
    page.get_by_role("heading", name="Nothing was changed").wait_for()
    page.get_by_role("link", name="Enter a whole number").click()
    assert tab.focused() == "limit-number-email:send"
    form.get_by_label("Number of times").fill("20")
    form.get_by_label("Ask me every time").check()
    form.get_by_role("button", name="Save").click()
    page.get_by_text("Saved. It applies from the next request").first.wait_for()
    page.get_by_text("At most 20 times per day").wait_for()
    assert tab.focused() == "save-email:send"
    granted.refresh_from_db()
    assert granted.terms["modes"] == {"email:send": "ask"}


def test_what_was_handed_on_is_cut_off_by_keyboard(open_tab, ada, granted):
    """Without JavaScript."""
    helper = make_agent(granted.agent.organization.developers.get(), name="Summarizer")
    token = grant_to(granted.agent, ada, ["email:read"])
    let_delegate(token)
    delegation, _issued = hand_over(token, helper, ["email:read"])
    tab = open_tab()
    tab.open_as(ada.email, f"/connections/{delegation.consent_id}")
    tab.page.get_by_role("link", name="Cut off Summarizer").focus()
    tab.page.keyboard.press("Enter")
    tab.page.get_by_role("heading", name="Cut off Summarizer?").wait_for()
    tab.page.get_by_role("button", name="Cut off").focus()
    tab.page.keyboard.press("Enter")
    tab.page.get_by_text("Cut off. Summarizer can no longer do for you").wait_for()
    delegation.refresh_from_db()
    assert delegation.ended_at is not None


def test_all_agents_are_paused_without_a_reload(open_tab, world, ada, granted):
    tab = open_tab(javascript=True)
    tab.open_as(ada.email, "/connections")
    tab.page.get_by_role("heading", name="SmartMail").wait_for()
    tab.page.evaluate("window.isSamePage = true")
    for act in ("Pause", "Resume"):
        tab.page.get_by_role("button", name=f"{act} all agents").click()
        tab.page.get_by_role("button", name=f"{'Resume' if act == 'Pause' else 'Pause'} all agents").wait_for()
    assert tab.page.evaluate("window.isSamePage")
    assert tab.focused() == "main"
    assert not tab.page.locator("#announcer.toast").count()


def test_from_sign_up_to_an_agent_with_a_policy(open_tab, world):
    tab = open_tab()
    page = tab.page
    tab.goto("/accounts/signup/")
    page.get_by_label("Email").fill("new@example.com")
    page.get_by_label("Password").fill(world.PASSWORD)
    page.get_by_role("button", name="Create account").click()
    page.get_by_text("No agent is connected yet").wait_for()
    page.get_by_role("link", name="Developer", exact=True).click()
    page.get_by_label("Your name, or your organization's").fill("New Robotics")
    page.get_by_role("button", name="Become a developer").click()
    assert page.locator(".secret__value").inner_text().startswith("ag_")
    page.get_by_role("link", name="Agents").click()
    page.get_by_role("link", name="New agent").click()
    page.get_by_role("textbox", name="Name", exact=True).fill("Ledgerbot")
    page.get_by_label("Redirect URIs, one per line").fill("https://ledger.example/cb")
    page.locator("#picker summary", has_text="Email").click()
    page.get_by_label("Read your email").check()
    page.get_by_role("button", name="Register agent").click()
    assert page.locator(".secret__value").inner_text().startswith("ags_")
    page.get_by_role("link", name="Policies").click()
    page.get_by_role("link", name="New policy").click()
    page.get_by_role("button", name="Rate limit").click()
    page.get_by_label("Name").fill("Slowly")
    page.get_by_label("Maximum requests").fill("10")
    page.get_by_label("Number").fill("1")
    page.get_by_role("button", name="Blocked actions").click()
    page.get_by_label("Actions, one per line").fill("payments:*")
    # Enter must save the form, although its first visible button removes a rule.
    page.get_by_label("Name").press("Enter")
    page.get_by_text("At most 10 times per day").wait_for()
    assert re.search(r"Never allowed.*payments:\*", page.get_by_role("main").inner_text())


def test_a_request_can_be_allowed_only_in_the_browser_that_started_it(open_tab, world, ada, developer, callback):
    from tests.oauth.client import make_client

    client = make_client(developer, redirect_uris=["http://127.0.0.1/callback"])
    tab, other = open_tab(), open_tab()
    query = urlencode(client.parameters(redirect_uri=callback))
    tab.open_as(ada.email, f"/oauth/authorize?{query}")
    heading = tab.page.get_by_role("heading", name="SmartMail asks to act for you An AI agent by Acme Robotics")
    heading.wait_for()
    other.open_as(ada.email, "/connections")
    other.page.get_by_text("No agent is connected yet").wait_for()
    assert other.goto(urlsplit(tab.page.url).path).status == 403
    other.page.get_by_role("heading", name="This request was started in another browser").wait_for()
    tab.page.get_by_role("checkbox", name=re.compile("^Read your email")).check()
    tab.page.get_by_role("button", name="Allow", exact=True).click()
    assert answer_at(tab, callback)["code"]
