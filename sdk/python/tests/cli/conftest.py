"""Fixtures that run the command line in this process, against a fake AgentGate on a socket."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from in_process import Api, Cli
from served import served


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    return Cli(monkeypatch, capsys)


@pytest.fixture
def signed_in(api: Api, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Api:
    monkeypatch.delenv("AGENTGATE_API_KEY")
    cli("login", "--email", "ada@example.com", given="hunter22\n")
    return api


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Iterator[Api]:
    for name in ("AGENTGATE_PASSWORD", "AGENTGATE_TOKEN", "AGENTGATE_ALLOW_HTTP", "AGENTGATE_ORGANIZATION"):
        monkeypatch.delenv(name, raising=False)
    fake = Api()
    with served(fake) as url:
        monkeypatch.setenv("AGENTGATE_URL", url)
        monkeypatch.setenv("AGENTGATE_CONFIG_DIR", str(tmp_path / "config"))
        monkeypatch.setenv("AGENTGATE_API_KEY", "ag_key")
        yield fake
