"""Every page, by turns on a phone in dark colors and on a desktop in light ones.

`checks.py` says what must hold on each; `pages/` lists them. `./dev soak` looks at each in every combination, also from
right to left.
"""

import re
from itertools import cycle

import pytest
from axe_playwright_python.base import AXE_SCRIPT

from tests.constants import PASSWORD
from tests.mails import code_in
from tests.web.browser.checks import DESKTOP, PHONE, View, look_like, problems_in_full, problems_of, show
from tests.web.browser.conftest import TABS, Tab
from tests.web.browser.pages import GROUPS
from tests.web.browser.pages.group import Page, as_page
from tests.web.browser.pages.public import PUBLIC

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def check(tab, page: Page | str, view: View = DESKTOP, ids=None) -> list[str]:
    """Open the page and return a sentence for each of its problems."""
    page = as_page(page)
    look_like(tab, view)
    show(tab, page, ids or {})
    return [f"{page}: {problem}" for problem in problems_of(tab, page, view)]


def check_in_full(tab, page: Page | str, group: str, ids=None) -> list[str]:
    """Open the page and return a sentence for each of its problems in any view."""
    page = as_page(page)
    show(tab, page, ids or {})
    return [f"{page}: {problem}" for problem in problems_in_full(tab, page, file_name(group, page))]


def file_name(group: str, page: Page) -> str:
    """Return a name for the page's screenshots, without ids."""
    return re.sub(r"[^\w=-]+", "_", f"{group} {page}").strip("_")


@pytest.fixture(scope="module")
def only_tab(chromium, live_server):
    """One tab for all groups: its browser profile has the style sheets and fonts, and axe."""
    context = chromium.new_context(java_script_enabled=True, reduced_motion="reduce")
    context.set_default_timeout(10_000)
    context.add_init_script(AXE_SCRIPT)
    yield Tab(context.new_page(), live_server.url)
    context.close()


@pytest.fixture
def tab(only_tab, request):
    request.node.stash[TABS] = [only_tab]
    yield only_tab
    only_tab.page.goto("about:blank")  # asks the server nothing any more
    only_tab.page.context.clear_cookies()
    assert only_tab.take_complaints() == []


@pytest.mark.parametrize("group", [group for group in GROUPS if group.pages], ids=str)
def test_no_page_of_a_group_has_a_problem(tab, group, settings):
    content = group.prepare(settings)
    tab.become(content.email)
    views = zip(group.pages, cycle((PHONE, DESKTOP)), strict=False)
    found = [problem for page, view in views for problem in check(tab, page, view, content.ids)]
    assert not found, "\n".join(found)


@pytest.mark.soak
@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_no_page_of_a_group_has_a_problem_in_any_view(tab, group, settings):
    content = group.prepare(settings)
    tab.become(content.email)
    found = [problem for page in group.all_pages for problem in check_in_full(tab, page, str(group), content.ids)]
    assert not found, "\n".join(found)


def test_the_pages_for_codes_have_no_problem(tab, mails, settings):
    settings.REQUIRE_VERIFIED_EMAIL = True
    tab.goto("/accounts/signup/")
    tab.page.get_by_label("Email").fill("new@example.com")
    tab.page.get_by_label("Password").fill(PASSWORD)
    tab.page.get_by_role("button", name="Create account").click()
    tab.page.get_by_role("heading", name="Check your email").wait_for()
    found = check(tab, "/accounts/signup/confirm/")
    tab.page.get_by_label("Code").fill("00000-00000")
    tab.page.get_by_role("button", name="Create account").click()
    tab.page.get_by_text("There is a problem").wait_for()
    tab.page.get_by_label("Code").fill(code_in(mails[-1]))
    tab.page.get_by_role("button", name="Create account").click()
    tab.page.get_by_text("No agent is connected yet").wait_for()
    tab.goto("/accounts/email/")
    tab.page.get_by_role("textbox", name="Email").fill("second@example.com")
    tab.page.get_by_role("button", name="Send a code").click()
    found += check(tab, "/accounts/email/confirm/")
    tab.page.get_by_label("Code").fill(code_in(mails[-1]))
    tab.page.get_by_role("button", name="Confirm address").click()
    tab.page.get_by_text("second@example.com is confirmed.").wait_for()
    found += check(tab, "/accounts/email/")
    assert not found, "\n".join(found)


def test_a_language_from_right_to_left_sets_the_direction(open_tab, db):
    tab = open_tab(width=320, locale="ar")
    for path in (*PUBLIC[:3], "/nowhere"):
        tab.goto(path)
        assert tab.page.evaluate("document.documentElement.scrollWidth") <= 320
    assert tab.page.evaluate("document.dir") == "rtl"


def test_the_gauge_can_be_read_in_forced_colors(open_tab, db):
    tab = open_tab(javascript=True, forced_colors="active")
    tab.goto("/scopes")
    gauge = "e => { const s = getComputedStyle(e, '::before'); return [s.backgroundImage, s.backgroundSize] }"
    low, critical = (tab.page.locator(f".risk--{name}").first.evaluate(gauge) for name in ("low", "critical"))
    assert "linear-gradient" in low[0]
    assert low[1] != critical[1]
