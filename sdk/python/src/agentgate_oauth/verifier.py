"""`AgentGateVerifier`: a service uses it to decide about a token that it received."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Generic, TypeVar

import httpx

from ._api.approvals import checked_patience, decide, get_approval
from ._api.tokens import introspect_token, read_decision, verify_token
from ._base import DEFAULT_TIMEOUT_SECONDS, Api, AsyncApi, SyncApi, service_credential
from ._call import Call, new_idempotency_key
from ._checks import listed
from ._effects import Flow
from ._endpoint import endpoint
from ._retry import RetryPolicy
from .errors import UnexpectedResponseError
from .models import Approval, Decision, Introspection
from .reservations import AsyncReservation, Reservation, reserving

HttpT = TypeVar("HttpT")
ReservationT = TypeVar("ReservationT")


class VerifierApi(Api, Generic[HttpT, ReservationT]):
    _reservation_type: Any

    def __init__(
        self,
        base_url: str,
        resource_server_id: str | None = None,
        resource_server_secret: str | None = None,
        *,
        timeout: float = DEFAULT_TIMEOUT_SECONDS,
        retry: RetryPolicy | None = None,
        http_client: HttpT | None = None,
        allow_http: bool = False,
    ) -> None:
        """Connect as a resource server (`res_...` and `rs_...`): only tokens for its audience are allowed.

        Without a credential, only `verify` works, and only if the server accepts anonymous callers.
        """
        credential = service_credential(resource_server_id, resource_server_secret)
        super().__init__(
            base_url, credential, timeout=timeout, retry=retry, http_client=http_client, allow_http=allow_http
        )

    @endpoint
    def verify(
        self,
        token: str,
        scopes: Sequence[str],
        *,
        action: str | None = None,
        resource: str | None = None,
        context: Mapping[str, Any] | None = None,
        explain: bool = False,
        wait_for_approval: timedelta | None = None,
    ) -> Flow[Decision]:
        """Decide about one action by live state, scopes and policies. It counts and is logged.

        With `explain`, the decision has what each rule said, in `trace`. If the user must approve first
        ("approval_required"), `wait_for_approval` waits so long for that, and asks again once it is approved.
        The decision's `approval_status` says how the waiting ended otherwise. Both need a credential.
        """
        call = verify_token(token, scopes, action, resource, context, {"explain": explain or None})
        return self._decide(call, wait_for_approval)

    def reserve(
        self,
        token: str,
        scopes: Sequence[str],
        *,
        action: str | None = None,
        resource: str | None = None,
        context: Mapping[str, Any] | None = None,
        expires_in: timedelta | None = None,
        wait_for_approval: timedelta | None = None,
    ) -> ReservationT:
        """Reserve `context["amount"]` for a `with` block (`async with` for asynchronous verifiers).

        Call `commit` in the block once it is spent. Leaving the block without that gives it back. It counts
        for `expires_in` (10 minutes) at most. Entering the block raises ReservationDeniedError if the request
        is not allowed.
        """
        options, key = reserving(expires_in), new_idempotency_key()
        call = verify_token(token, scopes, action, resource, context, options, key)
        reservation: ReservationT = self._reservation_type(
            self._driver,
            lambda: self._decide(call, wait_for_approval),
            self._credential,
            self._retry,
            context,
        )
        return reservation

    @endpoint
    def get_approval(self, approval_id: str) -> Flow[Approval]:
        """Return an approval that a decision asked for. Needs a credential. Raises NotFoundError."""
        return self._call(get_approval(approval_id))

    @endpoint
    def verify_batch(self, questions: Sequence[Mapping[str, Any]]) -> Flow[tuple[Decision, ...]]:
        """Decide about up to 100 actions, made with `question(...)`. Decisions are in the same order."""
        requests = [dict(one) for one in listed("questions", questions, "questions")]
        read = partial(_read_decisions, len(requests))
        return self._call(Call("POST", "/tokens/verify/batch", read, json={"requests": requests}))

    @endpoint
    def introspect(self, token: str) -> Flow[Introspection]:
        """Introspect the token (RFC 7662): live state, but no policies. Requires a credential."""
        return self._call(introspect_token(token))

    def _decide(self, call: Call[Decision], wait_for_approval: timedelta | None) -> Flow[Decision]:
        if wait_for_approval is not None:
            self._require_credential("wait_for_approval")
        return decide(lambda: self._call(call), checked_patience(wait_for_approval), self._credential)

    def _require_credential(self, what: str) -> None:
        if not self._credential.headers:
            raise ValueError(f"{what} needs resource_server_id and resource_server_secret")


class AgentGateVerifier(VerifierApi[httpx.Client, Reservation], SyncApi):
    """A service's connection to AgentGate. Safe to share between threads."""

    _reservation_type = Reservation


class AsyncAgentGateVerifier(VerifierApi[httpx.AsyncClient, AsyncReservation], AsyncApi):
    """The asynchronous version of `AgentGateVerifier`."""

    _reservation_type = AsyncReservation


def _read_decisions(number: int, document: Any) -> tuple[Decision, ...]:
    rows = document.get("decisions") if isinstance(document, dict) else None
    if not isinstance(rows, list) or len(rows) != number:
        raise UnexpectedResponseError(f"expected a list of {number} decisions")
    return tuple(read_decision(row) for row in rows)
