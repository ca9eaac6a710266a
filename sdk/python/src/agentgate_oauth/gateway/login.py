"""The gateway's own session, for a client that starts the gateway as a program (stdio).

The gateway registers itself as a public client (RFC 7591), and the user signs in in the browser (RFC 8252).
Processes that share the store share the session, and one of them asks the user at a time.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import threading
import webbrowser
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from .._api.tokens import ClientCredential, exchange_code, revoke_token
from .._base import DEFAULT_TIMEOUT_SECONDS, Api, AsyncApi
from .._call import Call, Credential
from .._decode import reader
from .._effects import Blocking, Flow
from .._endpoint import endpoint
from .._json import read_json
from .._loopback import Listener
from .._renewal import locked
from ..client import ClientApi
from ..errors import (
    AgentGateError,
    AuthorizationError,
    AuthorizationTimeoutError,
    ConsentDeniedError,
    InvalidClientError,
    InvalidRequestError,
    SessionEndedError,
)
from ..session import AsyncSession
from ..stores import SessionRecord, SessionStore
from ..stores._files import read_private, write_private
from .config import Gateway

logger = logging.getLogger("agentgate_oauth")

# A request for consent expires after this time.
DECISION_SECONDS = 600.0
# A browser that is a program in the terminal can run for as long as the user reads.
_OPENING_SECONDS = 5.0
# After the user has refused, so that repeated calls do not open page after page. It doubles each time.
_QUIET_SECONDS = 60.0
_LONGEST_QUIET_SECONDS = 900.0
_PATH = "/callback"
# A session ended by one of these has no more tokens. Other reasons, such as a paused consent, can be lifted.
_ENDED = frozenset({"invalid_token", "token_revoked", "consent_revoked", "consent_expired"})
_RETRIED = _ENDED | {"token_expired", "insufficient_scope"}


class SignInNeededError(AgentGateError):
    """The user must sign in before the call can be decided, at `url` if it is known."""

    def __init__(self, text: str, url: str | None = None) -> None:
        super().__init__(text)
        self.url = url


@dataclass(frozen=True)
class _Registered:
    client_id: str


@dataclass(frozen=True)
class _Pushed:
    request_uri: str


class OwnClient(ClientApi[httpx.AsyncClient, AsyncSession], AsyncApi):
    """A public client: it has no secret, and PKCE protects its codes."""

    _session_type = AsyncSession

    def __init__(
        self,
        base_url: str,
        store: SessionStore,
        key: str,
        allow_http: bool,
        http_client: httpx.AsyncClient | None = None,
    ) -> None:
        Api.__init__(
            self,
            base_url,
            Credential(),
            timeout=DEFAULT_TIMEOUT_SECONDS,
            retry=None,
            http_client=http_client,
            allow_http=allow_http,
        )
        self._store = store
        self._key = key
        self.use("")

    def use(self, client_id: str) -> None:
        """Act as this client. "" as none: AgentGate then refuses requests as of an unknown client."""
        self._client = ClientCredential(client_id, None)

    @property
    def issuer(self) -> str:
        return f"{self._base_url}/oauth"

    @endpoint
    def register(self, name: str) -> Flow[_Registered]:
        """Register as a client that returns to a program on the user's machine, on any port."""
        body = {
            "client_name": name,
            "redirect_uris": [f"http://127.0.0.1{_PATH}"],
            "grant_types": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_method": "none",
        }
        # Replayable: a registration whose answer was lost is deleted, because no user decides on it.
        call = Call("POST", "/oauth/register", reader(_Registered, naming=str), json=body, replayable=True)
        return self._call(call)

    @endpoint
    def push(self, scopes: Iterable[str], resource: str, request: dict[str, object]) -> Flow[str]:
        """Push a request for consent (RFC 9126), and return the page where the user decides."""
        form = {
            "response_type": "code",
            "client_id": self._client.client_id,
            "scope": " ".join(sorted(scopes)),
            "resource": resource,
            **{name: str(value) for name, value in request.items()},
        }
        return self._push(Call("POST", "/oauth/par", reader(_Pushed, naming=str), form=form, replayable=True))

    @endpoint
    def keep(self, grant: dict[str, object]) -> Flow[None]:
        """Exchange the code, and let the new session replace an earlier one in every process."""
        return self._keep(exchange_code(self._client, **grant))

    @endpoint
    def forget(self, access_token: str) -> Flow[None]:
        """Delete the stored session, unless another process has stored a newer token."""
        return self._forget(access_token)

    @endpoint
    def lock(self) -> Flow[Callable[[], None]]:
        """Wait until no other process asks the user, and return a function that lets others ask."""
        return locked(self._store, f"{self._key} sign-in", patience=DECISION_SECONDS)

    @endpoint
    def wait_for(self, listener: Listener) -> Flow[None]:
        return listener.wait(DECISION_SECONDS)

    def _push(self, call: Call[_Pushed]) -> Flow[str]:
        pushed = yield from self._call(call)
        query = httpx.QueryParams(client_id=self._client.client_id, request_uri=pushed.request_uri)
        return f"{self._base_url}/oauth/authorize?{query}"

    def _keep(self, exchange: Call[Any]) -> Flow[None]:
        tokens = yield from self._call(exchange)
        unlock = yield from locked(self._store, self._key)
        try:
            earlier: SessionRecord | None = yield Blocking(lambda: self._store.load(self._key))
            yield Blocking(lambda: self._store.save(self._key, SessionRecord.of(tokens)))
        finally:
            unlock()
        if earlier is not None:
            with suppress(AgentGateError):
                yield from self._call(revoke_token(earlier.revocable))

    def _forget(self, access_token: str) -> Flow[None]:
        unlock = yield from locked(self._store, self._key)
        try:
            stored: SessionRecord | None = yield Blocking(lambda: self._store.load(self._key))
            if stored is not None and stored.access_token == access_token:
                yield Blocking(lambda: self._store.delete(self._key))
        finally:
            unlock()


class OwnSession:
    """The session of the user who started the gateway. It signs in at the first need.

    The store is read for each token, so that signing in, widening and signing out in one process are seen by
    all others at their next call.
    """

    def __init__(
        self,
        config: Gateway,
        store: SessionStore,
        directory: Path,
        *,
        name: str,
        tell: Callable[[str], None] = lambda page: None,
        allow_http: bool = False,
        http_client: httpx.AsyncClient | None = None,
    ) -> None:
        """`name` is what users read about the client. `tell` is called with the page before it is opened."""
        self._config = config
        self._tell = tell
        self._name = name
        self._key = f"gateway {config.gate} {config.identifier}"
        self._client = OwnClient(config.gate, store, self._key, allow_http, http_client)
        digest = hashlib.sha256(self._key.encode()).hexdigest()[:40]
        self._registration = directory / f"{digest}.client"
        self._asking: asyncio.Task[None] | None = None
        self._page: str | None = None
        self._unopened = asyncio.Event()
        self._quiet_until = 0.0
        self._refusals = 0

    async def token(self) -> str:
        """Return an access token that has not expired. Raises SignInNeededError if the user must decide."""
        token = await self.token_now()
        if token is None:
            await self._ask(frozenset(), None)
            token = await self.token_now()
        if token is None:
            raise SignInNeededError("The sign-in has ended already. Call again to sign in.")
        return token

    async def token_now(self) -> str | None:
        """Return an access token that has not expired, without asking the user. None if there is none."""
        session = await self._live()
        return None if session is None else await session.access_token()

    def begin(self) -> asyncio.Task[None]:
        """Ask the user to sign in, if that is not under way, and return the task that waits for it."""
        return self._begin(frozenset(), None)

    async def widen(self, scopes: Iterable[str], token: str) -> None:
        """Ask the user for these scopes besides those that the session of this token has."""
        await self._ask(frozenset(scopes), token)

    async def refused(self, token: str, reason: str | None) -> bool:
        """Return whether to try again, now that this token was denied. Forget a session that has ended."""
        if reason not in _RETRIED:
            return False
        session = await self._live()
        if session is None or await session.access_token() != token:
            return True  # another call or program has replaced it
        if reason == "token_expired":
            # This machine's clock is behind the server's.
            await session._driver.run(session._renewal.renewed(session._renewal.record))
        elif reason in _ENDED:
            await self._client.forget(token)
        return reason != "insufficient_scope"

    async def granted(self) -> tuple[str, ...]:
        """Return the scopes of the session, none without one."""
        session = await self._live()
        return session.granted_scopes if session else ()

    async def sign_out(self) -> bool:
        """End the session in all processes, and at AgentGate. Return whether there was one."""
        session = await self._resumed()
        if session is not None:
            await session.revoke()
        return session is not None

    async def aclose(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait({self._asking})
        await self._client.aclose()

    async def _resumed(self) -> AsyncSession | None:
        self._client.use(await asyncio.to_thread(self._registered_id))
        return await self._client.resume_session(self._key)

    async def _live(self) -> AsyncSession | None:
        """Return the stored session if it has tokens, refreshed if need be."""
        session = await self._resumed()
        try:
            if session is not None:
                await session.access_token()
        except (SessionEndedError, InvalidClientError) as error:
            logger.info("The session has ended: %s", error)
            return None
        return session

    async def _ask(self, wanted: frozenset[str], replaced: str | None) -> None:
        """Wait for the user to sign in, as long as a call may wait for an approval."""
        asking = self._begin(wanted, replaced)
        await _first_of(asking, self._unopened.wait(), self._config.limits.approval_seconds)
        if not asking.done():
            # The next call waits for the user, who has the page from this one.
            self._unopened.clear()
            raise self._still_needed()
        try:
            asking.result()
        except ConsentDeniedError:
            raise SignInNeededError("You did not allow access, so this call is denied.") from None
        except AuthorizationTimeoutError:
            raise SignInNeededError("You did not sign in in time. Call again to be asked again.") from None
        except AuthorizationError as error:
            raise SignInNeededError(f"Signing in failed: {error}") from None
        except InvalidRequestError as error:
            # Such as a scope that is not registered.
            text = f"AgentGate does not ask the user for what gateway.yaml needs: {error.detail}"
            raise SignInNeededError(f"{text} The operator runs: agentgate gateway check") from None

    def _begin(self, wanted: frozenset[str], replaced: str | None) -> asyncio.Task[None]:
        if self._asking is None or self._asking.done():
            if asyncio.get_running_loop().time() < self._quiet_until:
                raise SignInNeededError(
                    "You did not allow this. Call again in some minutes to be asked again."
                )
            self._asking = asyncio.create_task(self._sign_in(wanted, replaced))
            # The calls that waited may have given up.
            self._asking.add_done_callback(lambda task: task.cancelled() or task.exception())
        return self._asking

    def _still_needed(self) -> SignInNeededError:
        if self._page is None:
            return SignInNeededError(
                "Another program of yours waits for you to sign in. Do that, then call again."
            )
        text = f"Open {self._page} in a browser on this machine and allow access. Then call again."
        return SignInNeededError(text, self._page)

    async def _sign_in(self, wanted: frozenset[str], replaced: str | None) -> None:
        unlock = await self._client.lock()
        try:
            session = await self._live()
            granted = frozenset(session.granted_scopes) if session else frozenset()
            if session is not None and wanted <= granted and await session.access_token() != replaced:
                return  # another process has asked for it meanwhile
            scopes = wanted | granted if wanted and session else scopes_of(self._config)
            with Listener(_PATH) as listener:
                self._page = await self._pushed(scopes, listener.request())
                self._tell(self._page)
                if not await opened(self._page):
                    self._unopened.set()
                await self._client.wait_for(listener)
            await self._client.keep(listener.grant(self._client.issuer))
            self._note_answer(wanted <= set(await self.granted()))
        except ConsentDeniedError:
            self._note_answer(False)
            raise
        finally:
            self._page = None
            unlock()

    def _note_answer(self, has_allowed: bool) -> None:
        self._refusals = 0 if has_allowed else min(self._refusals + 1, 9)
        quiet = 0 if has_allowed else min(_QUIET_SECONDS * 2 ** (self._refusals - 1), _LONGEST_QUIET_SECONDS)
        self._quiet_until = asyncio.get_running_loop().time() + quiet

    async def _pushed(self, scopes: frozenset[str], request: dict[str, object]) -> str:
        """Return the page where the user decides. Register first if AgentGate does not know this client."""
        try:
            return await self._client.push(scopes, self._config.identifier, request)
        except InvalidClientError:
            client_id = (await self._client.register(self._name)).client_id
        await asyncio.to_thread(write_private, self._registration, json.dumps({"client_id": client_id}))
        self._client.use(client_id)
        return await self._client.push(scopes, self._config.identifier, request)

    def _registered_id(self) -> str:
        """Return the client id, "" if the gateway has not registered yet."""
        text = read_private(self._registration)
        try:
            return str(read_json((text or "{}").encode()).get("client_id", ""))
        except (ValueError, AttributeError):
            return ""


def scopes_of(config: Gateway) -> frozenset[str]:
    """Return the scopes of all lines."""
    return frozenset(
        line.scope
        for upstream in config.upstreams.values()
        for lines in (upstream.tools, upstream.resources, upstream.prompts)
        for line in lines.values()
    )


async def opened(url: str) -> bool:
    """Open the page in the user's browser. Return False without a browser.

    A daemon thread does it: some browsers are programs that end when the user closes them.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[bool] = loop.create_future()

    def settle(found: bool) -> None:
        if not outcome.done():
            outcome.set_result(found)

    def run() -> None:
        try:
            found = webbrowser.open(url)
        except (webbrowser.Error, OSError):
            found = False
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(settle, found)

    threading.Thread(target=run, daemon=True).start()
    await asyncio.wait({outcome}, timeout=_OPENING_SECONDS)
    return outcome.result() if outcome.done() else True


async def _first_of(task: asyncio.Task[None], other: Awaitable[object], seconds: float) -> None:
    """Wait for the first of the two, without ending the task."""
    waiting = asyncio.ensure_future(other)
    try:
        await asyncio.wait({task, waiting}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
