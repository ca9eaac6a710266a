"""Servers under test: one per store for the whole run, and new ones for tests that change or stop theirs."""

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.environment import STORES, Servers
from tests.live.gate import Gate
from tests.live.metrics import decided_directly
from tests.live.server import Database, Databases, LiveServer


@pytest.fixture(scope="session", autouse=True)
def _quiet_client() -> None:
    logging.getLogger("httpx").setLevel(logging.WARNING)


@pytest.fixture(scope="session")
def databases(servers: Servers) -> Databases:
    return Databases(servers.folder)


@pytest.fixture(scope="session", params=STORES)
def live_store(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def shared_server(live_store: str, databases: Databases, servers: Servers) -> Iterator[LiveServer]:
    """Four server processes with one database, shared by all tests that do not stop them."""
    database = new_database(live_store, databases, servers)
    with LiveServer(database, servers.folder) as server:
        yield server
    server.require_clean_log(without="Internal Server Error")


@pytest.fixture
def start_server(live_store: str, databases: Databases, servers: Servers) -> Iterator[Callable[..., LiveServer]]:
    """Yield a function that starts a server with its own database. It takes the keyword arguments of `LiveServer`."""
    with starting(live_store, databases, servers) as start:
        yield start


@pytest.fixture(scope="module")
def start_for_module(live_store: str, databases: Databases, servers: Servers) -> Iterator[Callable[..., LiveServer]]:
    """Yield the same function for a server that all tests of the module share."""
    with starting(live_store, databases, servers) as start:
        yield start


@contextmanager
def starting(store: str, databases: Databases, servers: Servers) -> Iterator[Callable[..., LiveServer]]:
    with ExitStack() as stack:

        def start(**options: object) -> LiveServer:
            database = new_database(store, databases, servers)
            return stack.enter_context(LiveServer(database, servers.folder, **options))  # type: ignore[arg-type]

        yield start


@pytest.fixture
def decides_directly(shared_server: LiveServer) -> Iterator[None]:
    """Check that the shared server answers all requests for decisions in its event loops."""
    with decided_directly(shared_server):
        yield


@pytest.fixture
def gate(shared_server: LiveServer) -> Gate:
    return Gate(shared_server.url)


def new_database(store: str, databases: Databases, servers: Servers) -> Database:
    if store == "sqlite":
        return databases.sqlite()
    return databases.postgresql(servers.postgres, servers.valkey)
