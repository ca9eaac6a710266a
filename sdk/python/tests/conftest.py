from __future__ import annotations

import ssl
from collections.abc import Iterator
from functools import cache

import pytest
from fake_gate import BASE_URL, CLIENT_SECRET, NO_PAUSES, FakeGate

from agentgate_oauth import AgentGateClient, AsyncAgentGateClient


@pytest.fixture
def gate() -> FakeGate:
    return FakeGate()


@pytest.fixture
def client(gate: FakeGate) -> AgentGateClient:
    return AgentGateClient(BASE_URL, "agc_1", CLIENT_SECRET, http_client=gate.client(), retry=NO_PAUSES)


@pytest.fixture
def async_client(gate: FakeGate) -> AsyncAgentGateClient:
    return AsyncAgentGateClient(
        BASE_URL, "agc_1", CLIENT_SECRET, http_client=gate.async_client(), retry=NO_PAUSES
    )


@pytest.fixture(scope="session", autouse=True)
def _certificates_read_once() -> Iterator[None]:
    """Let all HTTP clients share what they trust, because reading it takes each client as long as a test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", cache(ssl.create_default_context))
        yield
