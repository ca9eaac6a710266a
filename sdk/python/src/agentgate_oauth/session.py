"""`Session`: an agent's access on behalf of one user, until the user revokes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Generic, TypeVar

from ._api.approvals import checked_patience, decide, get_approval
from ._api.delegations import create_delegation, wanted
from ._api.policies import AnyRule
from ._api.tokens import ClientCredential, revoke_token, verify_token
from ._base import Api, AsyncMethods, BlockingMethods
from ._call import new_idempotency_key
from ._effects import Flow
from ._endpoint import endpoint
from ._renewal import Renewal
from ._retry import perform
from .errors import SessionEndedError
from .models import Approval, Decision, NewDelegation
from .reservations import AsyncReservation, Reservation, reserving
from .stores.protocol import SessionRecord, SessionStore

ReservationT = TypeVar("ReservationT")


class SessionApi(Generic[ReservationT]):
    _driver: Any
    _reservation_type: Any

    def __init__(
        self, api: Api, credential: ClientCredential, store: SessionStore, key: str, record: SessionRecord
    ) -> None:
        self._api = api
        self._driver = api._driver
        self._credential = credential
        self._renewal = Renewal(api, credential, store, key, record)
        self._ended = False
        self.key = key

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.key}>"

    @property
    def user_id(self) -> str | None:
        """The id of the user who gave consent, None for a token of the agent itself."""
        return self._renewal.record.user_id

    @property
    def agent_id(self) -> str:
        """The id of the agent."""
        return self._renewal.record.agent_id

    @property
    def consent_id(self) -> str | None:
        """The id of the consent, None for a token of the agent itself."""
        return self._renewal.record.consent_id

    @property
    def delegation_id(self) -> str | None:
        """The id of the delegation by which another agent handed the work over, or None."""
        return self._renewal.record.delegation_id

    @property
    def granted_scopes(self) -> tuple[str, ...]:
        """The scopes of the newest token: the requested scopes that the user allowed."""
        return self._renewal.record.granted_scopes

    @endpoint
    def verify(
        self,
        scopes: Sequence[str],
        *,
        action: str | None = None,
        resource: str | None = None,
        context: Mapping[str, Any] | None = None,
        wait_for_approval: timedelta | None = None,
    ) -> Flow[Decision]:
        """Ask whether the agent may do this now. An expired token is refreshed first.

        A denial is a `Decision` with a `reason`. If the user must approve first ("approval_required"),
        `wait_for_approval` waits so long for that, and asks again once it is approved. The decision's
        `approval_status` says how the waiting ended otherwise.

        Raises SessionEndedError if the session has no more tokens.
        """
        ask = partial(self._verify, scopes, action, resource, context)
        return decide(ask, checked_patience(wait_for_approval), self._credential.basic())

    def reserve(
        self,
        scopes: Sequence[str],
        *,
        action: str | None = None,
        resource: str | None = None,
        context: Mapping[str, Any] | None = None,
        expires_in: timedelta | None = None,
        wait_for_approval: timedelta | None = None,
    ) -> ReservationT:
        """Reserve `context["amount"]` for a `with` block (`async with` for asynchronous sessions).

        Call `commit` in the block once it is spent. Leaving the block without that gives it back. It counts
        for `expires_in` (10 minutes) at most. Entering the block raises ReservationDeniedError if the request
        is not allowed.
        """
        options, key = reserving(expires_in), new_idempotency_key()
        ask = partial(self._verify, scopes, action, resource, context, options, key)
        patience = checked_patience(wait_for_approval)
        reservation: ReservationT = self._reservation_type(
            self._driver,
            lambda: decide(ask, patience, self._credential.basic()),
            self._api._credential,
            self._api._retry,
            context,
        )
        return reservation

    @endpoint
    def get_approval(self, approval_id: str) -> Flow[Approval]:
        """Return an approval that a decision asked for. Raises NotFoundError."""
        return perform(get_approval(approval_id), self._credential.basic(), self._api._retry)

    @endpoint
    def access_token(self) -> Flow[str]:
        """Return an access token that has not expired, for the `Authorization` header of calls."""
        return self._access_token()

    @endpoint
    def delegate(
        self,
        *,
        to: str,
        scopes: Sequence[str],
        limits: Mapping[str, Sequence[AnyRule]] | None = None,
        targets: Sequence[Mapping[str, Any]] | None = None,
        expires_in: timedelta | None = None,
        max_depth: int | None = None,
        task: str | None = None,
    ) -> Flow[NewDelegation]:
        """Hand a part of what this agent may do to the agent with the client id `to`, for an hour by default.

        Send the `delegation_token` to that agent, which accepts it once, within a minute. The tokens of this
        session stay here. `limits` are rules by scope (`agentgate_oauth.rules`). They count all that is done
        by the delegation, also by agents to which that one hands work on. The chain from the first agent has
        at most `max_depth` delegations. End it with the client's `end_delegation`.

        Raises DelegationNotAllowedError if the user does not let this agent hand work to that one.
        """
        body = wanted(
            to=to,
            scopes=scopes,
            limits=limits,
            targets=targets,
            expires_in=expires_in,
            max_depth=max_depth,
            task=task,
        )
        return self._delegate(body)

    @endpoint
    def revoke(self) -> Flow[None]:
        """End the session in every process that shares it. All its tokens stop working at once.

        The connection stays, with its other sessions, until the user revokes it.
        """
        return self._revoke()

    def _verify(
        self,
        scopes: Sequence[str],
        action: str | None,
        resource: str | None,
        context: Mapping[str, Any] | None,
        options: Mapping[str, object] | None = None,
        idempotency_key: str | None = None,
    ) -> Flow[Decision]:
        question = (scopes, action, resource, context, options, idempotency_key)
        record = yield from self._fresh()
        decision = yield from self._ask(record, *question)
        if decision.reason != "token_expired":
            return decision
        # This machine's clock is behind the server's clock, which decides.
        record = yield from self._renewal.renewed(record)
        return (yield from self._ask(record, *question))

    def _ask(self, record: SessionRecord, *question: Any) -> Flow[Decision]:
        return self._api._call(verify_token(record.access_token, *question))

    def _delegate(self, body: Mapping[str, object]) -> Flow[NewDelegation]:
        record = yield from self._fresh()
        return (yield from self._api._call(create_delegation(self._credential, record.access_token, body)))

    def _access_token(self) -> Flow[str]:
        record = yield from self._fresh()
        return record.access_token

    def _revoke(self) -> Flow[None]:
        yield from self._renewal.end(lambda record: self._api._call(revoke_token(record.revocable)))
        self._ended = True

    def _fresh(self) -> Flow[SessionRecord]:
        if self._ended:
            raise SessionEndedError("the session was revoked")
        return (yield from self._renewal.fresh())


class Session(SessionApi[Reservation], BlockingMethods):
    """A session whose methods block. Safe to share between threads."""

    _reservation_type = Reservation


class AsyncSession(SessionApi[AsyncReservation], AsyncMethods):
    """The asynchronous version of `Session`. Share it only between the tasks of one event loop."""

    _reservation_type = AsyncReservation
