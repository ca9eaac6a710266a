"""The programs of the quickstart run unedited, as the page shows them, and turn its steps green."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from html import unescape
from pathlib import Path

import httpx
import pytest

from tests.constants import PASSWORD
from tests.live.gate import Agent, Developer, Gate, Person, expect
from tests.live.server import ROOT

SDK = ROOT / "sdk" / "python" / "src"
RUN = {"curl": ["bash"], "python": [sys.executable, "-u"]}
DONE = re.compile(r'class="pill[^"]*" data-announce>(\d) of 4 done<')


@pytest.fixture
def newcomer(gate: Gate) -> Developer:
    return gate.developer()


@pytest.fixture
def browser(gate: Gate, newcomer: Developer) -> httpx.Client:
    """A browser in which the developer has signed in."""
    browser = httpx.Client(base_url=gate.url, follow_redirects=True, timeout=60)
    form = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', browser.get("/accounts/login/").text)
    assert form
    fields = {"login": newcomer.email, "password": PASSWORD, "csrfmiddlewaretoken": form[1]}
    assert browser.post("/accounts/login/", data=fields).status_code == 200
    return browser


def code_in(page: str, name: str) -> str:
    """Return the text that the button beside the code copies."""
    found = re.search(rf'<pre class="code" id="{name}"[^>]*>(.*?)</pre>', page, re.DOTALL)
    assert found, page
    return unescape(found[1])


def run(command: list[str], secret: str, answer_to: Callable[[str], str], status: int = 0) -> str:
    """Run a program that prints an address and reads another one. Return all that it printed."""
    environment = {"PATH": os.environ["PATH"], "AGENTGATE_CLIENT_SECRET": secret, "PYTHONPATH": str(SDK)}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as program:
        assert program.stdout
        assert program.stdin
        printed = program.stdout.readline()
        url = program.stdout.readline().strip()
        assert "/consent/" in url, printed + url + program.stdout.read()
        print(answer_to(url), file=program.stdin, flush=True)
        rest = program.stdout.read()
    assert program.returncode == status, printed + url + rest
    return rest


class Answer:
    """The person who allows the request, and copies the address to which the browser is sent."""

    def __init__(self, gate: Gate, person: Person) -> None:
        self.gate, self.person = gate, person

    def __call__(self, url: str) -> str:
        consent_id = url.rsplit("/", 1)[1]
        answer = self.gate.post(f"/consent/{consent_id}/approve", **self.person.headers)
        return str(expect(200, answer)["redirectUrl"])


@pytest.mark.parametrize("language", RUN)
def test_a_program_runs_unedited_and_the_log_turns_the_steps_green(gate, browser, newcomer, person, tmp_path, language):
    assert "0 of 4 done" in browser.get("/developer/").text
    agent: Agent = gate.agent(newcomer)
    shown = browser.get(f"/developer/?language={language}").text
    assert DONE.findall(shown) == ["1"]
    program = Path(tmp_path, "first")
    program.write_text(code_in(shown, "program"), encoding="utf-8")
    printed = run([*RUN[language], str(program)], agent.client_secret, Answer(gate, person))
    assert re.search(r'"allowed": ?true|Allowed: True', printed), printed
    assert re.search(r'"allowed": ?false|Allowed: False insufficient_scope', printed), printed
    steps = browser.get(f"/developer/agents/{agent.id}/quickstart").text
    assert DONE.findall(steps) == ["4"]
    overview = browser.get("/developer/").text
    assert "From an agent to its first decision" not in overview  # the first run is over
    assert "The permission had not been granted." in overview


@pytest.mark.parametrize("language", RUN)
def test_a_program_says_that_nothing_was_allowed(gate, browser, newcomer, tmp_path, language):
    agent: Agent = gate.agent(newcomer)
    program = Path(tmp_path, "first")
    program.write_text(code_in(browser.get(f"/developer/?language={language}").text, "program"), encoding="utf-8")
    denied = run([*RUN[language], str(program)], agent.client_secret, lambda url: f"{url}?error=access_denied", 1)
    assert "Nothing was allowed" in denied


def test_the_secret_is_set_as_the_page_says(gate, browser, newcomer):
    gate.agent(newcomer)
    command = code_in(browser.get("/developer/").text, "secret")
    shell = f"{command}; printenv AGENTGATE_CLIENT_SECRET"
    done = subprocess.run(["bash", "-c", shell], input="ags_typed\n", capture_output=True, text=True, check=True)
    assert done.stdout == "ags_typed\n"


def test_a_program_stops_at_a_refusal_and_shows_it(gate, browser, newcomer, tmp_path):
    """With a wrong secret, the server says so, and the program asks for nothing more."""
    gate.agent(newcomer)
    program = Path(tmp_path, "first")
    program.write_text(code_in(browser.get("/developer/").text, "program"), encoding="utf-8")
    environment = {"PATH": os.environ["PATH"], "AGENTGATE_CLIENT_SECRET": "ags_wrong"}
    done = subprocess.run(
        ["bash", str(program)],
        env=environment,
        input="",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "invalid_client" in done.stdout
