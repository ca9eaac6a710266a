"""The programs with which the portal's page of a webhook shows how to check a delivery, run as they are."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from core import clock
from events.sending import headers
from tests.live.oauth import node
from web.portal.webhooks.snippets import snippets

SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" * 2
EVENT_ID, BODY = "log_1", b'{"type": "consent.revoked", "number": 42}'
TEXTS = {one.name: one.text for one in snippets()}

type Run = Callable[[bytes], subprocess.CompletedProcess[str]]


@pytest.fixture
def python(tmp_path: Path) -> Run:
    """Run the program in Python with a delivery of this body."""
    more = "import json, sys\nprint(read_event(sys.argv[1].encode(), json.loads(sys.argv[2]))['number'])"
    program = tmp_path / "check.py"
    program.write_text(f"{TEXTS['python']}\n{more}\n")
    return lambda body: run([sys.executable, str(program)], body)


@pytest.fixture
def javascript() -> Run:
    """Run the program in Node with a delivery of this body."""
    installed, program = node.install(), node.FOLDER / "check.mjs"
    more = "console.log(readEvent(process.argv[2], JSON.parse(process.argv[3])).number);"
    program.write_text(f"{TEXTS['javascript']}\n{more}\n")
    return lambda body: run([str(installed), str(program)], body)


def run(command: list[str], body: bytes) -> subprocess.CompletedProcess[str]:
    sent = json.dumps(headers([SECRET], EVENT_ID, BODY, clock.now()))
    environment = {"WEBHOOK_SECRET": SECRET}
    return subprocess.run([*command, body, sent], env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("language", ["python", pytest.param("javascript", marks=pytest.mark.node)])
def test_the_program_returns_the_event_and_refuses_a_changed_one(language: str, request: pytest.FixtureRequest) -> None:
    call: Run = request.getfixturevalue(language)
    assert call(BODY).stdout == "42\n"
    changed = call(BODY.replace(b"42", b"43"))
    assert changed.returncode != 0
    assert "WebhookVerificationError" in changed.stderr


def test_each_program_has_at_most_ten_lines() -> None:
    assert all(len(text.splitlines()) <= 10 for text in TEXTS.values())
