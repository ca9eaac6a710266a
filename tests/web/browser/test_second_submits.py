"""Forms without `data-live`: the second click of a double click sends nothing, and a form can be sent again later."""

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from core.secrets import digest
from developers.models import Developer

# The second one comes while the answer is on its way.
TWO_CLICKS = "button => { button.click(); setTimeout(() => button.click(), 50); }"

type SignIn = Callable[[str], Any]

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def sign_in(open_tab: Any, developer: Developer) -> SignIn:
    """Return a function that opens a page as the developer. The tab's `posts` are the paths of its POST requests."""

    def sign_in(path: str) -> Any:
        tab = open_tab(javascript=True)
        tab.open_as(developer.user.email, path)
        tab.posts = []
        tab.page.on("request", lambda one: tab.posts.append(urlsplit(one.url).path) if one.method == "POST" else None)
        return tab

    return sign_in


def answer_late(route: Any) -> None:
    time.sleep(0.3)
    route.fallback()


def wait(page: Any) -> None:
    page.clock.fast_forward(5_000)


def come_back(page: Any) -> None:
    """Let the page seem to be shown again from the browser's cache, which Playwright turns off."""
    page.evaluate("window.dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")


def test_a_double_click_on_rotate_makes_one_key_and_shows_it(sign_in: SignIn, developer: Developer) -> None:
    path = f"/developer/{developer.organization_id}/api-keys/{developer.api_keys.get().pk}/rotate"
    tab = sign_in(path)
    tab.page.route(f"**{path}", answer_late)
    tab.page.get_by_role("button", name="Rotate API key").evaluate(TWO_CLICKS)
    shown = tab.page.locator(".secret__value").inner_text()
    assert tab.posts == [path]
    assert tab.page.locator(".notice--bad").count() == 0
    assert digest(shown) == developer.api_keys.first().digest
    assert developer.api_keys.count() == 2


def test_a_form_that_is_answered_with_a_file_can_be_sent_again_later(sign_in: SignIn, developer: Developer) -> None:
    path = f"/developer/{developer.organization_id}/logs"
    tab = sign_in(path)
    tab.page.clock.install()
    tab.page.reload()
    button = tab.page.get_by_role("button", name="Table (CSV)")
    with tab.page.expect_download():
        button.evaluate(TWO_CLICKS)
    for later in (wait, come_back):
        button.click()
        later(tab.page)
        with tab.page.expect_download():
            button.click()
    assert tab.posts == [f"{path}.csv"] * 3
