"""`Guard`: decides about requests in any framework. It fails closed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Literal
from weakref import WeakKeyDictionary, finalize

import httpx

from .._api.approvals import PENDING, wait_for_approval
from .._base import service_credential
from .._call import Credential
from .._checks import checked_base_url
from .._drivers import AsyncDriver, SyncDriver
from .._effects import Flow
from .._retry import RetryPolicy
from ..errors import AgentGateError, ApiError
from ..models import Decision
from .bearer import MalformedCredential, read_bearer
from .offline import OfflineSource
from .refusals import Challenge, Refusal, bad_token, no_token, refusal, unavailable
from .requirement import Question
from .revocations import SHORTEST_LEASE, Revocations
from .sources import DecisionSource, IntrospectionSource, VerifySource

Mode = Literal["verify", "introspect", "offline"]
logger = logging.getLogger("agentgate_oauth")

# A caller is waiting, so a quick 503 is better than a slow response.
_TIMEOUT_SECONDS = 5.0
_RETRY = RetryPolicy(attempts=3, base_seconds=0.1, cap_seconds=0.5, max_wait_seconds=2.0)


class Guard:
    """Decides about the requests to a service.

    `mode` is the source of decisions: "verify" (the default: live state, the action, policies, counted and
    logged), "introspect" (live state, but neither the action nor policies) or "offline" (signature, claims,
    and what AgentGate says has ended: the action and policies are unknown; needs the service's credential and
    `audience`, its own identifier). An offline guard asks what ended in a thread, which starts with the first
    check. It refuses all requests with 503 once it has had no answer for `lease_seconds`.
    The default audience, AgentGate's URL, is for the services of the organization to whose agent the user
    granted. An offline guard with this audience needs `organization_id`, the service's own.
    Challenges contain `resource_metadata`, the URL of the service's RFC 9728 document, so that clients find
    the authorization server.
    `timeout` is in seconds, for each step of a request to AgentGate. A whole response may take twice as long.
    """

    def __init__(
        self,
        base_url: str,
        resource_server_id: str | None = None,
        resource_server_secret: str | None = None,
        *,
        mode: Mode = "verify",
        audience: str | None = None,
        organization_id: str | None = None,
        issuer: str | None = None,
        lease_seconds: float = 30.0,
        realm: str | None = None,
        resource_metadata: str | None = None,
        timeout: float = _TIMEOUT_SECONDS,
        retry: RetryPolicy = _RETRY,
        allow_http: bool = False,
        http_client: httpx.Client | None = None,
        async_http_client: httpx.AsyncClient | None = None,
    ) -> None:
        self._base_url = checked_base_url(base_url, allow_http)
        self._challenge = Challenge(realm, resource_metadata)
        self._timeout = timeout
        self._http_client = http_client
        self._driver = SyncDriver(self._base_url, timeout, http_client)
        self._async_http_client = async_http_client
        self._async_drivers: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncDriver] = WeakKeyDictionary()
        credential = _credential(mode, resource_server_id, resource_server_secret)
        self._credential = credential
        self._source = self._open_source(
            mode, credential, retry, audience, organization_id, issuer, lease_seconds
        )

    def __repr__(self) -> str:
        return f"<Guard {self._base_url}>"

    def close(self) -> None:
        """End the thread of an offline guard. The guard cannot be used afterwards."""
        if isinstance(self._source, OfflineSource):
            self._source.close()

    def check(self, authorization: Sequence[str], question: Question) -> Decision | Refusal:
        """Return the Decision if a request with these `Authorization` headers is allowed, or the Refusal."""
        return self._driver.run(self._judge(authorization, question))

    async def acheck(self, authorization: Sequence[str], question: Question) -> Decision | Refusal:
        """Like `check`, but asynchronous. May be used in several event loops."""
        return await self._async_driver().run(self._judge(authorization, question))

    async def adecide(self, token: str, question: Question) -> Decision:
        """Return the decision about a token. Raises AgentGateError if AgentGate does not decide."""
        return await self._async_driver().run(self._source.decide(token, question))

    async def await_decision(self, approval_id: str, patience: timedelta) -> bool:
        """Wait for at most so long until the user decides about a request. Return whether it is decided."""
        wait = wait_for_approval(approval_id, patience.total_seconds(), self._credential)
        try:
            return await self._async_driver().run(wait) != PENDING
        except AgentGateError as error:
            logger.error("AgentGate does not say whether %s is decided: %s", approval_id, error)
            return False

    def _judge(self, authorization: Sequence[str], question: Question) -> Flow[Decision | Refusal]:
        try:
            token = read_bearer(authorization)
        except MalformedCredential:
            return bad_token(self._challenge, question.scopes)
        if token is None:
            return no_token(self._challenge, question.scopes)
        try:
            decision = yield from self._source.decide(token, question)
        except AgentGateError as error:
            logger.error("AgentGate gave no decision, refusing the request: %s", error)
            return unavailable(error.retry_after if isinstance(error, ApiError) else None)
        return refusal(decision, self._challenge, question.scopes) or decision

    def _open_source(
        self,
        mode: Mode,
        credential: Credential,
        retry: RetryPolicy,
        audience: str | None,
        organization_id: str | None,
        issuer: str | None,
        lease_seconds: float,
    ) -> DecisionSource:
        if mode == "verify":
            return VerifySource(credential, retry)
        if mode == "introspect":
            return IntrospectionSource(credential, retry)
        if mode != "offline":
            raise ValueError('mode must be "verify", "introspect" or "offline"')
        if not audience:
            raise ValueError(
                "offline decisions need audience: without it, tokens for other services would pass"
            )
        issuer = issuer or f"{self._base_url}/oauth"
        is_default = audience.rstrip("/") in (self._base_url, issuer.removesuffix("/oauth"))
        if is_default and not organization_id:
            raise ValueError(
                "the default audience needs organization_id: without it, tokens of the agents of other "
                "organizations would pass"
            )
        if lease_seconds < SHORTEST_LEASE:
            raise ValueError(f"lease_seconds must be at least {SHORTEST_LEASE:g}")
        # Without `self`, so that the thread does not keep the guard alive.
        connect = partial(SyncDriver, self._base_url, self._timeout, self._http_client)
        timeout = self._timeout
        source = OfflineSource(
            issuer,
            audience,
            retry,
            lambda: Revocations(connect(), credential, lease_seconds, timeout),
            organization_id if is_default else None,
        )
        finalize(self, source.close)
        return source

    def _async_driver(self) -> AsyncDriver:
        loop = asyncio.get_running_loop()
        driver = self._async_drivers.get(loop)
        if driver is None:
            driver = AsyncDriver(self._base_url, self._timeout, self._async_http_client)
            self._async_drivers[loop] = driver
        return driver


def _credential(mode: Mode, server_id: str | None, secret: str | None) -> Credential:
    if mode in ("introspect", "offline") and not server_id and not secret:
        raise ValueError(f'mode="{mode}" needs resource_server_id and resource_server_secret')
    return service_credential(server_id, secret)
