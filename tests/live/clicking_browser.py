"""A command for `BROWSER`: Chromium, in which a new user does what a guide says in the variable `CLICKS`.

What it says of several pages is separated by semicolons. The browser keeps its cookies between them in `PROFILE`.
"""

import os
import secrets
import sys
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.constants import CHROMIUM_OPTIONS, PASSWORD
from tests.live.server import ROOT

WAIT_MS = 20_000


def environment(clicks: str, program: str, **more: str) -> dict[str, str]:
    """Return environment variables with which a program opens this browser, and does not wait for it.

    `program` is Chromium.
    """
    assert {words for page in clicks.split("; ") for words in page.split(", ")} <= ACTS.keys(), clicks
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


def approve(page: Page) -> None:
    page.get_by_role("button", name="Approve once").click()
    page.get_by_role("button", name="Approve once").wait_for(state="detached")


ACTS: dict[str, Callable[[Page], None]] = {
    "sign in": lambda page: None,  # the guides go on with "or"
    "or create an account": create_account,
    "tick the permission": tick,
    "tick the permissions": tick,
    "tick the other permission": tick,
    "tick both permissions": tick,
    "and choose Allow": allow,
    "look at the call": lambda page: None,
    "and choose Approve once": approve,
}


def click(url: str, clicks: str, profile: str) -> None:
    """Open the URL, and do what the words say of this page. With a profile, it is the page after the last one."""
    pages = clicks.split("; ")
    turn = _next_turn(Path(profile)) if profile else 0
    with sync_playwright() as playwright:
        program = os.environ["CHROMIUM"]
        browser = playwright.chromium.launch_persistent_context(profile, executable_path=program, args=CHROMIUM_OPTIONS)
        page = browser.new_page()
        page.set_default_timeout(WAIT_MS)
        page.goto(url)
        for words in pages[turn].split(", "):
            ACTS[words](page)
        browser.close()


def _next_turn(profile: Path) -> int:
    profile.mkdir(exist_ok=True)
    turn = len(list(profile.glob("turn-*")))
    (profile / f"turn-{turn}").touch()
    return turn


if __name__ == "__main__":
    click(sys.argv[1], os.environ["CLICKS"], os.environ.get("PROFILE", ""))
