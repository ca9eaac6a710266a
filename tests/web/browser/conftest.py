"""Chromium on the pages of a live server. Without Chromium these tests are skipped, except in CI, where they fail."""

import os
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property, wraps
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from django.conf import settings
from playwright.sync_api import Browser, CDPSession, ConsoleMessage, Error, Locator, Page, sync_playwright

from accounts.models import User
from tests.constants import CHROMIUM_OPTIONS
from tests.programs import find_chromium
from tests.world import sign_in_recently

TABS = pytest.StashKey[list["Tab"]]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Say with a failure of Playwright, such as waiting too long, what each tab of the test showed then."""
    try:
        return (yield)
    except Error as error:
        for tab in item.stash.get(TABS, []):
            error.add_note(f"A tab showed {tab.shown()}")
        raise


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """Yield Chromium for this package only: no other asynchronous test can run while Playwright's event loop runs."""
    path = find_chromium()
    # The fixtures of these tests use the database in the same thread.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright, waiting_for_whole_pages():
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_OPTIONS)
        yield browser
        browser.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@contextmanager
def waiting_for_whole_pages() -> Iterator[None]:
    """Let a click or a key on an element return when the page that it leads to has loaded.

    Playwright's own return when that page begins to arrive: on a busy machine, what a test then reads without waiting,
    such as a count, is of half a page. (`page.keyboard` waits for nothing: wait for what follows.)
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in ("click", "press"):
            patch.setattr(Locator, name, and_load(getattr(Locator, name)))
        yield


def and_load(act: Callable[..., None]) -> Callable[..., None]:
    """Return the method of locators, followed by waiting until the page has loaded."""

    @wraps(act)
    def act_and_load(element: Locator, *arguments: Any, **options: Any) -> None:
        act(element, *arguments, **options)
        element.page.wait_for_load_state()

    return act_and_load


class Tab:
    """A page of the site, with the errors and warnings in its console."""

    def __init__(self, page: Page, base_url: str) -> None:
        self.page, self.base_url = page, base_url
        self.words: Callable[[str], str] = str  # how the site says a text
        self.complaints: list[str] = []
        self.scheme = ""  # the color scheme that the checks have set
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    @cached_property
    def devtools(self) -> CDPSession:
        """The DevTools protocol of the page."""
        return self.page.context.new_cdp_session(self.page)

    def goto(self, path: str) -> Any:
        return self.page.goto(f"{self.base_url}{path}")

    def sign_in(self, email: str, password: str) -> None:
        """Fill in the sign-in page that is open."""
        self.page.get_by_label("Email").fill(email)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in").click()

    def become(self, email: str) -> None:
        """Sign in without the page for that, as if a moment ago. An empty address is for no user."""
        if email:
            cookie = sign_in_recently(User.objects.get(email=email)).cookies[settings.SESSION_COOKIE_NAME]
            self.page.context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": self.base_url}])

    def open_as(self, email: str, path: str) -> None:
        self.become(email)
        self.goto(path)

    def take_complaints(self) -> list[str]:
        """Return the complaints so far and forget them."""
        complaints, self.complaints = self.complaints, []
        return complaints

    def shows(self, element: Locator) -> bool:
        """Return whether the whole element is visible without scrolling."""
        box, height = element.bounding_box(), self.page.viewport_size["height"]
        return bool(box and box["y"] >= 0 and box["y"] + box["height"] <= height)

    def shown(self) -> str:
        """Return the address of the page, and how its text begins."""
        text = ""
        with suppress(Error):  # a page that is just loading has no text
            text = self.page.locator("body").inner_text(timeout=1000)
        return f"{self.page.url}: {' '.join(text.split())[:400]}"

    def focused(self) -> str:
        """Return the id, name or text of the focused element."""
        return str(
            self.page.evaluate("(e => e.id || e.name || e.textContent.trim())(document.activeElement ?? document.body)")
        )

    def _hear(self, message: ConsoleMessage) -> None:
        # The browser also reports every 4xx page, which tests request on purpose.
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)


@pytest.fixture
def open_tab(chromium: Browser, live_server: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Return a function that opens a tab in a new browser profile, by default without JavaScript."""
    contexts, tabs = [], request.node.stash.setdefault(TABS, [])

    def open_one(*, width: int = 1280, javascript: bool = False, **options: Any) -> Tab:
        context = chromium.new_context(
            viewport={"width": width, "height": 800},
            color_scheme="light",
            java_script_enabled=javascript,
            **options,
        )
        context.set_default_timeout(10_000)
        contexts.append(context)
        tabs.append(Tab(context.new_page(), live_server.url))
        return tabs[-1]

    yield open_one
    complaints = [complaint for tab in tabs for complaint in tab.complaints]
    for context in contexts:
        context.close()
    assert complaints == []


class OnePage(BaseHTTPRequestHandler):
    """A site that is one page at every path."""

    html = b"<!doctype html><title>Agent</title><link rel=icon href='data:,'><p>Back at the agent"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.write_page()

    def write_page(self) -> None:
        self.wfile.write(self.html)

    def log_message(self, *args: Any) -> None:
        """Keep the test output clean."""


@pytest.fixture(scope="session")
def callback() -> Iterator[str]:
    """The agent's own page, on another origin."""
    server = HTTPServer(("127.0.0.1", 0), OnePage)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/callback"
    server.shutdown()
