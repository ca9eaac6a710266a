"""The consent screen in a browser: what its first screen shows, by keyboard alone, and what a script adds."""

import re

import pytest

from core.actor import SYSTEM
from developers.services import verify_organization
from resources.catalogue import catalogue
from tests.web.browser.test_journeys import answer_at, press_until

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

REFUSE = "Don\N{RIGHT SINGLE QUOTATION MARK}t allow"
LOOK = """e => {
    const style = getComputedStyle(e);
    return [style.color, style.backgroundColor, style.borderColor, style.fontWeight, style.fontSize].join();
}"""
WANTED = ["email:read", "email:send", "calendar:write", "payments:charge"]


@pytest.fixture
def request_of_agent(world, developer, callback):
    """Return a function that requests consent for a verified developer's agent, which may ask for everything."""
    verify_organization(actor=SYSTEM, organization=developer.organization, is_verified=True, reason="papers seen")
    agent = world.make_agent(developer, redirect_uris=["http://127.0.0.1/callback"], allowed_scopes=list(catalogue()))
    return lambda **fields: world.ask(agent, redirect_uri=callback, **fields)


@pytest.fixture
def open_request(open_tab, world, ada, request_of_agent):
    """Return a function that opens a request for consent in a tab where Ada is signed in."""

    def open_one(scopes=WANTED, reason="x" * 200, **options):
        consent = request_of_agent(scopes=scopes, reason=reason)
        tab = open_tab(**options)
        tab.open_as(ada.email, f"/consent/{consent.id}")
        return tab, consent

    return open_one


def test_the_first_screen_says_who_asks_for_what_and_has_both_buttons(open_request):
    tab, _ = open_request(scopes=list(catalogue()))
    allow, refuse = (tab.page.get_by_role("button", name=name, exact=True) for name in ("Allow", REFUSE))
    for width, height in ((1280, 800), (390, 844)):
        tab.page.set_viewport_size({"width": width, "height": height})
        for locator in (tab.page.get_by_role("heading", level=1), tab.page.locator(".consent__sum"), allow, refuse):
            assert tab.shows(locator)
        one, other = allow.bounding_box(), refuse.bounding_box()
        assert (one["width"], one["height"], one["y"]) == (other["width"], other["height"], other["y"])
        assert one["height"] >= 44
        assert allow.evaluate(LOOK) == refuse.evaluate(LOOK)


def test_by_keyboard_alone_and_nothing_is_hidden_by_the_bar(open_request, callback):
    tab, consent = open_request(width=320)
    press_until(tab, "Tab", "lifetime")
    tab.page.keyboard.press("ArrowUp")
    press_until(tab, "Tab", "scopes")
    tab.page.keyboard.press("Tab")
    tab.page.keyboard.press("Space")
    press_until(tab, "Tab", "mode-email:send")
    box, bar = (tab.page.locator(name).bounding_box() for name in ("label:has(:focus)", ".bar"))
    assert box["y"] + box["height"] <= bar["y"], "the bar hides what has the focus"
    tab.page.keyboard.press("ArrowRight")
    press_until(tab, "Tab", "decision")
    tab.page.keyboard.press("Enter")
    assert answer_at(tab, callback)["code"]
    consent.refresh_from_db()
    assert consent.granted_scopes == ["email:read", "email:send", "calendar:write"]
    assert "modes" not in consent.terms, "the preselected mode was to ask"
    assert (consent.expires_at - consent.decided_at).days == 1


def test_a_limit_is_set_without_a_script(open_request, callback):
    tab, consent = open_request(scopes=["email:send"])
    tab.page.get_by_role("checkbox", name=re.compile("^Send email as you")).check()
    tab.page.get_by_text("Set a limit").click()
    tab.page.get_by_label("Recipients").fill("acme.com")
    tab.page.get_by_label("Recipients").press("Enter")
    consent.refresh_from_db()
    assert consent.status == "pending", "Enter in a field decides nothing"
    tab.page.get_by_role("button", name="Allow", exact=True).click()
    assert answer_at(tab, callback)["code"]
    consent.refresh_from_db()
    assert consent.terms["limits"]["email:send"][0]["type"] == "context_match"


def test_a_script_counts_what_is_ticked(open_request):
    tab, _ = open_request(javascript=True)
    tally = tab.page.locator(".bar__tally")
    assert tally.text_content() == "Ticked: 2 of 4"
    tab.page.get_by_role("checkbox", name=re.compile("^Send email as you")).check()
    assert tally.text_content() == "Ticked: 3 of 4"


def test_what_is_unticked_on_a_second_request_is_said_to_go(open_request, world, ada, request_of_agent):
    world.allow(request_of_agent(scopes=["email:read"]), ada)
    tab, _ = open_request(scopes=["email:send"])
    gone = tab.page.get_by_text("Will be taken away")
    assert not gone.is_visible()
    tab.page.get_by_role("checkbox", name=re.compile("^Read your email")).uncheck()
    assert gone.is_visible()


def test_a_link_within_the_page_keeps_what_the_user_has_typed(open_request):
    tab, _ = open_request(scopes=["email:send"], javascript=True)
    tab.page.get_by_role("button", name="Allow", exact=True).click()
    tab.page.get_by_role("heading", name="Nothing is ticked").wait_for()
    tab.page.get_by_text("Set a limit").click()
    tab.page.get_by_label("Recipients").fill("acme.com")
    tab.page.get_by_role("link", name="Go to the list").click()
    tab.page.wait_for_url("**#scopes")
    tab.page.wait_for_timeout(300)  # a reload would have begun
    assert tab.page.get_by_label("Recipients").input_value() == "acme.com"
