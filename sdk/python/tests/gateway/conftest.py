from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from gateways import FakeGate, Notes, Served, gateway, listening, pin, write_files

from agentgate_oauth.gateway.files import Files
from agentgate_oauth.gateway.lock import Definitions


@pytest.fixture(scope="session")
def served_notes() -> Iterator[tuple[Notes, str, Definitions]]:
    """The upstream, its address, and what it offers. It is read once."""
    notes = Notes()
    with listening(notes.http_app()) as url:
        yield notes, f"{url}/mcp", asyncio.run(pin(f"{url}/mcp"))


@pytest.fixture
def notes(served_notes: tuple[Notes, str, Definitions]) -> Notes:
    served_notes[0].called.clear()
    return served_notes[0]


@pytest.fixture
def files(tmp_path: Path, served_notes: tuple[Notes, str, Definitions]) -> Files:
    return write_files(tmp_path, *served_notes[1:])


@pytest.fixture
def gate() -> FakeGate:
    return FakeGate()


@pytest.fixture
async def served(files: Files, gate: FakeGate, notes: Notes) -> AsyncIterator[Served]:
    async with gateway(files, gate) as running:
        yield running
