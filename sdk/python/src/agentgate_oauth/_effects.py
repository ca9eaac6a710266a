"""The input and output that the SDK's logic asks for, as values.

All logic is written once, as generators ("flows") that yield these effects and receive their results. A
driver performs them, blocking or awaiting (`_drivers`), so the synchronous and the asynchronous classes share
every line that decides something.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Send:
    """Send one HTTP request. The result is an `httpx.Response` or a `NetworkFailure`."""

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    params: Mapping[str, str] = field(repr=False)
    json: object = field(repr=False)
    form: Mapping[str, str] | None = field(repr=False)


@dataclass(frozen=True)
class NetworkFailure:
    """No answer came from `url`. `maybe_received`: the server may have acted all the same."""

    kind: str
    maybe_received: bool
    url: str


@dataclass(frozen=True)
class Sleep:
    seconds: float


@dataclass(frozen=True)
class Blocking:
    """Run a function that may block on files or other processes. The result is what it returns.

    It is never left running: a cancelled task first waits for it to end. `undo` then reverts a result that
    no caller receives, such as a lock.
    """

    function: Callable[[], Any] = field(repr=False)
    undo: Callable[[Any], None] = field(default=lambda _: None, repr=False)


class Mutex(Protocol):
    """The common part of `threading.Lock` and `asyncio.Lock`: only acquiring differs."""

    def release(self) -> None: ...


@dataclass(frozen=True)
class Acquire:
    """Wait for a mutex made by the same driver. Releasing needs no effect: it never waits."""

    mutex: Mutex


Effect = Send | Sleep | Blocking | Acquire
Flow = Generator[Effect, Any, T]
