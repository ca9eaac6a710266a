"""Effects: values that describe the input and output of the SDK's logic.

All logic is written once, as generators ("flows") that yield effects and receive their results. A driver
performs the effects, blocking or awaiting (`_drivers`), so the synchronous and the asynchronous classes share
the logic.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from ._causes import NO_RESPONSE, Cause

T = TypeVar("T")


@dataclass(frozen=True)
class Send:
    """Send one HTTP request. The result is an `httpx.Response` or a `NetworkFailure`.

    `patience` is the number of seconds that the response may take longer than usual.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    params: Mapping[str, str] = field(repr=False)
    json: object = field(repr=False)
    form: Mapping[str, str] | None = field(repr=False)
    patience: float = 0.0


@dataclass(frozen=True)
class NetworkFailure:
    """There was no response from `url`. `maybe_received`: the server may still have acted on the request."""

    kind: str
    maybe_received: bool
    url: str
    cause: Cause = NO_RESPONSE


@dataclass(frozen=True)
class Sleep:
    seconds: float


@dataclass(frozen=True)
class Blocking:
    """Run a function that may block on files or other processes. The effect's result is its return value.

    It is never left running: a cancelled task first waits for it to end. Then `undo` reverts a result that
    no caller receives, such as a lock.
    """

    function: Callable[[], Any] = field(repr=False)
    undo: Callable[[Any], None] = field(default=lambda _: None, repr=False)


class Mutex(Protocol):
    """The common part of `threading.Lock` and `asyncio.Lock`: only acquiring differs."""

    def release(self) -> None: ...


@dataclass(frozen=True)
class Acquire:
    """Wait for a mutex created by the same driver. Releasing needs no effect, because it never waits."""

    mutex: Mutex


Effect = Send | Sleep | Blocking | Acquire
Flow = Generator[Effect, Any, T]
