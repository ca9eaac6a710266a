"""Decisions without a call to AgentGate: checks the token's signature and claims with the published keys.

A thread learns what ended, so a token that was revoked, or whose connection, agent, user or organization was
stopped, is refused (`revocations`). It cannot know any policy, limit or approval, nor which scope covers an
action. Its decisions list this in `unknown`, and are not logged.
"""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from .._call import Call, Credential
from .._effects import Flow
from .._retry import RetryPolicy, perform
from ..errors import MissingExtraError, UnexpectedResponseError
from ..models import Decision, Introspection, Link
from .ended import actors_above
from .requirement import Question
from .revocations import Revocations
from .sources import by_scopes

UNKNOWN = ("actions", "policies", "approvals")
# No symmetric algorithm: with HS256, a service that can check tokens could also create them.
_ALGORITHMS = frozenset({"ES256", "RS256", "EdDSA"})
_KEYS_LIVE_SECONDS = 300.0
# Callers can invent key ids, so the keys are fetched at most this often for unknown ids.
_KEYS_PAUSE_SECONDS = 10.0


class OfflineSource:
    """Checks the key id's algorithm, `typ`, `iss`, `aud`, `exp` and `scope` of a JWT (RFC 9068 section 4)."""

    def __init__(
        self,
        issuer: str,
        audience: str,
        retry: RetryPolicy,
        revocations: Callable[[], Revocations],
        organization_id: str | None = None,
        leeway_seconds: float = 5.0,
    ) -> None:
        """`revocations` returns what this process knows, also after a fork, which threads do not survive.

        With `organization_id`, only tokens that were granted to this organization's agents pass.
        """
        self._jwt = _import_jwt()
        self._revocations: dict[int, Revocations] = {}
        self._open_revocations = revocations
        self._issuer = issuer
        self._audience = audience
        self._retry = retry
        self._organization_id = organization_id
        self._leeway = leeway_seconds
        self._keys: dict[str, Any] = {}
        self._fetched_at = float("-inf")

    def decide(self, token: str, question: Question) -> Flow[Decision]:
        revocations = self._revocations_here()
        key = yield from self._key_of(token)
        claims, reason = self._check(token, key)
        if claims is None:
            return Decision(allowed=False, reason=reason, unknown=UNKNOWN)
        yield from revocations.require_current()
        remaining = revocations.ended.remaining(claims, claims["scope"].split())
        found = _as_introspection(claims, remaining)
        reason = revocations.ended.reason(claims) or ("consent_paused" if claims.get("paused") else None)
        decision = by_scopes(found, question, UNKNOWN)
        return replace(decision, allowed=False, reason=reason, missing_scopes=()) if reason else decision

    def close(self) -> None:
        """End the threads."""
        for one in self._revocations.values():
            one.close()

    def _revocations_here(self) -> Revocations:
        process = os.getpid()
        found = self._revocations.get(process)
        if found is None:
            # `setdefault` lets the threads of a process agree on one.
            found = self._revocations.setdefault(process, self._open_revocations())
        found.start()
        return found

    def _key_of(self, token: str) -> Flow[Any]:
        """Return the key of the token's key id, None if the header is not one of AgentGate's."""
        try:
            header = self._jwt.get_unverified_header(token)
        except (self._jwt.InvalidTokenError, ValueError, RecursionError):
            return None
        # RFC 7515 section 4.1.11: an unknown extension makes the token invalid.
        if header.get("typ") != "at+jwt" or "crit" in header:
            return None
        key = yield from self._published_key(header.get("kid"))
        return key if key is not None and key.algorithm_name == header.get("alg") else None

    def _published_key(self, key_id: object) -> Flow[Any]:
        age = time.monotonic() - self._fetched_at
        if age > _KEYS_LIVE_SECONDS or (key_id not in self._keys and age > _KEYS_PAUSE_SECONDS):
            self._keys = yield from self._fetch_keys()
            self._fetched_at = time.monotonic()
        return self._keys.get(key_id) if isinstance(key_id, str) else None

    def _fetch_keys(self) -> Flow[dict[str, Any]]:
        call = Call("GET", "/oauth/jwks", _rows, replayable=True)
        rows = yield from perform(call, Credential(), self._retry)
        keys = {str(row.get("kid")): self._read_key(row) for row in rows if _is_offered(row)}
        if not keys:
            raise UnexpectedResponseError("AgentGate publishes no keys, so tokens cannot be checked offline")
        return keys

    def _read_key(self, row: dict[str, Any]) -> Any:
        try:
            return self._jwt.PyJWK(row)
        except (self._jwt.PyJWTError, ValueError, TypeError):
            return None

    def _check(self, token: str, key: Any) -> tuple[dict[str, Any] | None, str | None]:
        if key is None:
            return None, "invalid_token"
        required = ["iss", "sub", "aud", "client_id", "exp", "iat"]
        try:
            claims: dict[str, Any] = self._jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                issuer=self._issuer,
                audience=self._audience,
                leeway=self._leeway,
                options={"require": required},
            )
            if not isinstance(claims.setdefault("scope", ""), str):
                return None, "invalid_token"
            granting = _granting(claims)
            if self._organization_id not in (None, granting.get("org_id")):
                return None, "wrong_audience"
            return claims, None
        except self._jwt.ExpiredSignatureError:
            return None, "token_expired"
        except self._jwt.InvalidAudienceError:
            return None, "wrong_audience"
        except (self._jwt.InvalidTokenError, TypeError, ValueError):
            return None, "invalid_token"


def _is_offered(row: object) -> bool:
    return isinstance(row, dict) and isinstance(row.get("alg"), str) and row["alg"] in _ALGORITHMS


def _rows(document: Any) -> list[Any]:
    rows = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(rows, list):
        raise UnexpectedResponseError("expected a JSON Web Key Set")
    return rows


def _granting(claims: dict[str, Any]) -> Mapping[str, Any]:
    """Return what names the agent to which the user granted. Raises ValueError for a malformed chain."""
    above = actors_above(claims)
    if len(above) != len(claims.get("delegations", ())):
        raise ValueError("the claims act and delegations differ")
    return above[-1] if above else claims


def _as_introspection(claims: dict[str, Any], scopes: Sequence[str]) -> Introspection:
    chain = _chain(claims)
    return Introspection(
        active=True,
        scope=" ".join(scopes),
        sub=claims["sub"],
        client_id=claims["client_id"],
        exp=int(claims["exp"]),
        consent_id=claims.get("consent_id"),
        actor=chain[-1] if chain else None,
        chain=chain,
    )


def _chain(claims: dict[str, Any]) -> tuple[Link, ...]:
    """Return the agents from the first one to the client, if the work was handed on."""
    clients = [claims["client_id"], *(one.get("sub") for one in actors_above(claims))]
    delegations = [None, *claims.get("delegations", ())]
    return tuple(map(Link, reversed(clients), delegations)) if len(clients) > 1 else ()


def _import_jwt() -> Any:
    try:
        importlib.import_module("cryptography")
        return importlib.import_module("jwt")
    except ImportError:
        raise MissingExtraError("offline") from None
