"""Printed pages show the choice that was made, and the risk. Browsers print no backgrounds unless they are told to."""

import pytest

from core.actor import SYSTEM
from developers.services import verify_organization
from resources.catalogue import catalogue

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

ASK, ALLOW = "Ask me every time", "Allow without asking"
# The choices that are printed, and those of them that are paler than the other text or need a background.
CHOICES = """() => [...document.querySelectorAll(".segmented label")].filter(e => e.checkVisibility({
    contentVisibilityAuto: true, opacityProperty: true, visibilityProperty: true})).map(e => e.textContent.trim())"""
FAINT = """() => [...document.querySelectorAll(".segmented label:has(:checked)")].filter(e => {
    const style = getComputedStyle(e);
    return style.color !== getComputedStyle(document.body).color || style.backgroundColor !== "rgba(0, 0, 0, 0)";
}).map(e => e.textContent.trim())"""
GAUGES = """() => [...document.querySelectorAll(".risk")].map(e => getComputedStyle(e, "::before").printColorAdjust)"""


@pytest.fixture
def agent(world, developer):
    verify_organization(actor=SYSTEM, organization=developer.organization, is_verified=True, reason="papers seen")
    return world.make_agent(developer, allowed_scopes=list(catalogue()))


@pytest.fixture
def open_page(open_tab, world, ada):
    """Return a function that opens a page in a tab where Ada is signed in."""

    def open_one(path):
        tab = open_tab()
        tab.open_as(ada.email, path)
        tab.page.wait_for_url(f"**{path}")
        return tab

    return open_one


def assert_prints(tab, *choices):
    for scheme in ("light", "dark"):
        tab.page.emulate_media(media="print", color_scheme=scheme)
        assert tab.page.evaluate(CHOICES) == list(choices)
        assert tab.page.evaluate(FAINT) == []
        gauges = tab.page.evaluate(GAUGES)
        assert gauges
        assert set(gauges) == {"exact"}
    tab.page.emulate_media(media="screen")


def test_the_consent_screen_prints_the_chosen_modes(open_page, world, agent):
    consent = world.ask(agent, scopes=["email:read", "email:send", "files:write"])
    tab = open_page(f"/consent/{consent.id}")
    assert_prints(tab, ASK, ASK)
    tab.page.locator('[name="mode-email:send"][value="allow"]').check()
    assert_prints(tab, ALLOW, ASK)
    assert tab.page.evaluate(CHOICES) == [ASK, ALLOW] * 2, "the screen has both"


def test_a_collapsed_list_is_printed_with_its_choices(open_page, world, ada, agent):
    scopes = [scope for scope in catalogue() if not catalogue()[scope].always_asks][:20]
    allowed = world.allow(world.ask(agent, scopes=scopes), ada)
    tab = open_page(f"/consent/{world.ask(agent, scopes=['email:read']).id}")
    last = tab.page.locator('[name="scopes"]').last
    assert not last.is_visible()
    tab.page.emulate_media(media="print")
    assert last.is_visible()
    tab.goto(f"/connections/{allowed.id}")
    tab.page.emulate_media(media="print")
    assert tab.page.get_by_text("Allowed without asking").last.is_visible()


def test_paper_is_light_in_the_dark_theme_and_has_no_navigation(open_page, ada, world, agent):
    world.allow(world.ask(agent, scopes=["email:read"]), ada)
    tab = open_page("/activity")
    tab.page.locator(".preferences [value=dark]").first.click()
    tab.page.wait_for_selector("html.theme-dark")
    tab.page.emulate_media(media="print")
    assert tab.page.evaluate("getComputedStyle(document.querySelector('.ledger__what')).color") == "rgb(23, 24, 28)"
    for hidden in ("nav", "footer", ".sift", ".take", ".tabs"):
        assert not tab.page.locator(hidden).first.is_visible(), hidden
    assert tab.page.get_by_text("to act for you").is_visible()
    assert f"{ada.email} · printed" in tab.page.locator(".printed").inner_text()
