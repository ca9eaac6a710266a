"""Turns of callers whose requests take long to parse."""

import asyncio
import threading
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from core.messages import Reply, Request
from core.pool import PoolFull, Work
from core.secrets import digest
from server.front import headers
from server.front.bounds import SMALL_BODY
from server.front.headers import caller_in_turn
from server.front.turns import FairPool, FairQueue, LoopWorker
from tests.server.front.conftest import JSON, Gate, running

LARGE = b"x" * (SMALL_BODY + 1)
Connect = Callable[[], Any]
VERIFY = "/api/v1/tokens/verify/batch"


@pytest.fixture
async def gate() -> AsyncIterator[Gate]:
    async with running(Gate(threads=1, queue=8)) as gate:
        yield gate


def test_callers_take_turns() -> None:
    queues: FairQueue[str] = FairQueue()
    for item in ("a1", "a2", "a3", "b1", "b2", "c1"):
        queues.add(item[0], item)
    assert [queues.take() for _ in range(6)] == ["a1", "b1", "c1", "a2", "b2", "a3"]
    assert queues.number == 0


def test_made_up_credentials_take_no_turns_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def turn(secret: str, peer: str = "192.0.2.1") -> str:
        sent = {"authorization": f"Basic {b64encode(f'res_1:{secret}'.encode()).decode()}"} if secret else {}
        return caller_in_turn(Request("POST", VERIFY, "", sent, b"", peer, "http"))

    assert turn("a") == turn("b") == turn("") != turn("a", "192.0.2.2")
    organizations = {digest("a"): "org_1", digest("b"): "org_1", digest("c"): "org_2"}
    monkeypatch.setattr(headers, "proved_organization", lambda credential: organizations.get(credential.digest))
    assert turn("a") == turn("a", "192.0.2.2") != turn("d")
    assert turn("a") == turn("b") != turn("c"), "an organization has one turn, however many services"


async def test_the_loop_does_one_piece_of_work_per_turn() -> None:
    done: list[str] = []
    work = LoopWorker()
    for name in ("a", "b", "c"):
        work.add("flood", lambda name=name: done.append(name))  # type: ignore[misc]
    work.add("other", lambda: done.append("other"))
    seen = []
    while len(done) < 4:
        seen.append(len(done))
        await asyncio.sleep(0)
    assert done == ["a", "other", "b", "c"]
    assert seen == [0, 1, 2, 3]


async def test_a_small_request_is_answered_before_the_second_of_several_large_ones(
    gate: Gate, connect: Connect
) -> None:
    flood, other = [await connect() for _ in range(3)], await connect()
    for client in flood:
        client.post("/a", LARGE)
    other.post("/a", b"small")
    assert [(await client.answer())[0] for client in (*flood, other)] == [200] * 4
    places = [len(request.body) for request in gate.hot.requests]
    assert places.index(5) <= 1


async def test_a_large_request_that_fails_is_answered_and_so_are_those_behind_it(gate: Gate, connect: Connect) -> None:
    def reply(request: Request) -> Reply:
        if request.path == "/fails":
            raise ValueError("made up")
        return Reply(200, JSON, b"{}")

    gate.hot.reply = reply
    clients = [await connect() for _ in range(3)]
    for client, path in zip(clients, ("/a", "/fails", "/b"), strict=True):
        client.post(path, LARGE)
    assert [(await client.answer())[0] for client in clients] == [200, 500, 200]


async def test_few_threads_work_for_callers_in_turn() -> None:
    threads = FairPool(4, computing=2, most=6)
    started: list[str] = []
    ended: list[str] = []
    gates = {name: threading.Event() for name in ("a1", "a2", "a3", "a4", "a5", "a6", "b1", "c1")}

    def piece(name: str) -> Callable[[], Callable[[], object]]:
        def work() -> Callable[[], object]:
            started.append(name)
            gates[name].wait(10)
            return lambda: ended.append(name)

        return work

    for name in ("a1", "a2", "a3", "a4", "a5"):
        threads.submit("a", piece(name))
    with pytest.raises(PoolFull):
        threads.submit("a", piece("a6"))
    threads.submit("b", piece("b1"))
    threads.submit("c", piece("c1"))
    assert threads.waiting == 5
    for number in range(7):
        await until(lambda number=number: len(started) >= min(number + 2, 7))
        assert len(started) == min(number + 2, 7), "more than two work at a time"
        gates[started[number]].set()
        await until(lambda number=number: len(ended) == number + 1)
    threads.stop()
    assert set(started[:2]) == {"a1", "a2"}
    assert started[2:] == ["a3", "b1", "c1", "a4", "a5"]


async def test_a_caller_whose_work_hangs_has_its_part_of_the_threads() -> None:
    threads = FairPool(3, computing=3, most=6)
    gate, ended = threading.Event(), []

    def hang() -> Callable[[], object]:
        gate.wait(10)
        return lambda: ended.append("a")

    for _ in range(4):
        threads.submit("a", hang)
    threads.submit("b", lambda: lambda: ended.append("b"))
    await until(lambda: ended == ["b"])
    gate.set()
    await until(lambda: ended == ["b", *"aaaa"])
    threads.stop()


async def test_an_agent_has_its_part_of_the_threads_however_many_addresses_name_it() -> None:
    threads = FairPool(3, computing=3, most=32)
    gate, ended = threading.Event(), []

    def hang() -> Callable[[], object]:
        gate.wait(10)
        return lambda: ended.append("a")

    for address in range(8):
        threads.submit(f"address{address}", hang, "a")
    threads.submit("address7", lambda: lambda: ended.append("same address"), "b")
    threads.submit("new", lambda: lambda: ended.append("new"), "b")
    await until(lambda: ended == ["same address", "new"])
    assert threads.waiting == 6
    gate.set()
    await until(lambda: ended[2:] == ["a"] * 8)
    threads.stop()


async def test_who_names_the_agent_of_others_takes_one_turn_before_each_of_theirs() -> None:
    threads = FairPool(2, computing=2, most=32)
    gate, ended = threading.Event(), []

    def piece(name: str) -> Callable[[], Callable[[], object]]:
        def work() -> Callable[[], object]:
            gate.wait(10)
            return lambda: ended.append(name)

        return work

    for _ in range(8):
        threads.submit("liar", piece("lie"), "a")
    for number in range(2):
        threads.submit("honest", piece(f"honest{number}"), "a")
    gate.set()
    await until(lambda: len(ended) == 10)
    assert ended[:5] == ["lie", "lie", "honest0", "lie", "honest1"]
    threads.stop()


async def test_few_callers_leave_a_thread_to_another() -> None:
    """However long their work hangs: each leaves half of the threads that it found."""
    threads = FairPool(8, computing=8, most=256)
    gate, ended = threading.Event(), []

    def hang() -> Callable[[], object]:
        gate.wait(10)
        return lambda: ended.append("flood")

    for caller, waiting in (("first", 4), ("second", 10), ("third", 17)):
        for number in range(8):
            threads.submit(caller, hang, f"agent {number} of the {caller}")
        assert threads.waiting == waiting
    threads.submit("fourth", lambda: lambda: ended.append("fourth"))
    await until(lambda: ended == ["fourth"])
    gate.set()
    await until(lambda: len(ended) == 25)
    threads.stop()


async def until(happens: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not happens():
            await asyncio.sleep(0.001)


async def test_threads_that_wait_for_decisions_keep_no_other_caller_waiting() -> None:
    threads = FairPool(8, computing=2, most=20, each=2)
    decided, order = threading.Event(), []

    def piece(name: str, *, waits: bool = False) -> Callable[[], Callable[[], object]]:
        def work() -> Callable[[], object]:
            if waits:
                threads.waiting_for(lambda: decided.wait(5))
            return lambda: order.append(name)

        return work

    for number in range(4):
        threads.submit("flood", piece(f"flood{number}", waits=True))
    threads.submit("other", piece("other"))
    async with asyncio.timeout(5):
        while not order:
            await asyncio.sleep(0.001)
    assert order == ["other"]
    assert threads.waiting == 2, "the flood has as many threads as may compute"
    decided.set()
    async with asyncio.timeout(5):
        while len(order) < 5:
            await asyncio.sleep(0.001)
    threads.stop()


async def test_requests_to_decide_do_not_wait_for_pages(gate: Gate, connect: Connect) -> None:
    """And pages do not wait for them."""
    gate.hot.is_cold = True
    held = threading.Event()

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        if "hold" in environ["QUERY_STRING"]:
            held.wait(5)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [environ["PATH_INFO"].encode()]

    gate.application = application
    for first, second in (("/page", VERIFY), (VERIFY, "/page")):
        slow, fast = await connect(), await connect()
        slow.post(f"{first}?hold", b"{}")
        await gate.settle()
        fast.post(second, b"{}")
        assert (await fast.answer())[2] == second.encode()
        held.set()
        assert (await slow.answer())[2] == first.encode()
        held.clear()


def fill(threads: FairPool, work: Work, caller: str, agent: str = "") -> int:
    """Submit pieces until one is refused. Return how many wait then."""

    def submit() -> None:
        for _ in range(20):
            threads.submit(caller, work, agent)

    with pytest.raises(PoolFull):
        submit()
    return threads.waiting


async def test_a_few_callers_leave_places_to_others() -> None:
    """However much they send: each leaves half of what it found."""
    threads, release = FairPool(1, computing=1, most=16), threading.Event()

    def wait() -> Callable[[], object]:
        release.wait(5)
        return lambda: None

    assert fill(threads, wait, "first") == 8
    assert fill(threads, wait, "second") == 12
    assert fill(threads, wait, "third") == 14
    assert fill(threads, wait, "fourth") == 15
    assert fill(threads, wait, "fifth") == 16
    assert fill(threads, wait, "sixth") == 16
    release.set()
    threads.stop()


async def test_an_agent_leaves_places_to_others_and_to_its_other_addresses() -> None:
    """So neither an agent with many addresses, nor who names the agent of others, keeps anyone from the queue."""
    threads, release = FairPool(1, computing=1, most=16), threading.Event()

    def wait() -> Callable[[], object]:
        release.wait(5)
        return lambda: None

    threads.submit("running", wait)
    assert fill(threads, wait, "liar", "a") == 6
    assert fill(threads, wait, "honest", "a") == 8
    assert [fill(threads, wait, f"address{number}", "a") for number in range(16)] == [8] * 16
    assert fill(threads, wait, "new", "b") == 11
    release.set()
    threads.stop()
