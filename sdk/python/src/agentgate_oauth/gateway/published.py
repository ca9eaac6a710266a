"""What the gateway publishes without a token: where tokens come from, and the scopes to ask for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from urllib.parse import urlsplit

from pydantic import AnyHttpUrl
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ..integrations.fastmcp import AgentGateAuthProvider
from .callers import Introspections
from .catalogue import Catalogue
from .config import Gateway
from .front import Tokens


class Published(AgentGateAuthProvider):
    """Publishes the scopes of the catalogue (RFC 9728), and names those to begin with in its challenges.

    FastMCP takes both once, when it makes the application. But a running gateway reads its files again, and a
    client that does not know the scopes of a new server never asks its user for them.
    """

    def __init__(self, gateway: Gateway, catalogue: Catalogue, introspections: Introspections) -> None:
        parts = urlsplit(gateway.identifier)
        # The challenges are made from this very list.
        self._first = catalogue.first_scopes()
        super().__init__(
            token_verifier=Tokens(introspections),
            authorization_servers=[AnyHttpUrl(f"{gateway.gate.rstrip('/')}/oauth")],
            base_url=f"{parts.scheme}://{parts.netloc}",
            scopes_supported=catalogue.scopes(),
            challenge_scopes=self._first,
            resource_name=gateway.name,
        )

    def use(self, catalogue: Catalogue) -> None:
        """Publish the scopes of this catalogue from now on."""
        self._scopes_supported = catalogue.scopes()
        self._first[:] = catalogue.first_scopes()

    def get_routes(self, mcp_path: str | None = None) -> list[Route]:
        """Return the route of the metadata, which is made for each request."""
        make = super().get_routes
        return [
            Route(one.path, _MadeAnew(partial(make, mcp_path), at), methods=one.methods)
            for at, one in enumerate(make(mcp_path))
        ]


class _MadeAnew:
    """A route's application, made for each request."""

    def __init__(self, make: Callable[[], list[Route]], position: int) -> None:
        self._make, self._position = make, position

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._make()[self._position].app(scope, receive, send)
