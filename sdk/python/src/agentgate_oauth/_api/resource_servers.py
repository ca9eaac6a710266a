"""Resource servers: the services that call verify, each with its own credential."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._base import Api
from .._call import UNSET, Unset, changed, create, delete, get, given, patch, segment
from .._checks import listed, listed_or_unset
from .._decode import reader
from .._effects import Flow
from .._endpoint import endpoint, paged
from .._lists import page_of
from ..models import NewResourceServer, Page, ResourceServer, RotatedResourceSecret

# The id of a scope in the catalogue, or the definition of one of the service's own scopes.
AnyScope = str | Mapping[str, Any]


class ResourceServersApi(Api):
    @endpoint
    def create_resource_server(
        self, *, name: str, identifier: str, scopes: Sequence[AnyScope]
    ) -> Flow[NewResourceServer]:
        """Register a service by its audience, an absolute URI. Its `secret` is shown only once."""
        body = given(name=name, identifier=identifier, scopes=listed("scopes", scopes, "scopes"))
        return self._call(create("/resource-servers", reader(NewResourceServer), body))

    @endpoint
    def list_resource_servers(
        self, *, limit: int | None = None, cursor: str | None = None
    ) -> Flow[Page[ResourceServer]]:
        """Return one page of the organization's resource servers."""
        return self._call(get("/resource-servers", page_of(ResourceServer), limit=limit, cursor=cursor))

    iter_resource_servers = paged(list_resource_servers)

    @endpoint
    def get_resource_server(self, server_id: str) -> Flow[ResourceServer]:
        """Return the resource server. Raises NotFoundError."""
        return self._call(get(f"/resource-servers/{segment(server_id)}", reader(ResourceServer)))

    @endpoint
    def update_resource_server(
        self,
        server_id: str,
        *,
        name: str | Unset = UNSET,
        scopes: Sequence[AnyScope] | Unset = UNSET,
    ) -> Flow[ResourceServer]:
        """Change the given fields. The identifier cannot be changed, because tokens contain it."""
        body = changed(name=name, scopes=listed_or_unset("scopes", scopes, "scopes"))
        return self._call(patch(f"/resource-servers/{segment(server_id)}", reader(ResourceServer), body))

    @endpoint
    def delete_resource_server(self, server_id: str) -> Flow[None]:
        """Delete the resource server. Its credential stops working at once. Raises NotFoundError."""
        return self._call(delete(f"/resource-servers/{segment(server_id)}"))

    @endpoint
    def rotate_resource_server_secret(
        self, server_id: str, *, overlap_seconds: int | None = None
    ) -> Flow[RotatedResourceSecret]:
        """Replace the secret. The old one keeps working for `overlap_seconds` (default: 0)."""
        path = f"/resource-servers/{segment(server_id)}/rotate-secret"
        return self._call(create(path, reader(RotatedResourceSecret), given(overlap_seconds=overlap_seconds)))
