"""Reservations: an amount that counts against limits before it is certain that it is spent."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from ._base import AsyncMethods, BlockingMethods
from ._call import Call, Credential, segment
from ._checks import seconds_of
from ._decode import reader
from ._effects import Flow
from ._endpoint import endpoint
from ._retry import RetryPolicy, perform
from .errors import AgentGateError, ReservationDeniedError, UnexpectedResponseError
from .models import Decision, ResolvedReservation

logger = logging.getLogger("agentgate_oauth")

Amount = str | int | Decimal | Mapping[str, Any]


def reserving(expires_in: timedelta | None) -> dict[str, object]:
    """Return the fields of a request that reserves. Raises TypeError."""
    return {"reserve": True, "expires_in_seconds": seconds_of(expires_in)}


class ReservationApi:
    """What `reserve` returns. Entering it reserves, leaving it without `commit` voids the reservation."""

    _driver: Any

    def __init__(
        self,
        driver: Any,
        ask: Callable[[], Flow[Decision]],
        credential: Credential,
        retry: RetryPolicy,
        context: Mapping[str, Any] | None,
    ) -> None:
        self._driver = driver
        self._ask = ask
        self._credential = credential
        self._retry = retry
        self._reserved = (context or {}).get("amount")
        self._decision: Decision | None = None
        self._is_open = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._decision and self._decision.reservation_id}>"

    @property
    def decision(self) -> Decision:
        """The decision that allowed the reservation. Raises RuntimeError before the block is entered."""
        if self._decision is None:
            raise RuntimeError("nothing is reserved yet: use the reservation in a with block")
        return self._decision

    @property
    def id(self) -> str:
        """The reservation's id. Raises RuntimeError before the block is entered."""
        return str(self.decision.reservation_id)

    @endpoint
    def commit(self, amount: Amount | None = None) -> Flow[ResolvedReservation]:
        """Count the final amount, which is not above the reserved one: "12.50", or with its currency.

        Without `amount`, the whole reservation counts. If this raises an error, the reservation is not
        voided: it counts until it lapses, because the server may have committed it.
        """
        return self._commit(self._final(amount))

    @endpoint
    def void(self) -> Flow[ResolvedReservation]:
        """Give the reservation back, because nothing was done with it. Leaving the block does the same."""
        return self._void()

    def _open(self) -> Flow[None]:
        if self._decision is not None:
            raise RuntimeError("a reservation can be entered once: call reserve again")
        decision = yield from self._ask()
        if not decision.allowed:
            raise ReservationDeniedError(decision)
        if decision.reservation_id is None:
            raise UnexpectedResponseError("Decision.reservationId is missing")
        self._decision = decision
        self._is_open = True

    def _commit(self, amount: Mapping[str, Any] | None) -> Flow[ResolvedReservation]:
        self._is_open = False
        return (yield from self._resolve("commit", {} if amount is None else {"amount": dict(amount)}))

    def _void(self) -> Flow[ResolvedReservation]:
        self._is_open = False
        return (yield from self._resolve("void", {}))

    def _close(self, *, has_failed: bool) -> Flow[None]:
        """Void what is open. Raises an error of that unless the block has raised another one."""
        if not self._is_open:
            return
        try:
            yield from self._void()
        except AgentGateError as error:
            if not has_failed:
                raise
            logger.warning("Reservation %s was not voided, and counts until it lapses: %s", self.id, error)

    def _resolve(self, act: str, body: Mapping[str, Any]) -> Flow[ResolvedReservation]:
        path = f"/tokens/reservations/{segment(self.id)}/{act}"
        # Replayable: resolving a reservation in the same way again changes nothing.
        call = Call("POST", path, reader(ResolvedReservation), json=body, replayable=True)
        return perform(call, self._credential, self._retry)

    def _final(self, amount: Amount | None) -> Mapping[str, Any] | None:
        if amount is None or isinstance(amount, Mapping):
            return amount
        if isinstance(amount, bool) or not isinstance(amount, (str, int, Decimal)):
            raise TypeError('amount must be exact: pass a string such as "12.50", or a Decimal')
        if not isinstance(self._reserved, Mapping) or "currency" not in self._reserved:
            raise ValueError(
                'the reservation has no context["amount"], so pass {"value": ..., "currency": ...}'
            )
        value = format(amount, "f") if isinstance(amount, Decimal) else str(amount)
        return {"value": value, "currency": self._reserved["currency"]}


class Reservation(ReservationApi, BlockingMethods):
    """`with session.reserve(...) as reservation:`, then `reservation.commit(...)` within the block."""

    def __enter__(self) -> Reservation:
        self._driver.run(self._open())
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._driver.run(self._close(has_failed=kind is not None))


class AsyncReservation(ReservationApi, AsyncMethods):
    """`async with session.reserve(...) as reservation:`, then `await reservation.commit(...)` within."""

    async def __aenter__(self) -> AsyncReservation:
        await self._driver.run(self._open())
        return self

    async def __aexit__(self, kind: object, *_: object) -> None:
        await self._driver.run(self._close(has_failed=kind is not None))
