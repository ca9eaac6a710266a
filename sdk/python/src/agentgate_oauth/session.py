"""`Session`: an agent's access on behalf of one user, until the user revokes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ._api.tokens import ClientCredential, revoke_token, verify_token
from ._base import Api, AsyncMethods, BlockingMethods
from ._effects import Flow
from ._endpoint import endpoint
from ._renewal import Renewal
from .errors import SessionEndedError
from .models import Decision
from .stores.protocol import SessionRecord, SessionStore


class SessionApi:
    _driver: Any

    def __init__(
        self, api: Api, credential: ClientCredential, store: SessionStore, key: str, record: SessionRecord
    ) -> None:
        self._api = api
        self._driver = api._driver
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
    ) -> Flow[Decision]:
        """Ask whether the agent may do this now. An expired token is refreshed first.

        A denial is a `Decision` with a `reason`.

        Raises SessionEndedError if the session has no more tokens.
        """
        return self._verify(scopes, action, resource, context)

    @endpoint
    def access_token(self) -> Flow[str]:
        """Return an access token that has not expired, for the `Authorization` header of calls."""
        return self._access_token()

    @endpoint
    def revoke(self) -> Flow[None]:
        """End the session in every process that shares it. All its tokens stop working at once."""
        return self._revoke()

    def _verify(
        self,
        scopes: Sequence[str],
        action: str | None,
        resource: str | None,
        context: Mapping[str, Any] | None,
    ) -> Flow[Decision]:
        record = yield from self._fresh()
        decision = yield from self._ask(record, scopes, action, resource, context)
        if decision.reason != "token_expired":
            return decision
        # This machine's clock is behind the server's clock, which decides.
        record = yield from self._renewal.renewed(record)
        return (yield from self._ask(record, scopes, action, resource, context))

    def _ask(self, record: SessionRecord, *question: Any) -> Flow[Decision]:
        return self._api._call(verify_token(record.access_token, *question))

    def _access_token(self) -> Flow[str]:
        record = yield from self._fresh()
        return record.access_token

    def _revoke(self) -> Flow[None]:
        yield from self._renewal.end(lambda record: self._api._call(revoke_token(record.refresh_token)))
        self._ended = True

    def _fresh(self) -> Flow[SessionRecord]:
        if self._ended:
            raise SessionEndedError("the session was revoked")
        return (yield from self._renewal.fresh())


class Session(SessionApi, BlockingMethods):
    """A session whose methods block. Safe to share between threads."""


class AsyncSession(SessionApi, AsyncMethods):
    """The asynchronous version of `Session`. Share it only between the tasks of one event loop."""
