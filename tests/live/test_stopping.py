"""Stopping the server under load loses no request that it accepted."""

import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import psutil
import psycopg

from tests.live.gate import Gate
from tests.live.load import LONGEST_SECONDS, LOST, REFUSED, Load, check_log
from tests.live.server import Database, LiveServer

SLOW_SECONDS = 8  # A process that does not answer the supervisor for this long is killed.
SLOW = b"POST /api/v1/verify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n"


def test_a_stop_under_load_answers_each_request_that_was_decided(start_server: Callable[..., LiveServer]) -> None:
    server = start_server(processes=2)
    with Load(server) as load:
        began = time.monotonic()
        server.stop()
        stopped = time.monotonic()
    server.start()

    check_log(load, server)
    assert server.database.count("audit_entry", "event = 'token.verify'") == len(load.with_status(200))
    assert stopped - began < LONGEST_SECONDS
    assert {answer.status for answer in load.answers if answer.answered < began} == {200}
    assert set(load.statuses()) <= {200, REFUSED}, f"lost after a stop at {began}: {load.with_status(LOST)}"


def test_a_stop_waits_for_a_client_that_is_slow(start_server: Callable[..., LiveServer]) -> None:
    server = start_server(processes=2)
    with socket.create_connection(("127.0.0.1", server.port), timeout=SLOW_SECONDS) as client:
        client.sendall(SLOW)
        time.sleep(1)  # until a process has read it
        psutil.Process(server.pid).terminate()
        time.sleep(SLOW_SECONDS)
        client.sendall(b"{}")
        assert client.recv(1000).startswith(b"HTTP/1.1 4"), "the request is refused, but answered"


def test_a_stop_waits_for_tokens_that_are_being_issued(start_server: Callable[..., LiveServer]) -> None:
    server = start_server(processes=1)
    gate = Gate(server.url)
    agent = gate.agent(gate.developer())
    tokens = gate.tokens(agent, gate.person())
    with ThreadPoolExecutor(1) as pool, issuing_held(server.database):
        refreshed = pool.submit(gate.refresh, agent, tokens["refreshToken"])
        time.sleep(1)  # until a thread waits for the lock
        psutil.Process(server.pid).terminate()
        time.sleep(1)
        assert not refreshed.done()
    assert refreshed.result().status_code == 200


@contextmanager
def issuing_held(database: Database) -> Iterator[None]:
    """Lock what a refresh writes."""
    url = database.environment.get("DATABASE_URL")
    if url:
        with psycopg.connect(url) as postgresql:
            postgresql.execute("SELECT id FROM tokens_tokenfamily FOR UPDATE")
            yield
        return
    with closing(sqlite3.connect(database.environment["DATABASE_PATH"])) as lite:
        lite.execute("BEGIN IMMEDIATE")
        yield
