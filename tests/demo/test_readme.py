"""The commands of README for a server with https. `tests/live/test_guides.py` runs all of them unchanged."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.live.server import ROOT, Databases, LiveServer
from tests.programs import find_program

README = (ROOT / "README.md").read_text()


def section(title: str) -> str:
    return README.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def blocks(language: str, title: str) -> str:
    """Return the code blocks of a section in this language as one program."""
    return "\n".join(re.findall(rf"^```{language}\n(.*?)^```", section(title), re.M | re.S))


@pytest.fixture
def curl() -> str:
    return find_program("curl")


@pytest.mark.live
@pytest.mark.usefixtures("curl")
def test_with_an_https_api_url_the_same_steps_ask_for_verification(tmp_path: Path) -> None:
    """curl takes the place of the proxy that ends TLS: it sends a header that the server trusts from loopback."""
    (tmp_path / ".curlrc").write_text('header = "X-Forwarded-Proto: https"\n')
    steps = blocks("sh", "The eight steps, with curl")
    (functions,) = re.findall(r"^export AGENTGATE_URL=.*?^send\(\).*?\n", steps, re.M | re.S)
    (developer,) = re.findall(r"AGENTGATE_API_KEY=\$\((send .*?) \| field apiKey\)", steps, re.S)
    (user,) = re.findall(r"^ACCOUNT=.*\nsend .*?/users/register.*\n", steps, re.M)
    settings = {"API_URL": "https://gate.example.com", "TRUSTED_PROXIES": "127.0.0.1/32"}
    with LiveServer(Databases(tmp_path).sqlite(), tmp_path, processes=1, **settings) as server:
        environment = {**os.environ, "AGENTGATE_URL": server.url, "HOME": str(tmp_path), "CURL_HOME": str(tmp_path)}

        def run(script: str) -> list[dict[str, Any]]:
            command = ["sh", "-c", f"set -eu\n{functions}{script}"]
            return json_values(
                subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
            )

        assert run(developer) + run(user) == [{"status": "verification_required"}] * 2
        codes = re.findall(r"^ +([0-9A-Z]{5}-[0-9A-Z]{5})$", server.log_text(), re.M)
        addresses = re.findall(r"^To: (\S+)$", server.log_text(), re.M)
        confirmed = run(
            f"""send "$API/developers/register/confirm" -d '{{"email": "{addresses[0]}", "code": "{codes[0]}"}}'
            send "$API/users/register/confirm" -d '{{"email": "{addresses[1]}", "code": "{codes[1]}"}}'"""
        )
    assert confirmed[0]["apiKey"].startswith("ag_")
    assert confirmed[1]["id"].startswith("usr_")


def json_values(text: str) -> list[dict[str, Any]]:
    """Return the JSON objects in `text`, which may have other text between them."""
    decoder, found = json.JSONDecoder(), []
    while (start := text.find("{")) >= 0:
        value, end = decoder.raw_decode(text[start:])
        found.append(value)
        text = text[start + end :]
    return found
