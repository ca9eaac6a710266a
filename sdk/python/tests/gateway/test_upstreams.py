"""Sessions with upstreams: whose they are, how many there are, and what a hostile upstream can do to them."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import resource
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import MCPError

from agentgate_oauth.gateway import transports
from agentgate_oauth.gateway.config import ConfigError, Limits, Upstream
from agentgate_oauth.gateway.lock import Definitions
from agentgate_oauth.gateway.upstreams import (
    UpstreamBusy,
    UpstreamClient,
    UpstreamEnded,
    UpstreamError,
    UpstreamFailed,
    Upstreams,
    read_definitions,
)

HOSTILE = Path(__file__).with_name("hostile_upstream.py")
SMALL = Limits(message_bytes=100_000)
QUICK = Limits(message_bytes=100_000, call_seconds=0.6)
MEMORY = 30_000_000
Clients = Callable[..., UpstreamClient]


def upstream(start: str = "well", **options: Any) -> Upstream:
    return Upstream(command=[sys.executable, "-S", "-E", str(HOSTILE), start], **options)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transports, "GRACE_SECONDS", 0.2)


@asynccontextmanager
async def pool_of(limits: Limits = SMALL, *, start: str = "well", **options: Any) -> AsyncIterator[Upstreams]:
    pool = Upstreams({"up": upstream(start)}, limits, **options)
    try:
        yield pool
    finally:
        await pool.aclose(0)


def client(pool: Upstreams, user: str = "u", agent: str = "a", era: Any = "legacy") -> UpstreamClient:
    return pool.client("up", user_id=user, agent_id=agent, era=era)


async def say(one: UpstreamClient, tool: str, **arguments: Any) -> str:
    async with one:
        result = await one.call_tool_mcp(tool, arguments)
        return str(getattr(result.content[0], "text", ""))


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] not in "ZX"
    except FileNotFoundError:
        return False


async def eventually(condition: Callable[[], bool]) -> None:
    for _ in range(300):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen within 3 seconds")


async def test_a_session_belongs_to_one_user_agent_and_era() -> None:
    keys = [("u", "a", "legacy"), ("u", "a", "modern"), ("u", "b", "legacy"), ("v", "a", "legacy")]
    async with pool_of() as pool:
        first = [await say(client(pool, *key), "pid") for key in keys]
        again = [await say(client(pool, *key), "pid") for key in keys]
        assert first == again
        assert len(set(first)) == len(keys)
        assert pool.count() == {"up": 4}
    await eventually(lambda: not any(is_running(int(pid)) for pid in first))


async def test_first_calls_at_the_same_time_start_one_process() -> None:
    async with pool_of() as pool:
        assert len(set(await asyncio.gather(*(say(client(pool), "pid") for _ in range(10))))) == 1


async def test_parallel_calls_get_their_own_answers() -> None:
    async with pool_of() as pool:
        waits = [(user, seconds / 1000) for seconds in range(200, 0, -8) for user in "uv"]
        answers = await asyncio.gather(*(say(client(pool, user), "wait", seconds=one) for user, one in waits))
        assert answers == [str(seconds) for _, seconds in waits]
        assert pool.count() == {"up": 2}


async def test_the_session_that_was_idle_for_longest_makes_room() -> None:
    async with pool_of(Limits(sessions=2)) as pool:
        pids = {user: await say(client(pool, user), "pid") for user in "uv"}
        assert await say(client(pool, "u"), "pid") == pids["u"]
        await say(client(pool, "w"), "pid")
        assert pool.count() == {"up": 2}
        assert await say(client(pool, "u"), "pid") == pids["u"]
        assert await say(client(pool, "v"), "pid") != pids["v"]


async def test_without_a_free_session_a_call_is_refused() -> None:
    async with pool_of(Limits(sessions=1)) as pool, client(pool, "u"):
        with pytest.raises(UpstreamBusy, match="all 1 sessions are in use. The call was not carried out"):
            await say(client(pool, "v"), "pid")


async def test_calls_of_a_session_are_bounded() -> None:
    async with pool_of(Limits(calls=2)) as pool, client(pool), client(pool):
        with pytest.raises(UpstreamBusy, match="already has 2 calls of this agent"):
            await say(client(pool), "pid")
        await say(client(pool, "v"), "pid")


async def test_one_user_cannot_use_all_sessions() -> None:
    async with pool_of(Limits(sessions=4)) as pool:
        async with client(pool, agent="a"), client(pool, agent="b"), client(pool, agent="c"):
            with pytest.raises(UpstreamBusy, match="this user has 3 in use"):
                await say(client(pool, agent="d"), "pid")
            await say(client(pool, "v"), "pid")
        await say(client(pool, agent="d"), "pid")


async def test_an_idle_session_ends() -> None:
    async with pool_of(Limits(idle_seconds=0.05)) as pool:
        pid = int(await say(client(pool), "pid"))
        await eventually(lambda: not is_running(pid) and not pool.count())


async def test_closing_lets_calls_finish_and_refuses_new_ones() -> None:
    async with pool_of(Limits()) as pool:
        await say(client(pool), "pid")
        waiting = asyncio.ensure_future(say(client(pool), "wait", seconds=0.3))
        await asyncio.sleep(0.05)
        closing = asyncio.ensure_future(pool.aclose(5))
        await asyncio.sleep(0)
        with pytest.raises(UpstreamBusy, match="is being stopped"):
            await say(client(pool), "pid")
        assert await waiting == "0.3"
        await closing
        assert not pool.count()


async def test_closing_ends_calls_that_take_too_long() -> None:
    async with pool_of(Limits()) as pool:
        pid = int(await say(client(pool), "pid"))
        waiting = asyncio.ensure_future(say(client(pool), "wait", seconds=30))
        await asyncio.sleep(0.05)
        await pool.aclose(0.1)
        with pytest.raises(UpstreamEnded, match="may have been carried out"):
            await waiting
        assert not is_running(pid)


@pytest.mark.parametrize("era", ["modern", "legacy"])
async def test_a_cancelled_call_is_cancelled_upstream(era: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "agentgate_oauth.gateway")
    async with pool_of(Limits()) as pool:
        pid = await say(client(pool, era=era), "pid")
        one = client(pool, era=era)
        assert not one.sent
        waiting = asyncio.ensure_future(say(one, "attack", how="hang"))
        await asyncio.sleep(0.05)
        waiting.cancel()
        await asyncio.wait([waiting])
        await eventually(lambda: "up: cancelled" in caplog.text)
        assert one.sent
        assert await say(client(pool, era=era), "pid") == pid


TOO_LONG = "sent a message of more than 100,000 bytes"
TOO_MANY = "sent more than 64 requests at once"
INVALID = {
    "malformed_answer": "did not answer with valid JSON-RPC",
    "invalid_result": "did not answer with valid MCP",
}
ENDINGS = {
    **INVALID,
    "endless_line": TOO_LONG,
    "large_result": TOO_LONG,
    "endless_requests": TOO_MANY,
    "same_requests": TOO_MANY,
    "leave": "exited with code 3",
    "close_output": "closed its output",
}
FLOODS = [
    "endless_notifications",
    "endless_progress",
    "endless_invalid_notifications",
    "endless_lists",
    "endless_garbage",
    "endless_blank_lines",
    "endless_answers",
    "large_stderr",
    "hang",
]


@pytest.mark.parametrize(
    "seconds, problems", [(20.0, ENDINGS), (3.0, dict.fromkeys(FLOODS, "did not answer within 3 seconds"))]
)
async def test_attacks_end_their_own_sessions_only(
    seconds: float, problems: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    async with pool_of(Limits(message_bytes=100_000, call_seconds=seconds)) as pool:
        bystander = await say(client(pool), "pid")
        pids = {how: int(await say(client(pool, how), "pid")) for how in problems}
        before, grown, slowest = resident_bytes(), 0, 0.0
        attacks = {how: asyncio.ensure_future(say(client(pool, how), "attack", how=how)) for how in problems}
        while not all(attack.done() for attack in attacks.values()):
            began = time.monotonic()
            assert await say(client(pool), "echo", text="here") == "here"
            slowest = max(slowest, time.monotonic() - began)
            grown = max(grown, resident_bytes() - before)
        errors = {how: attack.exception() for how, attack in attacks.items()}
        for how, error in errors.items():
            assert isinstance(error, UpstreamError), how
            assert error.sent, how
            assert error.problem.startswith(problems[how]), how
        assert grown < MEMORY
        assert slowest < 2
        assert await say(client(pool), "pid") == bystander
        assert len(caplog.records) < 100
        assert "hidden" not in caplog.text
        for how in problems.keys() - INVALID:
            await eventually(lambda pid=pids[how]: not is_running(pid))
            assert int(await say(client(pool, how), "pid")) != pids[how]


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


async def test_what_is_not_json_rpc_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    async with pool_of(start="banner") as pool:
        assert await say(client(pool), "attack", how="garbage_then_answer") == "well"
        assert await say(client(pool), "attack", how="huge_progress") == "well"
        assert await say(client(pool), "echo", text="here") == "here"
    assert "Welcome" not in caplog.text


@pytest.mark.parametrize("how", ["ignore_signals", "fork"])
async def test_the_whole_process_group_ends(how: str) -> None:
    async with pool_of() as pool:
        pid = int(await say(client(pool), "attack", how=how))
        assert is_running(pid)
    await eventually(lambda: not is_running(pid))


@pytest.mark.parametrize(
    "start, problem",
    [
        ("exit", "exited with code 3"),
        ("hang", "did not answer in time"),
        ("endless_line", "sent a message of more than 100,000 bytes"),
    ],
)
async def test_a_failed_start_is_an_error_and_leaves_nothing(start: str, problem: str) -> None:
    limits = Limits(message_bytes=100_000, start_seconds=0.6)
    async with pool_of(limits, start=start) as pool:
        with pytest.raises(UpstreamFailed, match=problem) as raised:
            await say(client(pool), "pid")
        assert not raised.value.sent
        await eventually(lambda: not pool.count())


@pytest.mark.parametrize("start", ["exit", "well"])
async def test_an_ended_program_tells_the_operator_why(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, start: str
) -> None:
    caplog.set_level(logging.INFO, "agentgate_oauth.gateway")
    monkeypatch.setenv("GIVEN", "given-value")
    async with Upstreams({"up": upstream(start, environment=["GIVEN"])}, Limits()) as pool:
        with pytest.raises(UpstreamError) as raised:
            await say(client(pool), "attack", how="leave")
    assert raised.value.said == "Error: no such repository, key [hidden]"
    assert "up: exited with code 3. It said last: Error: no such repository" in caplog.text
    assert "Node.js v22" in caplog.text
    # The caller is not the operator.
    assert "repository" not in str(raised.value)


@pytest.mark.parametrize(
    "lines, last",
    [
        ([], ""),
        (["", "reading", " stopped ", ""], "stopped"),
        (
            ["Traceback (most recent call last):", "ModuleNotFoundError: No module named 'x'"],
            "ModuleNotFoundError: ",
        ),
        (
            ["Error: Cannot find module '/x'", "  code: 'MODULE_NOT_FOUND'", "}", "", "Node.js v22.1.0"],
            "Error: ",
        ),
        (
            ["npm error 404 Not Found", "npm error 404", "npm error A complete log of it: /x"],
            "npm error 404 Not",
        ),
        (["x" * 2000], "x" * transports.MAX_SAID),
    ],
)
def test_the_last_line_is_the_one_that_names_an_error(lines: list[str], last: str) -> None:
    found = transports._last_error(lines)
    assert found.startswith(last) and len(found) <= transports.MAX_SAID


async def test_a_program_that_does_not_exist_is_an_error() -> None:
    missing = Upstream(command=["no-such-program-at-all"])
    with pytest.raises(UpstreamFailed, match="could not be started: No such file or directory"):
        await read_definitions("up", missing, Limits())


async def test_an_answered_error_is_the_upstreams() -> None:
    async with pool_of() as pool, client(pool) as one:
        with pytest.raises(MCPError, match="Method not found"):
            await one.get_prompt_mcp("none")


async def test_a_program_sees_only_the_variables_that_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GIVEN", "given-value")
    monkeypatch.setenv("AGENTGATE_SECRET", "hidden")
    (tmp_path / "key").write_text("file-value\n")
    one = upstream(environment=["GIVEN"], environment_files={"KEY": str(tmp_path / "key")})
    pool = Upstreams({"up": one}, Limits())
    environment = json.loads(await say(client(pool), "environment"))
    await pool.aclose(0)
    assert environment["GIVEN"] == "given-value"
    assert environment["KEY"] == "file-value"
    assert set(environment) <= {
        "GIVEN",
        "KEY",
        "HOME",
        "LOGNAME",
        "PATH",
        "SHELL",
        "TERM",
        "USER",
        "LC_CTYPE",
        "TMPDIR",
        "TEMP",
        "TMP",
    }
    with pytest.raises(ConfigError, match="upstreams.up: The variable MISSING is not set"):
        Upstreams({"up": upstream(environment=["MISSING"])}, Limits())


async def test_a_program_has_a_folder_of_its_own_and_no_descriptor(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    held = os.dup(0)
    os.set_inheritable(held, True)
    async with pool_of() as pool:
        places = [json.loads(await say(client(pool, user), "attack", how="place")) for user in "uv"]
    os.close(held)
    folders = [Path(one["folder"]) for one in places]
    assert len({*folders, Path.cwd()}) == 3
    # Others can write to /tmp, and npx runs what it finds in a `node_modules` above.
    assert {folder.parent for folder in folders} == {tmp_path / "agentgate"}
    for one in places:
        assert one["temporary"] == one["folder"]
        assert (one["mode"], one["entries"], one["descriptors"]) == (0o700, [], [])
    assert not any(folder.exists() for folder in folders)
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    async with pool_of() as pool:
        with pytest.raises(
            UpstreamFailed, match=r"no folder to start in \(Not a directory\). Set XDG_CACHE_HOME"
        ):
            await say(client(pool), "pid")


async def test_live_definitions_are_compared_before_calls() -> None:
    compared: list[Definitions] = []
    async with pool_of(compare=lambda _, found: compared.append(found)) as pool:
        await say(client(pool), "pid")
        await say(client(pool), "pid")
        assert len(compared) == 1
        assert list(compared[0].tools) == ["echo", "pid", "wait", "environment", "count", "attack"]
        await say(client(pool, "v"), "pid")
        assert len(compared) == 2
    async with pool_of(compare=lambda _, found: compared.append(found), compare_seconds=0) as pool:
        compared.clear()
        async with client(pool) as one:
            await say(one, "pid")
            await say(one, "pid")
        await say(client(pool), "pid")
        assert len(compared) == 2


@pytest.mark.parametrize(
    "start, problem",
    [
        ("hanging_list", "did not answer within"),
        ("endless_list", "lists more than 50 pages"),
        ("doubled_list", "lists echo twice"),
        ("large_list", "lists too much"),
    ],
)
async def test_without_a_comparison_no_call_is_sent(start: str, problem: str) -> None:
    limits = QUICK if start == "hanging_list" else SMALL
    async with pool_of(limits, start=start, compare=lambda *_: None) as pool:
        with pytest.raises(UpstreamError, match=problem) as raised:
            await say(client(pool), "echo", text="here")
        assert not raised.value.sent


async def test_a_list_that_changed_is_compared_before_the_next_call() -> None:
    compared: list[Definitions] = []
    async with pool_of(compare=lambda _, found: compared.append(found)) as pool:
        await say(client(pool), "attack", how="change_list")
        await say(client(pool), "pid")
        await say(client(pool), "pid")
    assert len(compared) == 2


async def test_closing_does_not_wait_for_a_start() -> None:
    async with pool_of(Limits(start_seconds=60), start="hang") as pool:
        waiting = asyncio.ensure_future(say(client(pool), "pid"))
        await asyncio.sleep(0.1)
        await asyncio.wait_for(pool.aclose(0), 5)
        with pytest.raises(UpstreamFailed, match="was ended by the gateway. The call was not carried out"):
            await waiting
    assert not children()


def children() -> list[str]:
    """Return the programs that this process has started and that are running."""
    task = Path("/proc/self/task") / str(os.getpid()) / "children"
    return [pid for pid in task.read_text().split() if is_running(int(pid))]


async def test_values_of_the_environment_are_not_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "agentgate_oauth.gateway")
    monkeypatch.setenv("GIVEN", "first-secret-line\nsecond-secret-line")
    pool = Upstreams({"up": upstream(environment=["GIVEN"])}, Limits())
    assert await say(client(pool), "attack", how="tell_secrets") == "told"
    await eventually(lambda: "up: end" in caplog.text)
    await pool.aclose(0)
    assert "up: key [hidden]" in caplog.text
    assert "secret" not in caplog.text
    assert "first-" not in caplog.text


async def test_nothing_of_a_killed_process_stays() -> None:
    async with pool_of() as pool:
        pid = int(await say(client(pool), "pid"))
        os.kill(pid, signal.SIGKILL)
        await eventually(lambda: not pool.count())
        assert int(await say(client(pool), "pid")) != pid
