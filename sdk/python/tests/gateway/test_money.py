"""Amounts are reserved before a call and settled after it, also when it is unknown what happened."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from fastmcp.exceptions import ToolError
from fastmcp.tools.base import ToolResult
from gateways import FakeGate, Notes, Served, until
from mcp import MCPError

from agentgate_oauth.gateway import money, turns
from agentgate_oauth.gateway.config import Amount, Context, ToolLine
from agentgate_oauth.gateway.lock import Change
from agentgate_oauth.gateway.money import final_amount
from agentgate_oauth.gateway.upstreams import UpstreamClient, UpstreamEnded, UpstreamFailed

PAY: dict[str, Any] = {"to": "bob", "amount": "10"}
WHOLE = ("commit", None)
CHANGE = Change("tools", "pay", {"name": "pay"}, {"name": "pay", "description": "Pay twice"})


def failing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    async def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(UpstreamClient, "_await_with_session_monitoring", fail)


async def test_the_final_amount_is_committed(gate: FakeGate, served: Served) -> None:
    async with served.client() as client:
        assert (await client.call_tool("pay", PAY)).data == {"total": "7.50"}
    (asked,) = gate.verified
    assert asked["reserve"] is True
    assert asked["context"]["amount"] == {"value": "10", "currency": "EUR"}
    # It outlives the call, and the time in which a commit is repeated.
    assert asked["expiresInSeconds"] > money.RETRY_SECONDS
    assert gate.settled == [("commit", {"value": "7.50", "currency": "EUR"})]


@pytest.mark.parametrize(
    "how, settled",
    [
        ("tool", WHOLE),
        ("protocol", WHOLE),
        ("with_total", ("commit", {"value": "0", "currency": "EUR"})),
    ],
)
async def test_an_upstream_may_act_and_then_answer_an_error(
    gate: FakeGate, served: Served, how: str, settled: Any
) -> None:
    async with served.client() as client:
        with pytest.raises((ToolError, MCPError), match="no money"):
            await client.call_tool("pay", {**PAY, "fails": how})
    assert gate.settled == [settled]


@pytest.mark.parametrize(
    "error, settled",
    [
        (UpstreamFailed("notes", "did not start", sent=False), "void"),
        (UpstreamEnded("notes", "ended", sent=False), "void"),
        (UpstreamEnded("notes", "ended", sent=True), "commit"),
    ],
)
async def test_what_is_unknown_is_committed_as_a_whole(
    gate: FakeGate, served: Served, monkeypatch: pytest.MonkeyPatch, error: Exception, settled: str
) -> None:
    async with served.client() as client:
        await client.call_tool("read_note", {"name": "a"})
        failing(monkeypatch, error)
        with pytest.raises(ToolError, match="carried out"):
            await client.call_tool("pay", PAY)
    await until(lambda: gate.settled)
    assert gate.settled == [(settled, None)]


async def test_a_client_that_goes_away_after_sending_pays_the_whole(
    gate: FakeGate, notes: Notes, served: Served
) -> None:
    async with served.client() as client:
        notes.paying.clear()
        call = asyncio.create_task(client.call_tool("pay", PAY))
        await until(lambda: notes.called)
        call.cancel()
        await until(lambda: gate.settled)
        notes.paying.set()
    assert gate.settled == [WHOLE]


async def test_a_blocked_definition_gives_the_money_back(
    gate: FakeGate, notes: Notes, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    pins = served.running.decisions.state.pins
    monkeypatch.setattr(pins, "change_of", lambda entry: CHANGE)  # not "lately": found by this call
    monkeypatch.setattr(pins, "lately_changed", lambda entry: None)
    async with served.client() as client:
        with pytest.raises(ToolError, match="definition_changed"):
            await client.call_tool("pay", PAY)
    await until(lambda: gate.settled)
    assert (gate.settled, notes.called) == ([("void", None)], [])


async def test_a_commit_that_fails_is_repeated(
    gate: FakeGate, served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(money, "_FIRST_PAUSE", 0.01)
    gate.fails_settling = 4  # the SDK repeats it twice by itself
    async with served.client() as client:
        assert (await client.call_tool("pay", PAY)).data == {"total": "7.50"}
    await until(lambda: gate.settled)
    assert len(gate.settled) == 1
    assert "is repeated" in caplog.text
    # After its time it is given up and logged, and the reservation lapses.
    monkeypatch.setattr(money, "RETRY_SECONDS", 0.0)
    gate.fails_settling = 100
    caplog.clear()
    async with served.client() as client:
        await client.call_tool("pay", PAY)
    await until(lambda: "counts until it lapses" in caplog.text)


async def test_a_call_without_a_turn_gives_the_money_back(
    gate: FakeGate, notes: Notes, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "MAX_SECONDS", 0.05)
    served.running.decisions._turns._free = 0
    async with served.client() as client:
        with pytest.raises(ToolError, match="No turn came"):
            await client.call_tool("pay", PAY)
        await until(lambda: gate.settled)
        monkeypatch.setattr(turns, "MAX_SECONDS", 5)
        call = asyncio.create_task(client.call_tool("pay", PAY))
        await until(lambda: len(gate.verified) == 2)
        call.cancel()
        await until(lambda: len(gate.settled) == 2)
    assert (gate.settled, notes.called) == ([("void", None)] * 2, [])


async def test_a_denied_reservation_goes_nowhere(gate: FakeGate, notes: Notes, served: Served) -> None:
    gate.denies.add("shop:pay")
    async with served.client() as client:
        with pytest.raises(ToolError, match="policy_denied"):
            await client.call_tool("pay", PAY)
    assert (notes.called, gate.settled) == ([], [])


def test_the_final_amount_is_read_where_the_mapping_says(caplog: pytest.LogCaptureFixture) -> None:
    def read(result: ToolResult, path: str = "total", units: int | None = None) -> str | None:
        amount = Amount(argument="amount", currency="EUR", minor_units=units)
        line = ToolLine(scope="shop:pay", risk="high", context=Context(amount=amount), final_amount=path)
        return final_amount(line, {"value": "10", "currency": "EUR"}, result)

    assert read(ToolResult(structured_content={"total": "7.50"})) == "7.50"
    assert read(ToolResult(structured_content={"a": {"b": 3}}), "structured.a.b") == "3"
    assert read(ToolResult(structured_content={"total": 750}), units=2) == "7.50"
    assert read(ToolResult(content='{"total": 2.5}')) == "2.5"
    assert read(ToolResult(structured_content={"total": 0.1 + 0.2})) == "0.3"
    # What verify would refuse to commit, and what would take gigabytes to write out.
    texts = ("1E-999999999", "1E+99999999999999999", "-0", "0.123456789", "\u0661", " 5", "NaN")
    numbers: tuple[Any, ...] = (10**100, [5], {"value": 5})
    for value in (*texts, *numbers):
        for units in (None, 2):
            assert read(ToolResult(structured_content={"total": value}), units=units) is None
    caplog.set_level(logging.WARNING)
    for content in ('{"total": 11}', '{"total": -1}', '{"total": "x"}', '{"total": true}', "{}", "no", "[]"):
        caplog.clear()
        assert read(ToolResult(content=content)) is None, content
        assert "whole amount" in caplog.text
