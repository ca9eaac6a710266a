"""Who calls, by introspection: for lists, sessions and bounds. Verify decides about calls."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Protocol

from ..models import Decision, Introspection
from ..service import Refusal
from ..verifier import AsyncAgentGateVerifier

INTROSPECTION_SECONDS = 5.0
_MAX_INTROSPECTIONS = 10_000
# At once, so that made-up tokens leave connections to calls that are decided.
_MAX_ASKING = 32


@dataclass(frozen=True)
class Caller:
    """A token and its owner. `ip` is the address of the direct peer, None if that is not the caller's own.

    `grant` names the consent and the delegations by which the token acts.
    """

    token: str = field(repr=False)
    user_id: str | None
    agent_id: str | None
    scopes: frozenset[str]
    ip: str | None = None
    grant: tuple[str | None, ...] = ()


class Denied(Exception):
    """A call that is not allowed. `body` is what the client gets, as JSON."""

    def __init__(self, reason: str, text: str, body: Mapping[str, Any] | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.body = body or {"error": "access_denied", "error_description": text, "reason": reason}

    @classmethod
    def by(cls, refused: Refusal) -> Denied:
        reason = str(refused.body.get("reason") or refused.body["error"])
        return cls(reason, "", refused.body)


class TokenSource(Protocol):
    """Where the token of a call comes from: the HTTP request, or the gateway's own session."""

    async def caller(self) -> Caller:
        """Return the caller. Raises AgentGateError or Denied if there is none."""
        ...

    async def scopes(self) -> frozenset[str]:
        """Return what the caller's token allows, for lists. Do not wait for the user."""
        ...

    async def renew(self, caller: Caller, decision: Decision) -> bool:
        """Return whether there is another token now, after verify has refused this one with this decision."""
        ...

    async def show(self, page: str) -> None:
        """Show the user a page that the client does not show, if there is a way."""
        ...

    async def step_up(self, scopes: Sequence[str]) -> bool:
        """Ask the user for these scopes, too. Return whether the token has them now."""
        ...


class Introspections:
    """Answers of introspection, each for at most 5 seconds, by the digest of the token."""

    def __init__(self, verifier: AsyncAgentGateVerifier, clock: Callable[[], float] = time.monotonic) -> None:
        self._verifier = verifier
        self._clock = clock
        self._asking = asyncio.Semaphore(_MAX_ASKING)
        self._found: OrderedDict[bytes, tuple[float, Introspection]] = OrderedDict()

    async def of(self, token: str) -> Introspection:
        """Return what the gate says of a token. Raises AgentGateError if it says nothing."""
        key = _key(token)
        held = self._found.get(key)
        if held is not None and self._clock() < held[0]:
            return held[1]
        # From when it was asked: an answer that was on its way for long is that much older.
        async with self._asking:
            until = self._clock() + INTROSPECTION_SECONDS
            found = await self._verifier.introspect(token)
        self._found[key] = (until, found)
        self._found.move_to_end(key)
        if len(self._found) > _MAX_INTROSPECTIONS:
            self._found.popitem(last=False)
        return found

    def forget(self, token: str) -> None:
        """Ask again next time: verify has just said something else."""
        self._found.pop(_key(token), None)


def grant_of(found: Introspection) -> tuple[str | None, ...]:
    """Return the consent and the delegations by which a token acts."""
    return found.consent_id, *(link.delegation_id for link in found.chain)


def _key(token: str) -> bytes:
    return sha256(token.encode()).digest()
