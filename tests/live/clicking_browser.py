"""A command for `BROWSER`: Chromium, in which a new user does what a guide says in the variable `CLICKS`."""

import os
import secrets
import sys
from collections.abc import Callable

from playwright.sync_api import Page, sync_playwright

from tests.constants import PASSWORD
from tests.live.server import ROOT

ARGUMENTS = ["--no-sandbox", "--disable-gpu"]
WAIT_MS = 20_000


def environment(clicks: str, program: str, **more: str) -> dict[str, str]:
    """Return environment variables with which a program opens this browser, and does not wait for it.

    `program` is Chromium.
    """
    assert set(clicks.split(", ")) <= ACTS.keys(), f"ACTS has no words for all of: {clicks}"
    command = f"env PYTHONPATH={ROOT} CHROMIUM={program} {sys.executable} -m {__name__} %s &"
    return {"BROWSER": command, "CLICKS": clicks, **more}


def create_account(page: Page) -> None:
    page.get_by_role("link", name="Create an account").click()
    page.get_by_label("Email").fill(f"reader-{secrets.token_hex(8)}@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    page.get_by_role("button", name="Allow", exact=True).wait_for()


def tick(page: Page) -> None:
    """Tick each permission, and nothing else."""
    for box in page.locator("input[name=scopes]").all():
        box.check()


def allow(page: Page) -> None:
    page.get_by_role("button", name="Allow", exact=True).click()
    page.wait_for_url("**/callback?**")


ACTS: dict[str, Callable[[Page], None]] = {
    "sign in": lambda page: None,  # the guides go on with "or"
    "or create an account": create_account,
    "tick the permission": tick,
    "tick both permissions": tick,
    "and choose Allow": allow,
}


def click(url: str, clicks: str) -> None:
    """Open the URL and do what the words say, which are separated by commas."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ["CHROMIUM"], args=ARGUMENTS)
        page = browser.new_page()
        page.set_default_timeout(WAIT_MS)
        page.goto(url)
        for words in clicks.split(", "):
            ACTS[words](page)
        browser.close()


if __name__ == "__main__":
    click(sys.argv[1], os.environ["CLICKS"])
