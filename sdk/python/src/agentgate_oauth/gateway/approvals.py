"""Wait for the user's approval within the call, and run a call that was approved once."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar, cast

from fastmcp.exceptions import ToolError
from fastmcp.server.dependencies import get_context
from mcp_types import InputRequiredResult

from ..integrations._fastmcp_approval import Shown, report_decided, show_link
from ..service import Guard, Refusal
from .transports import OWN_INPUT

logger = logging.getLogger("agentgate_oauth.gateway")
ResultT = TypeVar("ResultT")

# How long, and of how many calls, the gateway remembers that they needed an approval.
_ASKED_SECONDS = 900.0
_MAX_ASKED = 10_000
_UNKNOWN = "The client that began this call went away, and it is not known whether the call was carried out."


class _Abandoned(Exception):
    """A call ended before it was forwarded: its client went away, or asks its user first."""


class _UnderWay(Exception):
    """The same call waits for an approval already."""


class Flight:
    """One call. Once it is announced, the same call joins it."""

    def __init__(self, flights: Flights, key: Hashable) -> None:
        self.is_forwarded = False
        self._flights = flights
        self._key = key
        self._outcome: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def announce(self) -> None:
        """Let the same call join this one, which needs an approval. Raises if this one must join another."""
        if self._flights.announced.setdefault(self._key, self) is not self:
            raise _UnderWay
        self._flights.remember(self._key)

    async def join(self) -> Any:
        return await asyncio.shield(self._outcome)

    async def lead(self, decide: Callable[[Flight], Awaitable[ResultT]]) -> ResultT:
        try:
            result = await decide(self)
        except asyncio.CancelledError:
            self._fail(ToolError(_UNKNOWN) if self.is_forwarded else _Abandoned())
            raise
        except BaseException as error:
            self._fail(error)
            raise
        else:
            if self.is_forwarded:
                self._outcome.set_result(result)
            else:
                # It is what this client must be asked. Another client may be asked in another way.
                self._fail(_Abandoned())
            return result
        finally:
            self._flights.end(self._key, self)

    def _fail(self, error: BaseException) -> None:
        self._outcome.set_exception(error)
        self._outcome.exception()  # asyncio reports exceptions that are not retrieved


class Flights:
    """Calls that wait for an approval, or run after one. The same call that arrives meanwhile joins.

    Calls that need no approval are not joined: sending the same message twice is another act.
    """

    def __init__(self) -> None:
        self.announced: dict[Hashable, Flight] = {}
        self._asked: OrderedDict[Hashable, float] = OrderedDict()

    async def run(self, key: Hashable, decide: Callable[[Flight], Awaitable[ResultT]]) -> ResultT:
        """Return the result of a call, or of the same call that is under way."""
        while True:
            known = self.announced.get(key)
            if known is not None:
                with suppress(_Abandoned):
                    return cast(ResultT, await known.join())
                continue
            flight = Flight(self, key)
            if self._asked.get(key, 0.0) > time.monotonic():
                flight.announce()  # it may use up the approval, so the next one must join
            with suppress(_UnderWay):
                return await flight.lead(decide)

    def remember(self, key: Hashable) -> None:
        self._asked[key] = time.monotonic() + _ASKED_SECONDS
        self._asked.move_to_end(key)
        if len(self._asked) > _MAX_ASKED:
            self._asked.popitem(last=False)

    def end(self, key: Hashable, flight: Flight) -> None:
        if self.announced.get(key) is flight:
            del self.announced[key]
            if flight.is_forwarded:
                self._asked.pop(key, None)


async def wait_for_user(
    guard: Guard, refusal: Refusal, seconds: float, show: Callable[[str], Awaitable[None]]
) -> bool | InputRequiredResult:
    """Show the user where to decide, and wait. Return whether they did, or what to ask the client.

    `show` gets the page if the client does not show it.
    """
    ends = time.monotonic() + seconds
    shown = await _show(refusal, seconds)
    if isinstance(shown, InputRequiredResult):
        return shown
    if shown is Shown.DECLINED:
        return False
    if shown is Shown.NOT_OPENED:
        await _tell(refusal)
        await show(str(refusal.approval_url))
    left = timedelta(seconds=max(0.0, ends - time.monotonic()))
    if not await guard.await_decision(str(refusal.approval_id), left):
        return False
    if shown is Shown.OPENED:
        await report_decided(refusal)
    return True


async def _show(refusal: Refusal, seconds: float) -> Shown | InputRequiredResult:
    """Show the link through the client. A client that does not answer is one that cannot."""
    try:
        return await asyncio.wait_for(show_link(refusal, OWN_INPUT), max(seconds, 1.0))
    except asyncio.TimeoutError:
        return Shown.NOT_OPENED


async def _tell(refusal: Refusal) -> None:
    """Say in the log and in the progress of the call where the user can approve it."""
    text = f"Waiting for approval: {refusal.approval_url}"
    try:
        context = get_context()
        await context.report_progress(0, message=text)
        await context.log(text, level="warning", logger_name="agentgate")
    except Exception as error:
        logger.debug("The client was not told of an approval: %s", type(error).__name__)
