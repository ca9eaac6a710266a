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


async def _drip(writer: asyncio.StreamWriter, data: bytes) -> None:
    while data:
        await asyncio.sleep(0.05)
        writer.write(data)
