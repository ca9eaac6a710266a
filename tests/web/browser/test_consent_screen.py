"""The consent screen in a browser: what its first screen shows, by keyboard alone, and what a script adds."""

import re

import pytest

from consent.models import Consent
from core.actor import SYSTEM
from developers.services import verify_organization
from resources.catalogue import catalogue
from resources.custom_scopes import ScopeDefinition
from tests.web.browser.pages.samples import LONG
from tests.web.browser.test_journeys import answer_at, press_until

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

REFUSE = "Don\N{RIGHT SINGLE QUOTATION MARK}t allow"
LOOK = """e => {
    const style = getComputedStyle(e);
    return [style.color, style.backgroundColor, style.borderColor, style.fontWeight, style.fontSize].join();
}"""
PAY = "payments:charge"
WANTED = ["email:read", "email:send", "calendar:write", PAY]
# Whether any option is wider than the select.
CLIPPED = """selector => {
    const select = document.querySelector(selector), copy = select.cloneNode(true);
    copy.style.inlineSize = "max-content";
    copy.style.maxInlineSize = "none";
    select.after(copy);
    const isClipped = copy.offsetWidth > select.offsetWidth;
    copy.remove();
    return isClipped;
}"""

# Whether the bar cuts off what it says, with these boxes ticked: it names as much as fits, in whole lines, and no more.
CUT = """isAll => {
    document.querySelectorAll("[name=scopes]").forEach(box => { box.checked ||= isAll; });
    const bar = document.querySelector(".bar .fit");
    if (!bar) return false;
    const [all, less] = document.querySelectorAll(".bar .allows");
    const shown = all.scrollHeight <= bar.clientHeight + 4 ? all : less;
    const end = bar.getBoundingClientRect().bottom;
    const lines = [...shown.children].flatMap(item => [...item.getClientRects()]);
    const whole = lines.filter(line => line.bottom <= end + 2);
    const isSeen = line => document.elementFromPoint(line.x + 2, line.y + line.height / 2).closest("ul") === shown;
    return whole.length < 2 || !whole.every(isSeen) || lines.some(line => line.bottom > end + 2 && line.top < end - 2);
}"""


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


def test_the_first_screen_has_the_first_permission_and_both_buttons(open_tab, world, ada, request_of_agent):
    tab = open_tab()
    for name, consent in requests(world, ada, request_of_agent).items():
        tab.open_as(ada.email, f"/consent/{consent.id}")
        for width in (320, 390, 1280):
            tab.page.set_viewport_size({"width": width, "height": 720})
            box, title = (tab.page.locator(of).first for of in ("[name=scopes]", ".scope__title"))
            for locator in (tab.page.get_by_role("heading", level=1), tab.page.locator(".asks").first, box, title):
                assert tab.shows(locator), (name, width)
            bar = tab.page.locator(".bar").bounding_box()
            assert bottom(title) <= bar["y"], f"{name}: the bar covers the first permission at {width} px"
            assert not tab.page.evaluate(CLIPPED, ".inline-select"), f"{name}: a date is cut off at {width} px"
            assert not any(tab.page.evaluate(CUT, each) for each in (False, True)), (
                f"{name}: the bar cuts at {width} px"
            )
    allow, refuse = (tab.page.get_by_role("button", name=name, exact=True) for name in ("Allow", REFUSE))
    one, other = allow.bounding_box(), refuse.bounding_box()
    assert (one["width"], one["height"], one["y"]) == (other["width"], other["height"], other["y"])
    assert one["height"] >= 44
    assert allow.evaluate(LOOK) == refuse.evaluate(LOOK)


def requests(world, ada, request_of_agent) -> dict[str, Consent]:
    """Return requests whose texts above the permissions differ most, by name."""
    books = world.make_developer("books@example.com", "Books and Company Limited of London")
    read = ScopeDefinition("books:read", "low", f"Read {LONG[:60]}", "See", "sell")
    world.make_resource_server(books, "https://books.example", read)
    local = {"redirect_uris": ["http://localhost/cb"]}
    stranger = world.make_agent(books, **local)
    wordy = world.make_agent(books, name=LONG[:60], description="w" * 200, allowed_scopes=["books:read", PAY], **local)
    at_home = {"redirect_uri": "http://localhost:4444/cb", "reason": "w" * 200}
    again = world.allow(request_of_agent(scopes=["email:read", PAY]), ada).agent
    return {
        "verified": request_of_agent(scopes=WANTED, reason="x" * 200),
        "unverified": world.ask(stranger, scopes=["email:read", "email:send"], **at_home),
        "long texts": world.ask(wordy, scopes=["books:read", PAY], **at_home),
        "again": world.ask(again, scopes=["email:read", "email:send"], redirect_uri=again.redirect_uri_list[0]),
        "long list": request_of_agent(scopes=list(catalogue())),
    }


def bottom(locator) -> float:
    box = locator.bounding_box()
    return box["y"] + box["height"]


def test_by_keyboard_alone_and_nothing_is_hidden_by_the_bar(open_request, callback):
    tab, consent = open_request(width=320)
    press_until(tab, "Tab", "lifetime")
    tab.page.keyboard.press("ArrowUp")
    press_until(tab, "Tab", "scopes")
    press_until(tab, "Tab", "scopes")
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
    tab.page.get_by_role("textbox", name="Recipients").fill("acme.com")
    tab.page.get_by_role("textbox", name="Recipients").press("Enter")
    consent.refresh_from_db()
    assert consent.status == "pending", "Enter in a field decides nothing"
    tab.page.get_by_role("button", name="Allow", exact=True).click()
    assert answer_at(tab, callback)["code"]
    consent.refresh_from_db()
    assert consent.terms["limits"]["email:send"][0]["type"] == "context_match"


def test_the_bar_says_what_is_ticked_without_a_script(open_request):
    tab, _ = open_request()
    allows = tab.page.locator(".allows").first
    assert allows.inner_text().split("\n") == ["“Allow” lets it: Read your email Manage your events"]
    tab.page.get_by_role("checkbox", name=re.compile("^Send email as you")).check()
    assert "Send email as you, asking you each time" in allows.inner_text()
    tab.page.get_by_label("Allow without asking").check()
    assert "Send email as you Read" in allows.inner_text()
    assert "asking you each time" not in allows.inner_text()
    while tab.page.locator("[name=scopes]:checked").count():
        tab.page.locator("[name=scopes]:checked").first.uncheck()
    assert allows.inner_text() == "“Allow” lets it: nothing yet"


def test_a_script_counts_what_is_ticked_in_a_long_list(open_request):
    tab, _ = open_request(scopes=list(catalogue()), javascript=True)
    tally = tab.page.locator("[data-of=decide]")
    assert tally.text_content() == "Ticked: 0 of 44"
    tab.page.get_by_role("checkbox", name=re.compile("^Merge pull requests")).check()
    assert tally.text_content() == "Ticked: 1 of 44"


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
    tab.page.get_by_role("textbox", name="Recipients").fill("acme.com")
    tab.page.get_by_role("link", name="Go to the list").click()
    tab.page.wait_for_url("**#scopes")
    tab.page.wait_for_timeout(300)  # a reload would have begun
    assert tab.page.get_by_role("textbox", name="Recipients").input_value() == "acme.com"
