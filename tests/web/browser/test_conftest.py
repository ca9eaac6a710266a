"""The tests' own browser."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


class _SlowPages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>Slow</title><link rel=icon href='data:,'><a href=/next>Next</a>")
        self.wfile.flush()
        time.sleep(0.5)
        self.wfile.write(b"<p>The rest")

    def log_message(self, *args: object) -> None:
        """Keep the test output clean."""


@pytest.fixture
def slow_pages() -> Iterator[str]:
    """A site whose pages arrive in two parts."""
    with HTTPServer(("127.0.0.1", 0), _SlowPages) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_click_returns_when_its_page_is_whole(open_tab, slow_pages):
    tab = open_tab()
    tab.page.goto(f"{slow_pages}/first")
    tab.page.get_by_role("link", name="Next").click()
    assert tab.page.url.endswith("/next")
    assert tab.page.locator("p").count() == 1
