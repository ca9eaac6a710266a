"""Base classes of the API clients: server URL, credential, and sending calls."""

from __future__ import annotations

import base64
import os
from typing import Any, TypeVar

from ._call import Call, Credential
from ._checks import checked_base_url
from ._drivers import AsyncDriver, SyncDriver
from ._effects import Flow
from ._retry import RetryPolicy, perform

T = TypeVar("T")
DEFAULT_TIMEOUT_SECONDS = 10.0


class Api:
    """Base of the classes that declare endpoints. Subclasses add SyncApi or AsyncApi, with the driver."""

    _driver_type: Any
    _driver: Any

    def __init__(
        self,
        base_url: str,
        credential: Credential,
        *,
        timeout: float,
        retry: RetryPolicy | None,
        http_client: Any,
        allow_http: bool,
    ) -> None:
        self._base_url = checked_base_url(base_url, allow_http)
        self._credential = credential
        self._retry = retry or RetryPolicy()
        self._driver = self._driver_type(self._base_url, timeout, http_client)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._base_url}>"

    def _call(self, call: Call[T]) -> Flow[T]:
        return perform(call, self._credential, self._retry)


class BlockingMethods:
    """Marks a class whose endpoints block."""

    _driver_type = SyncDriver
    _driver: SyncDriver


class AsyncMethods:
    """Marks a class whose endpoints are awaited."""

    _driver_type = AsyncDriver
    _driver: AsyncDriver


class SyncApi(BlockingMethods):
    """Owns its connections: use it as a context manager, or call `close`."""

    def __enter__(self: T) -> T:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. The object cannot be used afterwards."""
        self._driver.close()


class AsyncApi(AsyncMethods):
    """Owns its connections: use it with `async with`, or call `aclose`."""

    async def __aenter__(self: T) -> T:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections. The object cannot be used afterwards."""
        await self._driver.close()


def http_allowed_by_environment() -> bool:
    """Return whether `AGENTGATE_ALLOW_HTTP=1` allows plain http to AgentGate."""
    return os.environ.get("AGENTGATE_ALLOW_HTTP") == "1"


def service_credential(server_id: str | None, secret: str | None) -> Credential:
    """Return a resource server's credential, or an empty one. Raises ValueError if one part is missing."""
    if not server_id and not secret:
        return Credential()
    if not server_id or not secret:
        missing = "resource_server_secret" if server_id else "resource_server_id"
        raise ValueError(f"{missing} is missing: pass both parts of the resource server's credential")
    return basic_credential(server_id, secret)


def basic_credential(name: str, secret: str) -> Credential:
    """Return a name and a secret as HTTP Basic."""
    encoded = base64.b64encode(f"{name}:{secret}".encode()).decode()
    return Credential({"Authorization": f"Basic {encoded}"})
