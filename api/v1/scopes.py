"""The scope catalogue."""

from rest_framework.request import Request
from rest_framework.response import Response

from api.endpoint import Endpoint
from api.operations import operation
from api.v1.shapes.scopes import Scope, ScopeList
from core.errors import NotFound
from resources.catalogue import catalogue, scopes_in_category


class CatalogueEndpoint(Endpoint):
    cache_control = "public, max-age=300"


class Scopes(CatalogueEndpoint):
    @operation("listScopes", "List the scope catalogue", answer=ScopeList)
    def get(self, request: Request) -> Response:
        return Response({"items": Scope(list(catalogue().values()), many=True).data})


class ScopesInCategory(CatalogueEndpoint):
    @operation("listScopesInCategory", "List one category of the catalogue", answer=ScopeList)
    def get(self, request: Request, category: str) -> Response:
        scopes = scopes_in_category(category)
        if not scopes:
            raise NotFound("No such category.")
        return Response({"items": Scope(scopes, many=True).data})
