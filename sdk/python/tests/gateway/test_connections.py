"""Connections that send no request in time are closed, and others are not."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
import uvicorn
from gateways import until

from agentgate_oauth.gateway import connections
from agentgate_oauth.gateway.running import http_config

REQUEST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"


async def answer_late(scope: Any, receive: Any, send: Any) -> None:
    await asyncio.sleep(0.4)
    await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize(
    "first, then, is_answered",
    [
        (b"", b"", False),
        (b"POST / HTTP/1.1\r\n", b"X: ", False),  # headers that drip
        (REQUEST, b"1", True),  # a body that drips, after the answer
        (REQUEST + b"12345", b"", True),
    ],
)
async def test_a_connection_without_a_request_is_closed(
    monkeypatch: pytest.MonkeyPatch, first: bytes, then: bytes, is_answered: bool
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.2)
    config = http_config(answer_late, "127.0.0.1", 0)
    config.lifespan = "off"
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(config)
        task = asyncio.create_task(server._serve([listener]))
        await until(lambda: server.started)
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(first)
        dripping = asyncio.create_task(_drip(writer, then))
        received = await asyncio.wait_for(reader.read(), 3)  # until the gateway closes it
        dripping.cancel()
        writer.close()
        server.should_exit = True
        await task
    assert received.startswith(b"HTTP/1.1 401") is is_answered


async def test_a_client_that_does_not_read_its_answer_is_disconnected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "WRITE_SECONDS", 0.1)
    outcome: asyncio.Future[object] = asyncio.get_running_loop().create_future()

    async def answer_much(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(100):
            await send({"type": "http.response.body", "body": b"x" * 1_000_000, "more_body": True})
        outcome.set_result(await receive())

    config = http_config(answer_much, "127.0.0.1", 0)
    config.lifespan = "off"
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(config)
        task = asyncio.create_task(server._serve([listener]))
        await until(lambda: server.started)
        reader, writer = await asyncio.open_connection(*listener.getsockname(), limit=1000)
        writer.write(REQUEST + b"12345")
        assert await asyncio.wait_for(outcome, 5) == {"type": "http.disconnect"}
        writer.close()
        server.should_exit = True
        await task


async def _drip(writer: asyncio.StreamWriter, data: bytes) -> None:
    while data:
        await asyncio.sleep(0.05)
        writer.write(data)
