"""`AgentGateVerifier`: a service uses it to decide about a token that it received."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

import httpx

from ._api.tokens import introspect_token, verify_token
from ._base import DEFAULT_TIMEOUT_SECONDS, Api, AsyncApi, SyncApi, service_credential
from ._call import Call
from ._checks import listed
from ._decode import reader
from ._effects import Flow
from ._endpoint import endpoint
from ._retry import RetryPolicy
from .errors import UnexpectedResponseError
from .models import Decision, Introspection

HttpT = TypeVar("HttpT")


class VerifierApi(Api, Generic[HttpT]):
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
    ) -> Flow[Decision]:
        """Decide about one action by live state, scopes and policies. It counts and is logged."""
        return self._call(verify_token(token, scopes, action, resource, context))

    @endpoint
    def verify_batch(self, questions: Sequence[Mapping[str, Any]]) -> Flow[tuple[Decision, ...]]:
        """Decide about up to 100 actions, made with `question(...)`. Decisions are in the same order."""
        body = {"requests": [dict(one) for one in listed("questions", questions, "questions")]}
        return self._call(Call("POST", "/tokens/verify/batch", _read_decisions, json=body))

    @endpoint
    def introspect(self, token: str) -> Flow[Introspection]:
        """Introspect the token (RFC 7662): live state, but no policies. Requires a credential."""
        return self._call(introspect_token(token))


class AgentGateVerifier(VerifierApi[httpx.Client], SyncApi):
    """A service's connection to AgentGate. Safe to share between threads."""


class AsyncAgentGateVerifier(VerifierApi[httpx.AsyncClient], AsyncApi):
    """The asynchronous version of `AgentGateVerifier`."""


def _read_decisions(document: Any) -> tuple[Decision, ...]:
    rows = document.get("decisions") if isinstance(document, dict) else None
    if not isinstance(rows, list):
        raise UnexpectedResponseError("expected a list of decisions")
    read = reader(Decision)
    return tuple(read(row) for row in rows)
