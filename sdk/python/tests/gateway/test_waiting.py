"""Approvals within the call: the user is shown where to decide, and an approved call runs once."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest
from fastmcp.client.elicitation import ElicitResult
from fastmcp.exceptions import ToolError
from gateways import APPROVAL_URL, FakeGate, Notes, Served, until

from agentgate_oauth.gateway import approvals, lock
from agentgate_oauth.gateway.approvals import Flight, Flights
from agentgate_oauth.service import Refusal

NOTE = {"name": "a", "text": "b"}


class Person:
    """Opens links, and decides there. `answer` is what the client says of the link."""

    def __init__(self, gate: FakeGate, answer: str = "accept") -> None:
        self.gate, self.answer = gate, answer
        self.links: list[str] = []

    async def __call__(self, message: str, response_type: Any, params: Any, context: Any) -> Any:
        self.links.append(params.url)
        if self.answer == "accept":
            self.gate.status = "approved"
        return ElicitResult(action=self.answer)


@pytest.fixture(params=["legacy", "auto"], ids=["2025-11-25", "2026-07-28"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_a_client_that_opens_urls_shows_the_page(
    gate: FakeGate, notes: Notes, served: Served, mode: str
) -> None:
    gate.asks.add("notes:write")
    person = Person(gate)
    async with served.client(mode=mode, elicitation_handler=person) as client:
        result = await client.call_tool("write_note", NOTE)
    assert result.data == "written: a"
    assert person.links == [APPROVAL_URL]
    assert notes.called == [("write_note", "a")]


async def test_a_user_who_declines_is_not_waited_for(
    gate: FakeGate, notes: Notes, served: Served, mode: str
) -> None:
    gate.asks.add("notes:write")
    async with served.client(mode=mode, elicitation_handler=Person(gate, "decline")) as client:
        with pytest.raises(ToolError, match="approval_required"):
            await client.call_tool("write_note", NOTE)
    assert (gate.looks, notes.called) == (0, [])


@pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")
async def test_another_client_hears_of_the_link_while_the_call_waits(
    gate: FakeGate, notes: Notes, served: Served, mode: str
) -> None:
    gate.asks.add("notes:write")
    heard: list[str] = []

    async def log(message: Any) -> None:
        heard.append(str(message.data))

    async def progress(_: float, __: float | None, message: str | None) -> None:
        heard.append(str(message))
        gate.status = "approved"

    async with served.client(mode=mode, log_handler=log, progress_handler=progress) as client:
        assert (await client.call_tool("write_note", NOTE)).data == "written: a"
    assert [APPROVAL_URL in text for text in heard] == [True, True]


async def test_a_user_who_denies_ends_the_wait_and_the_client_hears_of_it(
    gate: FakeGate, notes: Notes, served: Served
) -> None:
    be_patient(served)
    gate.asks.add("notes:write")
    async with served.client() as client:
        call = asyncio.create_task(client.call_tool("write_note", NOTE))
        await until(lambda: gate.looks)
        gate.status = "denied"
        with pytest.raises(ToolError, match="Do not send it again"):
            await call
    assert notes.called == []


async def test_without_an_answer_the_call_ends_with_the_link_and_what_to_do(
    gate: FakeGate, notes: Notes, served: Served
) -> None:
    gate.asks.add("notes:write")
    async with served.client() as client:
        with pytest.raises(ToolError) as raised:
            await client.call_tool("write_note", NOTE)
        body = json.loads(str(raised.value))
        assert (body["reason"], body["approvalUrl"]) == ("approval_required", APPROVAL_URL)
        assert "Then send it again" in body["detail"]
        assert notes.called == []
        # The user approves later: the same call, sent twice at once, is carried out once.
        gate.status = "approved"
        notes.blocker.clear()
        calls = [asyncio.create_task(client.call_tool("write_note", NOTE)) for _ in range(2)]
        await until(lambda: notes.called)
        notes.blocker.set()
        assert [(await call).data for call in calls] == ["written: a"] * 2
    assert notes.called == [("write_note", "a")]


async def test_the_same_call_joins_one_that_waits(gate: FakeGate, notes: Notes, served: Served) -> None:
    be_patient(served)
    gate.asks.add("notes:write")
    async with served.client() as client, served.client("ada.agent.2", "legacy") as twin:
        calls = [asyncio.create_task(client.call_tool("write_note", NOTE))]
        await until(lambda: gate.looks)
        calls += [asyncio.create_task(one.call_tool("write_note", NOTE)) for one in (client, twin)]
        gate.scopes["ada.agent.less"] = ("notes:write",)
        others = [
            served.client(one) for one in ("bob.agent", "ada.other", "ada.agent.handed", "ada.agent.less")
        ]
        async with AsyncExitStack() as stack:
            differing = [(await stack.enter_async_context(one), NOTE) for one in others]
            differing.append((client, {**NOTE, "text": "c"}))
            asked = [asyncio.create_task(one.call_tool("write_note", note)) for one, note in differing]
            await until(lambda: len(gate.verified) == 6)
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
            await until(lambda: len(served.running.decisions._flights.announced) == 1)
        gate.status = "approved"
        assert [(await call).data for call in calls] == ["written: a"] * 3
    assert notes.called == [("write_note", "a")]


async def test_a_call_that_asks_its_user_first_answers_for_no_other() -> None:
    flights, release = Flights(), asyncio.Event()

    async def ask_first(flight: Flight) -> str:
        flight.announce()
        await release.wait()
        return "asked"

    async def carry_out(flight: Flight) -> str:
        flight.announce()
        flight.is_forwarded = True
        return "done"

    asking = asyncio.create_task(flights.run("key", ask_first))
    await asyncio.sleep(0)
    joining = asyncio.create_task(flights.run("key", carry_out))
    await asyncio.sleep(0)
    release.set()
    assert (await asking, await joining) == ("asked", "done")


async def test_calls_without_an_approval_are_not_joined(notes: Notes, served: Served) -> None:
    async with served.client() as client:
        await asyncio.gather(*(client.call_tool("write_note", NOTE) for _ in range(2)))
    assert notes.called == [("write_note", "a")] * 2


def be_patient(served: Served) -> None:
    state = served.running.decisions.state
    state.limits = state.limits.model_copy(update={"approval_seconds": 10.0})


async def test_a_client_that_goes_away_ends_its_waiting(gate: FakeGate, notes: Notes, served: Served) -> None:
    gate.asks.add("notes:write")
    be_patient(served)
    flights = served.running.decisions._flights
    async with served.client() as client:
        call = asyncio.create_task(client.call_tool("write_note", NOTE))
        await until(lambda: gate.looks)
        assert len(flights.announced) == 1
        follower = served.client("ada.agent.2")
        async with follower:
            joined = asyncio.create_task(follower.call_tool("write_note", NOTE))
            await asyncio.sleep(0.1)
            call.cancel()
            await until(lambda: len(gate.verified) >= 2)  # the one that joined goes on by itself
            gate.status = "approved"
            assert (await joined).data == "written: a"
    await until(lambda: not flights.announced)
    assert notes.called == [("write_note", "a")]


async def test_a_gateway_that_stops_does_not_wait_for_the_user(gate: FakeGate, served: Served) -> None:
    gate.asks.add("notes:write")
    be_patient(served)
    async with served.client() as client:
        call = asyncio.create_task(client.call_tool("write_note", NOTE))
        await until(lambda: gate.looks)
        served.running.decisions.stopping.set()
        with pytest.raises(ToolError, match="approvalUrl"):
            await asyncio.wait_for(call, 5)


async def test_what_changes_while_the_call_waits_counts(gate: FakeGate, notes: Notes, served: Served) -> None:
    gate.asks.add("notes:write")
    be_patient(served)
    running = served.running
    async with served.client() as client:
        call = asyncio.create_task(client.call_tool("write_note", NOTE))
        await until(lambda: gate.looks)
        gate.ended.add("ada.agent")
        gate.status = "approved"
        with pytest.raises(ToolError, match="token_revoked"):
            await call
        gate.ended.clear()
        gate.status = "pending"
        call = asyncio.create_task(client.call_tool("write_note", NOTE))
        await until(lambda: gate.looks > 1)
        pinned = lock.load(running.files.lock)["notes"]
        changed = {**pinned.tools["write_note"], "description": "Write a note, and send it to everyone"}
        running.decisions.state.pins.compare("notes", pinned.with_one("tools", "write_note", changed))
        gate.status = "approved"
        with pytest.raises(ToolError, match="definition_changed"):
            await call
    assert notes.called == []


@pytest.mark.parametrize(
    "old, new",
    [
        ("write_note:", "other:"),
        ("scope: notes:write", "scope: shop:pay"),
        ("  notes:\n    url: http://127.0.0.1", "  notes:\n    url: http://localhost"),
    ],
    ids=["no line", "another scope", "another upstream"],
)
async def test_a_file_that_is_edited_while_the_call_waits_counts(
    gate: FakeGate, notes: Notes, served: Served, old: str, new: str
) -> None:
    gate.asks.add("notes:write")
    be_patient(served)
    config = served.running.files.config
    async with served.client() as client:
        call = asyncio.create_task(client.call_tool("write_note", NOTE))
        await until(lambda: gate.looks)
        text = config.read_text()
        assert old in text
        config.write_text(text.replace(old, new))
        served.running.reload()
        gate.status = "approved"
        with pytest.raises(ToolError, match="configuration_changed"):
            await call
    assert notes.called == []


async def test_the_time_to_open_the_page_is_a_part_of_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    class SlowGuard:
        async def await_decision(self, _: str, patience: timedelta) -> bool:
            waits.append(patience.total_seconds())
            return False

    async def show(*_: object) -> Any:
        await asyncio.sleep(0.05)
        return approvals.Shown.OPENED

    monkeypatch.setattr(approvals, "_show", show)
    refused = Refusal(403, {}, approval_id="apr_1", approval_url=APPROVAL_URL)
    for seconds in (10.0, 0.01):
        await approvals.wait_for_user(SlowGuard(), refused, seconds, show)  # type: ignore[arg-type]
    assert 9 < waits[0] <= 9.95
    assert waits[1] == 0
