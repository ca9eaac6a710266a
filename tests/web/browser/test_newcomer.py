"""A newcomer's path: from the landing page to the first verified call and the first denial that is explained."""

import os
import re
import subprocess
import sys
import time

import pytest

from tests.constants import PASSWORD
from tests.mails import code_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

MOST_CLICKS = 19
# Enter in a form causes a click, too, and counts as one: others press the button.
COUNT_CLICKS = """addEventListener("click", (event) => {
    if (event.isTrusted) counted();
}, true)"""


@pytest.fixture
def clicks(open_tab):
    """Return a tab of a browser that counts the clicks in it, and the list of them."""
    tab, counted = open_tab(javascript=True), []
    tab.page.context.expose_binding("counted", lambda source: counted.append(source["page"].url))
    tab.page.context.add_init_script(COUNT_CLICKS)
    return tab, counted


def test_a_newcomer_gets_to_an_explained_denial_in_few_clicks(clicks, callback, live_server, settings, mails, capsys):
    settings.REQUIRE_VERIFIED_EMAIL, settings.API_URL = True, live_server.url
    (tab, counted), began = clicks, time.monotonic()
    newcomer = Newcomer(tab, mails)
    newcomer.sign_up()
    newcomer.register_agent(callback)
    newcomer.try_the_consent()
    printed = newcomer.run_the_program(callback)
    assert re.findall('"allowed":(true|false)', printed.replace(" ", "")) == ["true", "false"]
    newcomer.expect_the_denial_to_be_explained()
    seconds = time.monotonic() - began
    with capsys.disabled():
        sys.stdout.write(f"\nA newcomer's path: {len(counted)} clicks in {seconds:.1f} s\n")
    assert 10 < len(counted) <= MOST_CLICKS, counted


class Newcomer:
    """Someone who knows only what the pages say."""

    def __init__(self, tab, mails) -> None:
        self.tab, self.page, self.mails, self.secret = tab, tab.page, mails, ""

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).first.click()

    def follow(self, name: str) -> None:
        self.page.get_by_role("link", name=name, exact=True).first.click()

    def sign_up(self) -> None:
        self.tab.goto("/")
        self.page.get_by_role("link", name="Developer portal").click()
        self.page.get_by_role("main").get_by_role("link", name="Create an account").click()
        self.page.get_by_label("Email").fill("newcomer@example.com")
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.keyboard.press("Enter")
        self.page.get_by_role("heading", name="Check your email").wait_for()
        self.page.get_by_label("Code").fill(code_in(self.mails[-1]))
        self.page.keyboard.press("Enter")
        self.page.get_by_label("Your name, or your organization's name").fill("Newcomer's Robots")
        self.page.keyboard.press("Enter")
        self.page.get_by_role("heading", name="API keys").wait_for()

    def register_agent(self, callback: str) -> None:
        self.follow("Continue to the overview")
        self.page.get_by_text("0 of 4 done").wait_for()
        self.follow("New agent")
        self.page.get_by_label("Name", exact=True).fill("Mail Robot")
        self.page.get_by_label("Redirect URIs, one per line").fill(callback)
        self.page.locator("#picker summary", has_text="Email").click()
        for scope in ("email:read", "email:send"):
            self.page.locator(f"[name=allowed_scopes][value='{scope}']").click()
        self.page.get_by_role(
            "heading", name="Mail Robot asks to act for you An AI agent by Newcomer's Robots"
        ).wait_for()  # the preview
        self.press("Register agent")
        self.secret = self.page.locator(".secret__value").inner_text()

    def try_the_consent(self) -> None:
        self.follow("Try it")
        self.page.locator(".slip [name=scopes][value='email:read']").click()
        self.press("Allow")
        self.page.get_by_role("heading", name="What the agent could do").wait_for()

    def run_the_program(self, callback: str) -> str:
        """Run the program of the quickstart as it is, and decide in another tab. Return what it printed at last."""
        self.follow("Quickstart")
        self.page.get_by_text("1 of 4 done").wait_for()
        program = self.page.locator("#program").inner_text()
        environment = {"PATH": os.environ["PATH"], "AGENTGATE_CLIENT_SECRET": self.secret}
        with subprocess.Popen(
            ["bash", "-c", program], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as running:
            assert running.stdout
            running.stdout.readline()
            other = self.page.context.new_page()
            other.goto(running.stdout.readline().strip())
            other.locator("[name=scopes][value='email:read']").click()
            other.get_by_role("button", name="Allow", exact=True).click()
            other.wait_for_url(f"{callback}?**")
            printed, _ = running.communicate(f"{other.url}\n", timeout=60)
        other.close()
        return printed

    def expect_the_denial_to_be_explained(self) -> None:
        self.page.get_by_role("main").get_by_text("4 of 4 done").wait_for()  # by itself
        self.follow("Overview")
        denial = self.page.locator("section", has=self.page.get_by_role("heading", name="Recent denials"))
        denial.get_by_text("The permission had not been granted.").wait_for()
        denial.locator("th a").first.click()
        self.page.locator(".logs__drawer").get_by_text("email:send").first.wait_for()
