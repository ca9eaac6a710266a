"""The scope catalogue."""

from collections.abc import Iterable

from api.endpoint import Endpoint
from api.operations import operation
from api.v1.schemas.scopes import ScopeOut, ScopesOut
from core.errors import NotFound
from resources.catalogue import Scope, catalogue, scopes_in_category


class CatalogueEndpoint(Endpoint):
    cache_control = "public, max-age=300"


class Scopes(CatalogueEndpoint):
    @operation("listScopes", "List the scope catalogue", answer=ScopesOut)
    def get(self) -> ScopesOut:
        return _show(catalogue().values())


class ScopesInCategory(CatalogueEndpoint):
    @operation("listScopesInCategory", "List the scopes of one category", answer=ScopesOut)
    def get(self, category: str) -> ScopesOut:
        scopes = scopes_in_category(category)
        if not scopes:
            raise NotFound("No such category.")
        return _show(scopes)


def _show(scopes: Iterable[Scope]) -> ScopesOut:
    return ScopesOut(items=[ScopeOut.model_validate(scope) for scope in scopes])
