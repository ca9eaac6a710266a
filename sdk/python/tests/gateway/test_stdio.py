"""MCP over standard input and output: nothing else is written there, and no call is lost at the end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentgate_oauth.gateway.stdio import _split

SERVER = """
import asyncio, os, subprocess, sys
from fastmcp import FastMCP
from agentgate_oauth.gateway.config import Limits
from agentgate_oauth.gateway.stdio import serve

server = FastMCP("noisy")

@server.tool
async def slow(seconds: float) -> str:
    print("printed")
    os.write(1, b"written\\n")
    subprocess.run([sys.executable, "-c", "print('by a child', input())"], stderr=subprocess.DEVNULL)
    print("started", file=sys.stderr, flush=True)
    await asyncio.sleep(seconds)
    return "done"

asyncio.run(serve(server, Limits(message_bytes=10_000, calls=1)))
"""


class Client:
    """Starts the server, and speaks to it line by line."""

    def __init__(self) -> None:
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
        environment.pop("PYTHONUNBUFFERED", None)  # what is printed stays in a buffer until the end
        self.program = subprocess.Popen(
            [sys.executable, "-c", SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        )
        info = {"name": "t", "version": "1"}
        asked = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info}
        self.send("initialize", asked, 0)
        assert self.answer()["result"]["serverInfo"]["name"] == "noisy"
        self.send("notifications/initialized", {})

    def send(self, method: str, params: dict[str, Any], id: object = None) -> None:
        message = {"jsonrpc": "2.0", "method": method, "params": params, **({} if id is None else {"id": id})}
        self.write(json.dumps(message).encode() + b"\n")

    def write(self, data: bytes) -> None:
        assert self.program.stdin is not None
        self.program.stdin.write(data)
        self.program.stdin.flush()

    def call(self, seconds: float, id: object) -> None:
        self.send("tools/call", {"name": "slow", "arguments": {"seconds": seconds}}, id)

    def answer(self) -> Any:
        assert self.program.stdout is not None
        return json.loads(self.program.stdout.readline())

    def await_start(self) -> None:
        assert self.program.stderr is not None
        while b"started" not in (line := self.program.stderr.readline()):
            assert line, "the server ended"


@pytest.fixture
def client() -> Iterator[Client]:
    client = Client()
    with client.program as program:
        yield client
        program.kill()


def text_of(answer: Any) -> object:
    return answer["result"]["content"][0]["text"]


def test_sigterm_refuses_new_requests_and_ends_after_the_call_in_flight(client: Client) -> None:
    client.call(1, "a")
    client.await_start()
    client.program.send_signal(signal.SIGTERM)
    time.sleep(0.2)  # nothing says that the signal has arrived
    client.call(0, "late")
    assert client.answer() == {
        "jsonrpc": "2.0",
        "id": "late",
        "error": {"code": -32600, "message": "The gateway is stopping"},
    }
    assert text_of(client.answer()) == "done"
    assert client.program.wait(10) == 0, "although its input is still open"


def test_the_end_of_input_loses_no_call_and_bad_lines_are_answered(client: Client) -> None:
    client.write(b"not json\n\n")
    assert client.answer()["error"]["code"] == -32700
    client.write(b'{"jsonrpc": "2.0", "id": 1, "method": "' + b"x" * 100_000 + b'"}\n')
    assert client.answer() == {
        "jsonrpc": "2.0",
        "id": None,
        "error": {"code": -32700, "message": "Not a message of JSON-RPC with at most 10000 bytes"},
    }
    for number in range(1, 5):
        client.call(60 if number == 1 else 0.5, number)
    client.call(0, 5)
    assert client.answer()["error"]["message"] == "Too many requests at once"
    client.send("notifications/cancelled", {"requestId": 1})
    assert client.program.stdin is not None
    client.program.stdin.close()
    assert sorted(client.answer()["id"] for _ in range(3)) == [2, 3, 4], "the cancelled one is not awaited"
    assert client.program.stdout is not None
    assert (client.program.wait(10), client.program.stdout.read()) == (0, b"")


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_lines_are_split_and_bounded_wherever_chunks_end(size: int) -> None:
    data = b'{"a": 1}\r\n\n  \n' + b"x" * 11 + b"\n" + b"y" * 30 + b"\n" + b"z" * 10 + b"\nlast"
    chunks = [data[start : start + size] for start in range(0, len(data), size)]
    assert list(_split(iter(chunks), 10)) == [b'{"a": 1}\r', b"", b"", b"z" * 10, b"last"]
