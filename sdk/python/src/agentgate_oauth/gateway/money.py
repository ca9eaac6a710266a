"""Amounts are reserved before a call, and committed or voided after it by what the upstream answered."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from .._json import read_json
from ..errors import AgentGateError, ApiError
from ..reservations import AsyncReservation
from ..service.requirement import Question
from ..verifier import AsyncAgentGateVerifier
from .config import Limits, ToolLine
from .question import amount_text

logger = logging.getLogger("agentgate_oauth.gateway")

# A commit that the gate does not confirm is repeated for so long. The reservation lives longer.
RETRY_SECONDS = 600.0
MAX_SECONDS = 3600  # the gate's limit
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0


class Money:
    """Reserves and settles. A crash in between gives the reservation back by time."""

    def __init__(self, verifier: AsyncAgentGateVerifier, limits: Limits) -> None:
        self._verifier = verifier
        seconds = limits.start_seconds + 2 * limits.call_seconds + RETRY_SECONDS
        self._expires_in = timedelta(seconds=min(round(seconds), MAX_SECONDS))
        self._settling: set[asyncio.Task[None]] = set()

    async def reserve(self, token: str, question: Question) -> AsyncReservation:
        """Reserve the amount of a question. Raises ReservationDeniedError, AgentGateError."""
        reservation = self._verifier.reserve(
            token,
            question.scopes,
            action=question.action,
            resource=question.resource,
            context=question.context,
            expires_in=self._expires_in,
        )
        return await reservation.__aenter__()

    def void(self, reservation: AsyncReservation) -> asyncio.Task[None]:
        """Give the reservation back, because nothing was spent."""
        return self._start(self._settle(reservation, "void", None))

    def commit(self, reservation: AsyncReservation, amount: str | None) -> asyncio.Task[None]:
        """Count the final amount, or the whole reservation."""
        return self._start(self._settle(reservation, "commit", amount))

    def commit_unknown(self, reservation: AsyncReservation) -> asyncio.Task[None]:
        """Count the whole reservation, because it is not known whether the upstream acted."""
        logger.warning(
            "Reservation %s is committed as a whole: the upstream did not say whether it acted",
            reservation.id,
        )
        return self.commit(reservation, None)

    async def finish(self, seconds: float) -> None:
        """Wait until all is settled, for at most so long."""
        if self._settling:
            await asyncio.wait(self._settling, timeout=seconds)
        for task in self._settling:
            logger.error("A reservation was not settled before the gateway stopped")
            task.cancel()

    def _start(self, settling: Any) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(settling)
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)
        return task

    async def _settle(self, reservation: AsyncReservation, act: str, amount: str | None) -> None:
        deadline, pause = time.monotonic() + RETRY_SECONDS, _FIRST_PAUSE
        while True:
            try:
                await (reservation.void() if act == "void" else reservation.commit(amount))
                return
            except AgentGateError as error:
                if not _may_pass(error) or time.monotonic() + pause > deadline:
                    return _give_up(reservation, act, error)
                logger.warning("The %s of reservation %s is repeated: %s", act, reservation.id, error)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)


def final_amount(line: ToolLine, reserved: Mapping[str, Any], result: Any) -> str | None:
    """Return what a result says was spent, None for the whole reservation."""
    if line.final_amount is None:
        return None
    units = line.context.amount.minor_units if line.context.amount else None
    value = _at(_document(result), line.final_amount)
    # Sums of floats have more decimal places than verify reads.
    amount = amount_text(round(value, 8) if isinstance(value, float) else value, units)
    if amount is None or Decimal(amount) > Decimal(str(reserved["value"])):
        logger.warning("The whole amount is committed: the result has no %s within it", line.final_amount)
        return None
    return amount


def _document(result: Any) -> Any:
    """Return the structured content, or else the text of the result if that is JSON."""
    if isinstance(result.structured_content, Mapping):
        return result.structured_content
    for block in result.content[:1]:
        try:
            return read_json(getattr(block, "text", "").encode())
        except ValueError:
            break
    return None


def _at(document: Any, path: str) -> Any:
    for part in path.removeprefix("structured.").split("."):
        document = document.get(part) if isinstance(document, Mapping) else None
    return document


def _may_pass(error: AgentGateError) -> bool:
    """Return whether repeating may help: the network, or the gate's own failure, but no refusal."""
    return not isinstance(error, ApiError) or error.status >= 500 or error.status == 429


def _give_up(reservation: AsyncReservation, act: str, error: AgentGateError) -> None:
    logger.error("Reservation %s has no %s, and counts until it lapses: %s", reservation.id, act, error)
