"""Connecting to PostgreSQL takes a bounded time, for Django and for decisions."""

import asyncio
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db.utils import ConnectionHandler
from psycopg import OperationalError

from agentgate.databases import PATIENCE, postgresql
from core.timeouts import ANSWER_SECONDS, CONNECT_SECONDS, STATEMENT_SECONDS, THREAD_SECONDS, answering
from decisions.stores.base import StoreUnavailable
from decisions.stores.postgresql import PostgresqlStore, conninfo_of


@pytest.fixture
def silent_url() -> Iterator[str]:
    """The URL of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"postgresql://work@127.0.0.1:{server.getsockname()[1]}/work"


def connection_to(url: str) -> Any:
    return ConnectionHandler({"default": postgresql(url)})["default"]


def test_django_gives_up_on_a_server_that_does_not_answer(silent_url: str) -> None:
    began = time.monotonic()
    with pytest.raises(OperationalError, match="timeout"):
        connection_to(silent_url).connect()
    assert CONNECT_SECONDS - 0.5 < time.monotonic() - began < STATEMENT_SECONDS


def test_a_request_that_waited_for_a_thread_gives_all_hosts_together_what_is_left(silent_url: str) -> None:
    several = silent_url.replace("127.0.0.1", "127.0.0.1,127.0.0.1")
    began = time.monotonic()
    with answering(began - THREAD_SECONDS), pytest.raises(OperationalError):
        connection_to(several).connect()
    assert time.monotonic() - began < ANSWER_SECONDS - THREAD_SECONDS + 0.5


def test_decisions_give_up_on_a_server_that_does_not_answer(silent_url: str) -> None:
    store = PostgresqlStore(conninfo_of(connection_to(silent_url).settings_dict))
    with pytest.raises(StoreUnavailable) as caught:
        asyncio.run(store.ping())
    assert caught.value.kind == "connection", "the bound on connecting is below the bound on a batch"


def test_the_url_may_have_another_bound() -> None:
    assert postgresql("postgresql://work@db/work")["OPTIONS"] == PATIENCE
    options = postgresql("postgresql://work@db/work?connect_timeout=20")["OPTIONS"]
    assert options == {**PATIENCE, "connect_timeout": "20"}
