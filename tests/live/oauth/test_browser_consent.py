"""The fastmcp client as a person meets it: it opens a browser, the person signs in and clicks."""

import threading
from typing import Any

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.constants import CHROMIUM_OPTIONS
from tests.live.gate import PASSWORD, Gate, Person
from tests.programs import find_chromium

pytestmark = pytest.mark.browser


class Browser:
    """A Chromium of the person's, in a thread of its own; `headings` are those of the screens it came to."""

    def __init__(self, person: Person, program: str) -> None:
        self.program = program
        self.person, self.screens, self.failures = person, list[str](), list[BaseException]()
        self.threads: list[threading.Thread] = []

    def open(self, url: str) -> bool:
        self.threads.append(threading.Thread(target=self._run, args=(url,)))
        self.threads[-1].start()
        return True

    def close(self) -> None:
        for thread in self.threads:
            thread.join(30)
        assert self.failures == []

    def _run(self, url: str) -> None:
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=self.program, args=CHROMIUM_OPTIONS)
                page = browser.new_context(java_script_enabled=False).new_page()
                page.set_default_timeout(15_000)
                self._decide(page, url)
                browser.close()
        except BaseException as failure:
            self.failures.append(failure)

    def _decide(self, page: Page, url: str) -> None:
        page.goto(url)
        page.get_by_label("Email").fill(self.person.email)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("button", name="Allow", exact=True).wait_for()
        self.screens.append(page.inner_text("main"))
        for box in page.get_by_role("checkbox").all():
            box.check()
        page.get_by_role("button", name="Allow", exact=True).click()
        page.wait_for_url("**/callback?**")


async def test_a_person_adds_a_server_signs_in_clicks_allow_and_is_connected_and_asked_as_they_chose(
    gate: Gate, person: Person, tickets: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fastmcp import Client  # takes a second, in each process that collects the tests
    from fastmcp.client.auth import OAuth
    from fastmcp.exceptions import ToolError

    browser = Browser(person, find_chromium())
    monkeypatch.setattr("webbrowser.open", browser.open)
    auth: Any = OAuth(client_name="Desk helper")
    async with Client(tickets, auth=auth) as session:
        assert (await session.call_tool("list_tickets", {})).data == ["The printer is on fire"]
        # The second screen preselects "Ask me every time", and this client cannot open the approval's page.
        with pytest.raises(ToolError, match='"reason": "approval_required"'):
            await session.call_tool("close_ticket", {"title": "printer"})
    browser.close()

    first, second = browser.screens
    assert "Desk helper asks to act for you An AI agent by an unknown developer" in " ".join(first.split())
    assert "Not verified: this program registered itself" in first
    assert "Read your tickets" in first
    assert "Close your tickets" not in first
    needed = second[second.index("New: the agent says it also needs") :]
    assert "Close your tickets" in needed
    assert second.index("Already allowed") < second.rindex("Read your tickets")
