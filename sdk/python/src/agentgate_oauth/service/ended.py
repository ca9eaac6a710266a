"""What ended, by the ids that tokens carry, for as long as these tokens would still be valid."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..errors import UnexpectedResponseError

# Beyond these, the oldest are forgotten, and all tokens of before are refused.
MAX_KEPT = 100_000
# Two lifetimes of an access token, after which no token of before is valid on any clock.
KEEP_SECONDS = 2 * 900.0
# `iat` has whole seconds, so a token of the second in which something ended counts as issued before. One that
# was being issued meanwhile, or by a node with another clock, can have a later `iat`.
_RACE_SECONDS = 2
# Each kind with the reason of a refusal, the claim that has its id, and the member of an item that has it.
_KINDS = {
    "family": ("token_revoked", "sid", "family_id"),
    "organization": ("organization_suspended", "org_id", "organization_id"),
    "agent": ("agent_suspended", "client_id", "client_id"),
    "user": ("user_inactive", "sub", "user_id"),
    "delegation": ("delegation_ended", "delegations", "delegation_id"),
    "consent": ("consent_revoked", "consent_id", "consent_id"),
}
# Those that also end what the agents above handed on, with the claim within `act` that has their id.
_ABOVE = {"family": "sid", "organization": "org_id", "agent": "sub"}
# No chain is longer. What is deeper was not issued by AgentGate.
_MOST_ACTORS = 16


def elapsed() -> float:
    """Return seconds like time.monotonic, but go on while the machine is suspended, where that is known."""
    if not hasattr(time, "clock_gettime"):
        return time.monotonic()
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@dataclass(frozen=True)
class Revocation:
    """What ended at a time, as the API says it."""

    kind: str
    at: datetime
    family_id: str | None = None
    consent_id: str | None = None
    client_id: str | None = None
    user_id: str | None = None
    organization_id: str | None = None
    delegation_id: str | None = None
    scopes: tuple[str, ...] = ()


class Ended:
    """What ended, with the last `iat` of the tokens that ended with it. One thread adds, and any may read.

    There are two generations, so that the oldest are forgotten together.
    """

    def __init__(self, clock: Callable[[], float] = elapsed, most: int = MAX_KEPT) -> None:
        self._clock = clock
        self._most = most
        self._newer: dict[str, int] = {}
        self._older: dict[str, int] = {}
        self._turned_at = clock()
        self._floor = 0

    def __len__(self) -> int:
        return len(self._newer) + len(self._older)

    def add(self, items: Iterable[Revocation]) -> None:
        """Keep the items. Raises UnexpectedResponseError for one without an id."""
        for item in items:
            last = int(item.at.timestamp()) + _RACE_SECONDS
            for key in _keys_of(item):
                self._newer[key] = max(last, self._newer.get(key, 0))
                if 2 * len(self._newer) >= self._most:
                    self._turn()
            if item.kind not in _KINDS and item.kind != "scope":
                # A later version may end what this one does not know.
                self._floor = max(self._floor, last)
        if self._clock() - self._turned_at >= KEEP_SECONDS:
            self._turn()

    def remaining(self, claims: Mapping[str, Any], scopes: Iterable[str]) -> list[str]:
        """Return those of the scopes that a token with these claims still has. Ask this before `reason`."""
        holders = [claims[name] for name in ("consent_id", "client_id") if name in claims]
        holders += [one.get("sub") for one in actors_above(claims)]

        def has_ended(scope: str) -> bool:
            return any(self._has_ended(f"scope {one} {scope}", claims) for one in holders)

        return [scope for scope in scopes if not has_ended(scope)]

    def reason(self, claims: Mapping[str, Any]) -> str | None:
        """Return why a token with these claims has ended, or None if it has not."""
        for kind, (reason, claim, _) in _KINDS.items():
            if kind == "delegation":
                ended = self._has_chain_ended(claims)
            else:
                # The `sub` of a token without a consent is the client.
                named = claim in claims and (kind != "user" or "consent_id" in claims)
                ended = named and self._has_subject_ended(kind, claims[claim], claims)
            if ended:
                return reason
        # Read last: it replaces what was forgotten.
        return "token_revoked" if int(claims["iat"]) <= self._floor else None

    def _has_chain_ended(self, claims: Mapping[str, Any]) -> bool:
        """Return whether a delegation by which the token acts has ended, or an agent above acts no longer."""
        named = [("delegation", one) for one in claims.get("delegations", ())]
        named += [
            (kind, one[claim])
            for one in actors_above(claims)
            for kind, claim in _ABOVE.items()
            if claim in one
        ]
        return any(self._has_subject_ended(kind, one, claims) for kind, one in named)

    def _has_subject_ended(self, kind: str, subject: object, claims: Mapping[str, Any]) -> bool:
        return self._has_ended(f"{kind} {subject}", claims, always=kind in ("family", "delegation"))

    def _has_ended(self, key: str, claims: Mapping[str, Any], *, always: bool = False) -> bool:
        # In this order: items move from the newer to the older.
        last = self._newer.get(key) or self._older.get(key)
        return last is not None and (always or int(claims["iat"]) <= last)

    def _turn(self) -> None:
        """Begin a generation. Of the one that is forgotten, the floor keeps what tokens may still need."""
        now = self._clock()
        if self._older and now - self._turned_at < KEEP_SECONDS:
            self._floor = max(self._floor, *self._older.values())
        self._older = self._newer
        self._newer = {}
        self._turned_at = now


def actors_above(claims: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the agents that handed the work on, from the last to the first (RFC 8693 section 4.1).

    Raises ValueError for a claim that AgentGate does not issue.
    """
    found: list[Mapping[str, Any]] = []
    actor = claims.get("act", {})
    while "act" in _actor(actor):
        actor = actor["act"]
        found.append(_actor(actor))
        if len(found) > _MOST_ACTORS:
            raise ValueError("the claim act is too deep")
    return found


def _actor(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("the claim act is malformed")
    return value


def _keys_of(item: Revocation) -> Iterator[str]:
    if item.kind == "scope":
        holder = item.consent_id or item.client_id
        yield from (f"scope {_present(holder)} {scope}" for scope in item.scopes)
    elif item.kind in _KINDS:
        yield f"{item.kind} {_present(getattr(item, _KINDS[item.kind][2]))}"


def _present(identifier: str | None) -> str:
    if not identifier:
        raise UnexpectedResponseError("a revocation has no id")
    return identifier
