"""Over stdio, calls are made by the gateway's own session. Its user is asked to sign in at the first need."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from fastmcp.server.dependencies import get_context

from ..errors import StoreError
from ..models import Decision
from .callers import Caller, Denied, Introspections
from .login import OwnSession, SignInNeededError, opened

logger = logging.getLogger("agentgate_oauth.gateway")

_QUIET_SECONDS = 10.0


class OwnCallers:
    """The user of the gateway's own session. `ip` is None, because the client is on this machine."""

    def __init__(self, session: OwnSession, introspections: Introspections) -> None:
        self._session = session
        self._introspections = introspections
        self._has_begun = False
        self._quiet_until = 0.0
        self._telling: set[asyncio.Task[None]] = set()

    async def caller(self) -> Caller:
        """Return the user. Wait for them to sign in if need be."""
        with _denying():
            token = await self._session.token()
        found = await self._introspections.of(token)
        if not found.active:
            # Verify says why, and whether another token helps.
            return Caller(token, None, None, frozenset())
        return Caller(token, found.sub, found.client_id, frozenset(found.scopes))

    async def scopes(self) -> frozenset[str]:
        """Return what the user allows. Open the page to sign in without waiting, once for all lists."""
        token = await self._session.token_now()
        if token is None:
            self._begin()
            return frozenset()
        found = await self._introspections.of(token)
        return frozenset(found.scopes) if found.active else frozenset()

    async def renew(self, caller: Caller, decision: Decision) -> bool:
        self._introspections.forget(caller.token)
        return await self._session.refused(caller.token, decision.reason)

    async def show(self, page: str) -> None:
        """Open a page in the browser, unless one was opened a moment ago, which the user may still read."""
        now = asyncio.get_running_loop().time()
        if now >= self._quiet_until:
            self._quiet_until = now + _QUIET_SECONDS
            await opened(page)

    async def step_up(self, scopes: Sequence[str]) -> bool:
        """Ask the user in the browser. Return whether they have allowed all."""
        caller = await self.caller()
        if set(scopes) <= caller.scopes:
            return True
        if caller.user_id is None:
            await self._session.refused(caller.token, "invalid_token")
        with _denying():
            await self._session.widen(scopes, caller.token)
        return set(scopes) <= (await self.caller()).scopes

    def _begin(self) -> None:
        try:
            client = get_context().session
        except RuntimeError:
            return  # FastMCP lists by itself when it starts
        if self._has_begun:
            return
        self._has_begun = True
        with suppress(SignInNeededError):
            telling = asyncio.create_task(_tell(self._session.begin(), client))
            self._telling.add(telling)
            telling.add_done_callback(self._telling.discard)


async def _tell(signing_in: asyncio.Task[None], client: Any) -> None:
    """Let the client list again once the user has signed in. In the newer era, it does so by itself."""
    await asyncio.wait({signing_in})
    if signing_in.cancelled() or signing_in.exception() is not None:
        return
    try:
        await client.send_tool_list_changed()
        await client.send_resource_list_changed()
        await client.send_prompt_list_changed()
    except Exception as error:
        logger.debug("The client was not told of the sign-in: %s", type(error).__name__)


@contextmanager
def _denying() -> Iterator[None]:
    try:
        yield
    except SignInNeededError as error:
        body = {"error": "sign_in_required", "error_description": str(error), "reason": "sign_in_required"}
        link = {"signInUrl": error.url} if error.url else {}
        raise Denied("sign_in_required", "", {**body, **link}) from None
    except StoreError as error:
        raise Denied("session_unusable", f"The gateway's own session cannot be used: {error}") from None
