"""One server, and one gateway in front of an MCP server, for all tests of the gateway."""

import sys
from collections.abc import Iterator

import pytest

from tests.environment import Servers
from tests.live.gate import Developer, Gate, Person
from tests.live.gateway.served import GatewayProcess, gateway_process
from tests.live.server import ROOT, Databases, LiveServer

sys.path.insert(0, str(ROOT / "sdk" / "python" / "src"))


@pytest.fixture(scope="session")
def server(databases: Databases, servers: Servers) -> Iterator[LiveServer]:
    with LiveServer(databases.sqlite(), servers.folder, 1) as server:
        yield server
    server.require_clean_log()


@pytest.fixture(scope="session")
def gateway_developer(server: LiveServer) -> Developer:
    return Gate(server.url).developer()


@pytest.fixture(scope="session")
def gateway(server: LiveServer, servers: Servers, gateway_developer: Developer) -> Iterator[GatewayProcess]:
    with gateway_process(Gate(server.url), gateway_developer, servers.folder / "gateway") as gateway:
        yield gateway


@pytest.fixture
def gate(server: LiveServer) -> Gate:
    return Gate(server.url)


@pytest.fixture
def person(gate: Gate) -> Person:
    return gate.person()
