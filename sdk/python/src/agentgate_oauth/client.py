"""`AgentGateClient`: what an agent uses to ask people for consent and to act for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import httpx

from ._api.tokens import ClientCredential, exchange_code, initiate_consent
from ._base import DEFAULT_TIMEOUT_SECONDS, Api, AsyncApi, SyncApi
from ._call import Credential
from ._effects import Blocking, Flow
from ._endpoint import endpoint
from ._retry import RetryPolicy
from .models import PendingConsent, Tokens
from .session import AsyncSession, Session
from .stores import MemoryStore, SessionRecord, SessionStore

HttpT = TypeVar("HttpT")
SessionT = TypeVar("SessionT")


class ClientApi(Api, Generic[HttpT, SessionT]):
    _session_type: Any

    def __init__(
        self,
        base_url: str,
        client_id: str,
        client_secret: str,
        *,
        store: SessionStore | None = None,
        timeout: float = DEFAULT_TIMEOUT_SECONDS,
        retry: RetryPolicy | None = None,
        http_client: HttpT | None = None,
        allow_http: bool = False,
    ) -> None:
        """Connect as one agent. Sessions are kept in `store`, by default only as long as this object."""
        super().__init__(
            base_url,
            Credential(),
            timeout=timeout,
            retry=retry,
            http_client=http_client,
            allow_http=allow_http,
        )
        self._client = ClientCredential(client_id, client_secret)
        self._store: SessionStore = MemoryStore() if store is None else store

    @endpoint
    def request_consent(
        self,
        *,
        scopes: Sequence[str],
        redirect_uri: str,
        user_id: str | None = None,
        optional_scopes: Sequence[str] | None = None,
        state: str | None = None,
        code_challenge: str | None = None,
        resource: str | None = None,
        reason: str | None = None,
    ) -> Flow[PendingConsent]:
        """Ask for consent. Send the person to the answer's `consent_url`; they come back with a code.

        With `user_id` only that person can decide. `reason` (at most 200 characters) is shown to them as the
        agent's words. A `code_challenge` is S256 (RFC 7636); pass its verifier to `create_session`.
        """
        call = initiate_consent(
            self._client,
            requested_scopes=list(scopes),
            redirect_uri=redirect_uri,
            user_id=user_id,
            optional_scopes=None if optional_scopes is None else list(optional_scopes),
            state=state,
            code_challenge=code_challenge,
            code_challenge_method="S256" if code_challenge else None,
            resource=resource,
            reason=reason,
        )
        return self._call(call)

    @endpoint
    def exchange(
        self, code: str, *, code_verifier: str | None = None, redirect_uri: str | None = None
    ) -> Flow[Tokens]:
        """Exchange a code for tokens, and leave keeping and renewing them to the caller.

        Raises InvalidGrantError when the code is wrong, used, or older than 60 seconds.
        """
        return self._exchange(code, code_verifier, redirect_uri)

    @endpoint
    def create_session(
        self,
        code: str,
        *,
        code_verifier: str | None = None,
        redirect_uri: str | None = None,
        key: str | None = None,
    ) -> Flow[SessionT]:
        """Exchange a code and keep the tokens in the store under `key`, by default the consent's id."""
        return self._create_session(code, code_verifier, redirect_uri, key)

    @endpoint
    def resume_session(self, key: str) -> Flow[SessionT | None]:
        """Return the session that the store keeps under `key`, None if there is none."""
        return self._resume_session(key)

    def _exchange(self, code: str, code_verifier: str | None, redirect_uri: str | None) -> Flow[Tokens]:
        return self._call(
            exchange_code(self._client, code=code, code_verifier=code_verifier, redirect_uri=redirect_uri)
        )

    def _create_session(
        self, code: str, code_verifier: str | None, redirect_uri: str | None, key: str | None
    ) -> Flow[SessionT]:
        tokens = yield from self._exchange(code, code_verifier, redirect_uri)
        record = SessionRecord.of(tokens)
        key = key or tokens.consent_id or tokens.agent_id
        yield Blocking(lambda: self._store.save(key, record))
        return self._session(key, record)

    def _resume_session(self, key: str) -> Flow[SessionT | None]:
        record: SessionRecord | None = yield Blocking(lambda: self._store.load(key))
        return None if record is None else self._session(key, record)

    def _session(self, key: str, record: SessionRecord) -> SessionT:
        session: SessionT = self._session_type(self, self._client, self._store, key, record)
        return session


class AgentGateClient(ClientApi[httpx.Client, Session], SyncApi):
    """An agent's connection to AgentGate. Safe to share between threads."""

    _session_type = Session


class AsyncAgentGateClient(ClientApi[httpx.AsyncClient, AsyncSession], AsyncApi):
    """The twin of `AgentGateClient` whose methods are awaited."""

    _session_type = AsyncSession
