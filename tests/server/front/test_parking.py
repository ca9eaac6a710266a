"""Requests that wait for an approval: without a thread, within bounds, and answered once."""

import asyncio
import socket
import struct
import threading
from collections.abc import AsyncIterator, Callable, Collection
from typing import Any

import pytest

from core.messages import APPROVAL as KIND
from core.messages import EVENTS, MAY_PARK, PARK, REVOCATIONS, Mark
from server.front import parking
from server.front.connection import Connection
from tests.samples import sample
from tests.server.front.conftest import Client, Gate, running

APPROVAL = "apr_" + "0" * 32
OTHER = "apr_" + "1" * 32
Connect = Callable[[], Any]
# Closing a socket with this sends a reset.
RESET = struct.pack("ii", 1, 0)


class Approvals:
    """The application and the database: it marks a request to `/<id>?<seconds>` as Django does."""

    def __init__(self, gate: Gate) -> None:
        self.decided: set[str] = set()
        self.asked: list[set[str]] = []
        self.answered: list[bool] = []
        """Whether each call of the application could be parked."""
        self.failure: Exception | None = None
        self.busy = self.busiest = 0
        self._lock = threading.Lock()
        gate.application, gate.watch = self.answer, self.watch

    def answer(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        with self._lock:
            self.busy += 1
            self.busiest = max(self.busy, self.busiest)
        approval_id, seconds = environ["PATH_INFO"][1:], environ["QUERY_STRING"]
        headers = [("Content-Type", "text/plain")]
        if environ[MAY_PARK] and seconds and approval_id not in self.decided:
            kind, owner = environ.get("HTTP_KIND", KIND), environ.get("HTTP_OWNER", "")
            headers.append((PARK, f"{kind} {seconds} {owner} {approval_id}"))
        start_response("200 OK", headers)
        with self._lock:
            self.busy -= 1
            self.answered.append(environ[MAY_PARK])
        return [b"decided" if approval_id in self.decided else b"pending"]

    def watch(self, ids: Collection[str]) -> set[str]:
        self.asked.append(set(ids))
        if self.failure:
            raise self.failure
        return set(ids) - self.decided


@pytest.fixture
async def gate(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Gate]:
    """Yield a front with one thread, no hot path, and a quick watch."""
    monkeypatch.setattr(parking, "WATCH_SECONDS", 0.02)
    async with running(Gate(threads=1, queue=8)) as gate:
        gate.hot.is_cold = True
        yield gate


@pytest.fixture
def approvals(gate: Gate) -> Approvals:
    return Approvals(gate)


def get(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET /{path} HTTP/1.1", "Host: a", *headers, "", ""]).encode()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


async def park(gate: Gate, client: Client, path: str = f"{APPROVAL}?30", *headers: str) -> None:
    before = gate.front.parking.number
    client.send(get(path, *headers))
    await until(lambda: gate.front.parking.number == before + 1)


async def answer(client: Client) -> bytes:
    """Return the body of the next answer, which must not have the front's own header."""
    status, headers, body = await client.answer()
    assert status == 200
    assert PARK.lower() not in headers
    return body


async def test_waits_without_a_thread_until_the_decision(
    gate: Gate, approvals: Approvals, client: Client, connect: Connect
) -> None:
    await park(gate, client)
    other = await connect()
    other.send(get("other"))
    assert await answer(other) == b"pending"

    approvals.decided.add(APPROVAL)
    assert await answer(client) == b"decided"
    assert approvals.answered == [True, True, False]


async def test_is_answered_when_the_time_is_over(gate: Gate, approvals: Approvals, client: Client) -> None:
    client.send(get(f"{APPROVAL}?1"))
    began = asyncio.get_running_loop().time()
    assert await answer(client) == b"pending"
    assert 1 <= asyncio.get_running_loop().time() - began < 3
    assert approvals.answered == [True, False]


async def test_one_query_asks_for_all_and_none_is_sent_without_waiters(
    gate: Gate, approvals: Approvals, connect: Connect
) -> None:
    clients = [await connect() for _ in range(3)]
    for client, approval_id in zip(clients, (APPROVAL, APPROVAL, OTHER), strict=True):
        await park(gate, client, f"{approval_id}?30")
    approvals.asked.clear()
    await until(lambda: len(approvals.asked) == 2)
    assert approvals.asked[1] == {APPROVAL, OTHER}

    approvals.decided |= {APPROVAL, OTHER}
    assert [await answer(client) for client in clients] == [b"decided"] * 3
    approvals.asked.clear()
    await asyncio.sleep(0.1)
    assert approvals.asked == []


async def test_it_can_wait_again_after_the_watch_has_ended(gate: Gate, approvals: Approvals, client: Client) -> None:
    for _ in range(2):
        approvals.decided.clear()
        await park(gate, client)
        approvals.decided.add(APPROVAL)
        assert await answer(client) == b"decided"
        await asyncio.sleep(0.1)


async def test_further_requests_on_the_connection_wait_for_it(gate: Gate, approvals: Approvals, client: Client) -> None:
    client.send(get(f"{APPROVAL}?30") + get("second") + get("third", "Connection: close"))
    await until(lambda: gate.front.parking.number == 1)
    await asyncio.sleep(0.05)
    assert approvals.answered == [True]
    approvals.decided.add(APPROVAL)
    assert [await answer(client) for _ in range(3)] == [b"decided", b"pending", b"pending"]
    assert await client.rest() == b""


async def test_a_client_that_disconnects_is_forgotten(gate: Gate, approvals: Approvals, client: Client) -> None:
    await park(gate, client)
    client.writer.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    client.writer.transport.abort()
    await until(lambda: gate.front.parking.number == 0)
    approvals.decided.add(APPROVAL)
    await asyncio.sleep(0.1)
    assert approvals.answered == [True]
    assert gate.connections == []


async def test_a_client_that_closes_its_side_is_answered_at_once(
    gate: Gate, approvals: Approvals, client: Client
) -> None:
    """Whether it still reads is not known."""
    await park(gate, client)
    client.writer.write_eof()
    assert await answer(client) == b"pending"
    assert await client.rest() == b""


@pytest.mark.parametrize("path", [f"{APPROVAL}?300", "?30", f"{APPROVAL}?x", f"{APPROVAL}?-1"])
async def test_any_other_header_is_removed_and_answered_at_once(
    approvals: Approvals, client: Client, path: str
) -> None:
    client.send(get(path))
    assert await answer(client) == b"pending"


async def test_an_unknown_kind_is_answered_at_once(approvals: Approvals, client: Client) -> None:
    client.send(get(f"{APPROVAL}?30", "Kind: weather"))
    assert await answer(client) == b"pending"


def test_a_mark_is_read_as_it_was_written() -> None:
    for mark in (Mark(KIND, APPROVAL, 30), Mark(EVENTS, '{"after":1, "types":["a b"]}', 5, "org_1")):
        assert Mark.decode(mark.encode()) == mark


async def test_only_kinds_that_are_waited_for_are_asked_and_one_that_fails_leaves_the_other(
    gate: Gate, approvals: Approvals, client: Client, connect: Connect
) -> None:
    asked: list[set[str]] = []

    def watch_events(abouts: Collection[str]) -> set[str]:
        asked.append(set(abouts))
        return set(abouts) - approvals.decided

    gate.watch_events = watch_events
    await park(gate, client)
    await until(lambda: len(approvals.asked) >= 2)
    assert asked == []

    approvals.failure = ConnectionError("gone")
    other = await connect()
    await park(gate, other, f"{OTHER}?30", f"Kind: {EVENTS}")
    approvals.decided.add(OTHER)
    assert await answer(other) == b"decided"
    assert asked[-1] == {OTHER}


async def test_an_owner_leaves_room_for_others(
    gate: Gate, approvals: Approvals, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parking, "MAX_PARKED_BY_OWNER", 2)
    clients = [await connect() for _ in range(4)]
    for one in clients[:2]:
        await park(gate, one, f"{APPROVAL}?30", "Owner: org_1")
    clients[2].send(get(f"{APPROVAL}?30", "Owner: org_1"))
    assert await answer(clients[2]) == b"pending"
    await park(gate, clients[3], f"{APPROVAL}?30", "Owner: org_2")


async def test_beyond_the_bounds_the_answer_comes_at_once_and_services_have_places_of_their_own(
    gate: Gate, approvals: Approvals, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parking, "MAX_PARKED", 3)
    monkeypatch.setattr(parking, "PARKED_FOR_REVOCATIONS", 1)
    clients = [await connect() for _ in range(4)]
    for one in clients[:2]:
        await park(gate, one, f"{APPROVAL}?30")
    clients[2].send(get(f"{APPROVAL}?30"))
    assert await answer(clients[2]) == b"pending"
    await park(gate, clients[3], f"{APPROVAL}?30", f"Kind: {REVOCATIONS}")
    clients[2].send(get(f"{APPROVAL}?30", f"Kind: {REVOCATIONS}"))
    assert await answer(clients[2]) == b"pending"


async def test_a_request_with_a_body_is_answered_at_once(gate: Gate, approvals: Approvals, client: Client) -> None:
    client.post(f"/{APPROVAL}?30", b"x" * 1000)
    assert await answer(client) == b"pending"
    assert gate.front.held == 0


@pytest.mark.parametrize("name", [PARK, "agentgate.may-park", "Agentgate-May-Park"])
async def test_a_client_cannot_set_the_headers(approvals: Approvals, client: Client, name: str) -> None:
    client.send(get("other", f"{name}: {Mark(KIND, APPROVAL, 30).encode()}"))
    assert await answer(client) == b"pending"


async def test_a_stop_answers_all_at_once(gate: Gate, approvals: Approvals, connect: Connect) -> None:
    clients = [await connect() for _ in range(5)]
    for client in clients:
        await park(gate, client)
    for connection in gate.connections:
        connection.shutdown()
    for client in clients:
        status, headers, body = await client.answer()
        assert (status, body, headers["connection"]) == (200, b"pending", "close")
    assert gate.front.parking.number == 0


async def test_a_stopping_connection_is_not_parked(gate: Gate, approvals: Approvals, client: Client) -> None:
    await gate.settle()
    (connection,) = gate.connections
    assert isinstance(connection, Connection)
    connection.shutdown()
    client.send(get(f"{APPROVAL}?30"))
    assert await answer(client) == b"pending"


async def test_while_the_database_fails_all_wait_until_their_time_ends(
    gate: Gate, approvals: Approvals, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    approvals.failure = ConnectionError("gone\nSELECT secret")
    client.send(get(f"{APPROVAL}?1"))
    assert await answer(client) == b"pending"
    assert "Requests that wait (approval) cannot be watched: gone" in caplog.text
    assert "secret" not in caplog.text


async def test_a_watch_that_hangs_delays_no_answer(gate: Gate, approvals: Approvals, client: Client) -> None:
    goes_on = threading.Event()
    gate.watch = lambda ids: set(ids) if goes_on.wait(10) else set()
    client.send(get(f"{APPROVAL}?1"))
    assert await answer(client) == b"pending"
    goes_on.set()


async def test_few_are_answered_at_the_same_time_and_a_full_pool_refuses_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parking, "WATCH_SECONDS", 0.02)
    async with running(Gate(threads=8, queue=0)) as gate:
        gate.hot.is_cold = True
        approvals = Approvals(gate)
        clients = []
        for _ in range(30):
            reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
            clients.append(Client(reader, writer))
            await park(gate, clients[-1])
        approvals.busiest = 0
        await gate.pass_time(0)
        assert sample("agentgate_parked") == 30
        approvals.decided.add(APPROVAL)
        assert [await answer(client) for client in clients] == [b"decided"] * 30
        assert approvals.busiest <= parking.MAX_RESUMING
        for client in clients:
            client.writer.close()
