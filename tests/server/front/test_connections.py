"""Too many connections: idle and stalled clients make room, and one address cannot take all places."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from ipaddress import ip_network
from typing import Any

import pytest

from core.messages import Reply
from server.front import bounds
from server.front.headers import _address_of, is_proxy
from tests.server.front.conftest import JSON, Client, Gate

Connect = Callable[..., Any]
GET = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
STALLED = [b"", GET, GET[:9], b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc", b"NONSENSE\r\n\r\n"]


@pytest.fixture(autouse=True)
def three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_CONNECTIONS", 3)


@pytest.fixture
def proxies(settings: Any) -> Iterator[Any]:
    yield settings
    for cached in (is_proxy, _address_of):
        cached.cache_clear()


async def is_cut_off(client: Client) -> bool:
    with suppress(ConnectionError):
        await client.rest()
    return True


async def is_served(client: Client) -> bool:
    client.send(GET)
    return (await client.answer())[0] == 200


@pytest.mark.parametrize("sent", STALLED)
async def test_the_client_that_has_kept_it_waiting_longest_makes_room(
    gate: Gate, connect: Connect, sent: bytes
) -> None:
    idle = []
    for second in range(3):
        idle.append(await connect())
        idle[-1].send(sent)
        await gate.settle()
        gate.clock.move(second + 1)
    newcomer = await connect()

    assert await is_served(newcomer)
    assert await is_cut_off(idle[0])
    assert len(gate.connections) == 3


async def test_a_client_that_was_answered_last_stays(gate: Gate, connect: Connect) -> None:
    first, second, third = [await connect() for _ in range(3)]
    for second_now, client in enumerate((second, third, first), 1):
        await gate.settle()
        gate.clock.move(second_now)
        assert await is_served(client)
    await connect()

    assert await is_cut_off(second)
    assert await is_served(first)
    assert await is_served(third)


async def test_what_is_being_answered_stays(gate: Gate, connect: Connect) -> None:
    asking = await connect()
    gate.hot.is_holding = True
    asking.send(GET)
    await gate.settle()
    gate.hot.is_holding = False
    for _ in range(5):
        assert await is_served(await connect())
    gate.hot.waiting.pop()(Reply(200, JSON, b"late"))

    assert (await asking.answer())[2] == b"late"


async def test_a_client_that_still_reads_its_reply_stays(gate: Gate, connect: Connect) -> None:
    reading = await connect()
    reading.writer.transport.pause_reading()
    gate.hot.reply = lambda request: Reply(200, JSON, b"x" * 20_000_000 if request.path == "/long" else b"")
    reading.send(GET.replace(b"/a", b"/long"))
    await gate.settle()
    for _ in range(5):
        assert await is_served(await connect())
    reading.writer.transport.resume_reading()

    assert len((await reading.answer())[2]) == 20_000_000


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_clients_that_hardly_read_their_replies_do_not_keep_all_others_out(
    gate: Gate, connect: Connect, is_streamed: bool
) -> None:
    gate.hot.reply = lambda request: Reply(200, JSON, b"x" * 20_000_000)
    gate.application = lambda environ, start: (start("200 OK", []), iter([b"x" * 100_000] * 200))[1]
    gate.hot.is_cold = is_streamed
    for second in range(3):
        slow = await connect()
        slow.writer.transport.pause_reading()
        slow.send(GET)
        async with asyncio.timeout(10):
            while len(gate.connections) <= second or not all(each.has_unread for each in gate.connections):
                await gate.settle()
        gate.clock.move(second + 1)
    gate.hot.is_cold, gate.hot.reply = False, lambda request: Reply(200, JSON, b"")

    assert await is_served(await connect())
    assert len(gate.connections) == 3


class TestShares:
    @pytest.fixture(autouse=True)
    def two_per_address(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(bounds, "MAX_PER_ADDRESS", 2)

    async def test_an_address_with_its_share_loses_its_own(self, gate: Gate, connect: Connect) -> None:
        other = await connect("127.0.0.2")
        await gate.settle()
        mine = []
        for second in range(2):
            mine.append(await connect())
            await gate.settle()
            gate.clock.move(second + 1)
        assert await is_served(await connect())

        assert await is_cut_off(mine[0])
        assert await is_served(other)

    async def test_an_address_with_its_share_of_busy_connections_is_refused(self, gate: Gate, connect: Connect) -> None:
        gate.hot.is_holding = True
        for _ in range(2):
            (await connect()).send(GET)
            await gate.settle()
        gate.hot.is_holding = False

        assert (await (await connect()).answer())[0] == 503
        assert await is_served(await connect("127.0.0.2"))

    async def test_what_an_address_closes_is_its_share_again(self, gate: Gate, connect: Connect) -> None:
        for _ in range(4):
            client = await connect()
            assert await is_served(client)
            client.writer.close()
            await gate.settle()
        gate.hot.is_holding = True
        for _ in range(2):
            (await connect()).send(GET)
            await gate.settle()

        assert len(gate.hot.waiting) == 2

    async def test_a_trusted_proxy_has_no_share(self, gate: Gate, connect: Connect, proxies: Any) -> None:
        proxies.TRUSTED_PROXIES = [ip_network("127.0.0.1/32")]
        is_proxy.cache_clear()
        gate.hot.is_holding = True
        for _ in range(3):
            (await connect()).send(GET)
            await gate.settle()

        assert len(gate.hot.waiting) == 3

    async def test_the_connections_of_a_proxy_go_last(self, gate: Gate, connect: Connect, proxies: Any) -> None:
        proxies.TRUSTED_PROXIES = [ip_network("127.0.0.1/32")]
        is_proxy.cache_clear()
        pooled = [await connect() for _ in range(2)]
        await gate.settle()
        gate.clock.move(1)
        direct = await connect("127.0.0.2")
        await gate.settle()
        assert await is_served(await connect("127.0.0.3"))
        assert await is_cut_off(direct)
        assert await is_served(pooled[0])
