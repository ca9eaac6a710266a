"""`AgentGateClient`: agents use it to ask users for consent and to act for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

import httpx

from ._api.delegations import end_delegation, redeem_delegation
from ._api.tokens import ClientCredential, exchange_code, initiate_consent, revoke_token
from ._base import DEFAULT_TIMEOUT_SECONDS, Api, AsyncApi, SyncApi
from ._call import Call, Credential
from ._checks import listed, listed_or_none, required
from ._effects import Blocking, Flow
from ._endpoint import endpoint
from ._loopback import Listener, show_in_browser
from ._retry import RetryPolicy
from .errors import AuthorizationError, InvalidRedirectUriError, UnexpectedDelegationError
from .models import Delegation, PendingConsent, Tokens
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
        """Connect as one agent. Sessions are kept in `store`, by default in memory."""
        super().__init__(
            base_url,
            Credential(),
            timeout=timeout,
            retry=retry,
            http_client=http_client,
            allow_http=allow_http,
        )
        self._client = ClientCredential(
            required("client_id", client_id, 'the client id of the agent ("agc_...")'),
            required("client_secret", client_secret, 'the client secret of the agent ("ags_...")'),
        )
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
        """Ask for consent. Send the user to the returned `consent_url`; the redirect back has a code.

        With `user_id`, only that user can decide. The consent screen attributes `reason` (at most 200
        characters) to the agent. `code_challenge` is S256 (RFC 7636); pass its verifier to `create_session`.
        """
        call = initiate_consent(
            self._client,
            requested_scopes=listed("scopes", scopes, "scopes"),
            redirect_uri=redirect_uri,
            user_id=user_id,
            optional_scopes=listed_or_none("optional_scopes", optional_scopes, "scopes"),
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
        """Exchange a code for tokens. The caller must store and refresh them.

        Raises InvalidGrantError if the code is wrong, used, or older than 60 seconds.
        """
        call = exchange_code(self._client, code=code, code_verifier=code_verifier, redirect_uri=redirect_uri)
        return self._call(call)

    @endpoint
    def create_session(
        self,
        code: str,
        *,
        code_verifier: str | None = None,
        redirect_uri: str | None = None,
        key: str | None = None,
    ) -> Flow[SessionT]:
        """Exchange a code and store the tokens under `key`, by default the consent's id."""
        call = exchange_code(self._client, code=code, code_verifier=code_verifier, redirect_uri=redirect_uri)
        return self._create_session(call, key)

    @endpoint
    def accept(
        self, delegation_token: str, *, expect_from: str, expect_user: str, key: str | None = None
    ) -> Flow[SessionT]:
        """Accept work that another agent handed to this one, and store the tokens under `key`.

        `expect_from` is the id of the agent (`agt_...`) that must have handed it over, and `expect_user` that
        of the user (`usr_...`) for whom the work is. Take the agent from your configuration or from the
        authenticated sender, not from the message that has the token: any agent that may hand work to this
        one could otherwise make it act for another user. If the token is for anything else, this revokes its
        tokens and raises UnexpectedDelegationError.

        `key` is by default the id of the delegation. Raises InvalidGrantError if the token is wrong, used,
        older than a minute, or for another agent.
        """
        expected = (
            _expected("expect_from", expect_from, "agt_", "agent that hands the work over"),
            _expected("expect_user", expect_user, "usr_", "user for whom the work is"),
        )
        return self._accept(redeem_delegation(self._client, delegation_token), expected, key)

    @endpoint
    def end_delegation(self, delegation_id: str) -> Flow[Delegation]:
        """End what this agent, or one to which it handed work, handed over, and all below it, at once.

        No request is allowed by it that another program asks about after this returns. Raises NotFoundError.
        """
        return self._call(end_delegation(delegation_id, self._client.body()))

    @endpoint
    def resume_session(self, key: str) -> Flow[SessionT | None]:
        """Return the session that is stored under `key`, None if there is none."""
        return self._resume_session(key)

    @endpoint
    def authorize_on_loopback(
        self,
        *,
        scopes: Sequence[str],
        user_id: str | None = None,
        optional_scopes: Sequence[str] | None = None,
        resource: str | None = None,
        reason: str | None = None,
        redirect_path: str = "/callback",
        key: str | None = None,
        timeout: float = 600.0,
        open_browser: bool = True,
    ) -> Flow[SessionT]:
        """Ask for consent in this machine's browser, wait for the decision, and return the session.

        For command-line agents (RFC 8252). Register `http://127.0.0.1/callback` as a redirect URI of the
        agent; any port matches. The consent page's URL is also printed on standard error, and with
        `open_browser=False` only printed. State, PKCE and issuer are checked. Raises ConsentDeniedError,
        AuthorizationTimeoutError after `timeout` seconds, and AuthorizationError for any other response
        without a code.
        """
        request = {
            "requested_scopes": listed("scopes", scopes, "scopes"),
            "user_id": user_id,
            "optional_scopes": listed_or_none("optional_scopes", optional_scopes, "scopes"),
            "resource": resource,
            "reason": reason,
        }
        return self._authorize_on_loopback(request, redirect_path, key, timeout, open_browser)

    def _authorize_on_loopback(
        self, request: Mapping[str, object], path: str, key: str | None, timeout: float, open_browser: bool
    ) -> Flow[SessionT]:
        with Listener(path) as listener:
            initiate = initiate_consent(self._client, **request, **listener.request())
            consent = yield from self._initiated_on_loopback(initiate, path)
            yield Blocking(lambda: show_in_browser(consent.consent_url, open_browser))
            yield from listener.wait(timeout)
        exchange = exchange_code(self._client, **listener.grant(f"{self._base_url}/oauth"))
        return (yield from self._create_session(exchange, key))

    def _initiated_on_loopback(self, call: Call[PendingConsent], path: str) -> Flow[PendingConsent]:
        try:
            consent = yield from self._call(call)
        except InvalidRedirectUriError as error:
            error.detail += f" Register http://127.0.0.1{path} as a redirect URI of this agent."
            raise
        # Otherwise the wrong `iss` would be found only after the user has decided.
        server = consent.consent_url.partition("/consent/")[0]
        if server != self._base_url:
            raise AuthorizationError(f"AgentGate's address is {server}: pass base_url={server!r}.")
        return consent

    def _accept(self, redeem: Call[Tokens], expected: tuple[str, str], key: str | None) -> Flow[SessionT]:
        tokens = yield from self._call(redeem)
        record = SessionRecord.of(tokens)
        giver = tokens.chain[-2].agent_id if len(tokens.chain) > 1 else None
        if (giver, tokens.user_id) != expected or tokens.delegation_id is None:
            yield from self._call(revoke_token(record.revocable))
            raise UnexpectedDelegationError(giver, tokens.user_id)
        return (yield from self._store_session(key or tokens.delegation_id, record))

    def _create_session(self, exchange: Call[Tokens], key: str | None) -> Flow[SessionT]:
        tokens = yield from self._call(exchange)
        key = key or tokens.consent_id or tokens.agent_id
        return (yield from self._store_session(key, SessionRecord.of(tokens)))

    def _store_session(self, key: str, record: SessionRecord) -> Flow[SessionT]:
        yield Blocking(lambda: self._store.save(key, record))
        return self._session(key, record)

    def _resume_session(self, key: str) -> Flow[SessionT | None]:
        record: SessionRecord | None = yield Blocking(lambda: self._store.load(key))
        return None if record is None else self._session(key, record)

    def _session(self, key: str, record: SessionRecord) -> SessionT:
        session: SessionT = self._session_type(self, self._client, self._store, key, record)
        return session


def _expected(name: str, value: object, prefix: str, who: str) -> str:
    """Return the id. Raises TypeError if it is not one, such as None, because that would expect anyone."""
    if not isinstance(value, str) or not value.startswith(prefix):
        raise TypeError(
            f'{name} must be the id of the {who} ("{prefix}..."): without it, a stranger could hand over '
            "work for another user"
        )
    return value


class AgentGateClient(ClientApi[httpx.Client, Session], SyncApi):
    """An agent's connection to AgentGate. Safe to share between threads."""

    _session_type = Session


class AsyncAgentGateClient(ClientApi[httpx.AsyncClient, AsyncSession], AsyncApi):
    """The asynchronous version of `AgentGateClient`."""

    _session_type = AsyncSession
