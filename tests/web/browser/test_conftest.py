"""The tests' own browser."""

import threading
import time
from collections.abc import Iterator
from http.server import HTTPServer

import pytest
from playwright.sync_api import Error

from tests.web.browser.conftest import OnePage, pytest_runtest_call

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


class _SlowPages(OnePage):
    html = b"<!doctype html><title>Slow</title><link rel=icon href='data:,'><a href=/next>Next</a>"

    def write_page(self) -> None:
        super().write_page()
        self.wfile.flush()
        time.sleep(0.5)
        self.wfile.write(b"<p>The rest")


@pytest.fixture
def slow_pages() -> Iterator[str]:
    """A site whose pages arrive in two parts."""
    with HTTPServer(("127.0.0.1", 0), _SlowPages) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_click_returns_when_the_page_that_it_leads_to_is_whole(open_tab, slow_pages):
    tab = open_tab()
    tab.page.goto(f"{slow_pages}/first")
    tab.page.get_by_role("link", name="Next").click()
    assert tab.page.url.endswith("/next")
    assert tab.page.locator("p").count() == 1


def test_a_failure_says_what_the_tab_showed(open_tab, slow_pages, request):
    open_tab().page.goto(f"{slow_pages}/first")
    call = pytest_runtest_call(request.node)
    next(call)
    with pytest.raises(Error) as caught:
        call.throw(Error("Timeout 10000ms exceeded."))
    assert caught.value.__notes__ == [f"A tab showed {slow_pages}/first: Next The rest"]
