"""One more server for clients of other people's making: it finds metadata documents in a file, not on the web."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.environment import Servers
from tests.live.gate import Developer, Gate, Person
from tests.live.oauth.services import tickets_over_mcp
from tests.live.server import Databases, LiveServer


@pytest.fixture(scope="session")
def documents(servers: Servers) -> Path:
    """The file of what clients publish, by address."""
    path = servers.folder / "client-documents.json"
    path.write_text("{}")
    return path


@pytest.fixture(scope="session")
def server(databases: Databases, servers: Servers, documents: Path) -> Iterator[LiveServer]:
    environment = {
        "TEST_CLIENT_DOCUMENTS": str(documents),
        "DJANGO_SETTINGS_MODULE": "tests.live.oauth.with_documents",
    }
    with LiveServer(databases.sqlite(), servers.folder, 1, **environment) as server:
        yield server
    server.require_clean_log()


@pytest.fixture(scope="session")
def tickets_developer(server: LiveServer) -> Developer:
    return Gate(server.url).developer()


@pytest.fixture(scope="session")
def tickets(server: LiveServer, servers: Servers, tickets_developer: Developer) -> Iterator[str]:
    """The address of the FastMCP page's service: one for all, for its prefix belongs to one organization."""
    with tickets_over_mcp(Gate(server.url), tickets_developer, servers.folder) as url:
        yield url


@pytest.fixture
def gate(server: LiveServer) -> Gate:
    return Gate(server.url)


@pytest.fixture
def person(gate: Gate) -> Person:
    return gate.person()


@pytest.fixture
def developer(gate: Gate) -> Developer:
    return gate.developer()


def publish(documents: Path, document: dict[str, object]) -> str:
    """Put a client's document where the server finds it; return its address, the client id."""
    held = json.loads(documents.read_text())
    url = str(document["client_id"])
    documents.write_text(json.dumps({**held, url: document}))
    return url
