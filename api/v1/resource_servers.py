"""The organization's resource servers."""

from rest_framework.request import Request
from rest_framework.response import Response

from api.endpoint import DeveloperEndpoint
from api.operations import operation, page_of
from api.pagination import PageQuery, paginate, read_query
from api.v1.shapes.people import Rotation
from api.v1.shapes.resource_servers import (
    NewResourceServer,
    NewResourceServerBody,
    ResourceServer,
    ResourceServerChanges,
    RotatedResourceServerSecret,
    show_resource_servers,
)
from core.idempotency import Answer
from resources.errors import IdentifierTaken, ScopePrefixTaken
from resources.models import ResourceServer as ResourceServerRow
from resources.selectors import resource_server_for_organization, resource_servers_for_organization
from resources.services import (
    delete_resource_server,
    register_resource_server,
    rotate_resource_server_secret,
    update_resource_server,
)


class ResourceServerEndpoint(DeveloperEndpoint):
    def server(self, server_id: str) -> ResourceServerRow:
        return resource_server_for_organization(self.developer.organization_id, server_id)


class ResourceServers(ResourceServerEndpoint):
    @operation(
        "listResourceServers",
        "List the organization's resource servers",
        query=PageQuery,
        answer=page_of(ResourceServer),
    )
    def get(self, request: Request) -> Response:
        query = read_query(request, PageQuery)
        rows = resource_servers_for_organization(self.developer.organization_id)
        return paginate(rows, query, show_resource_servers)

    @operation(
        "createResourceServer",
        "Register a service that accepts our tokens",
        body=NewResourceServerBody,
        answer=NewResourceServer,
        status=201,
        errors=(IdentifierTaken, ScopePrefixTaken),
        repeatable=True,
        request_example={"name": "Mail", "identifier": "https://mail.example/api", "scopes": ["email:read"]},
    )
    def post(self, request: Request) -> Answer:
        body = self.read(NewResourceServerBody)

        def work() -> Answer:
            registered = register_resource_server(actor=self.actor, organization=self.developer.organization, **body)
            (shown,) = show_resource_servers([registered.server])
            return Answer(201, {**shown, "secret": registered.secret})

        return self.answer_once(self.developer.id, work)


class OneResourceServer(ResourceServerEndpoint):
    @operation("getResourceServer", "Show a resource server", answer=ResourceServer)
    def get(self, request: Request, server_id: str) -> Response:
        return Response(show_resource_servers([self.server(server_id)])[0])

    @operation(
        "updateResourceServer",
        "Change a resource server",
        body=ResourceServerChanges,
        answer=ResourceServer,
        errors=(ScopePrefixTaken,),
    )
    def patch(self, request: Request, server_id: str) -> Response:
        changes = self.read(ResourceServerChanges, partial=True)
        server = self.server(server_id)
        if changes:
            server = update_resource_server(actor=self.actor, server=server, **changes)
        return Response(show_resource_servers([server])[0])

    @operation("deleteResourceServer", "Delete a resource server", status=204)
    def delete(self, request: Request, server_id: str) -> Response:
        delete_resource_server(actor=self.actor, server=self.server(server_id))
        return Response(status=204)


class RotateResourceServerSecret(ResourceServerEndpoint):
    @operation(
        "rotateResourceServerSecret",
        "Replace a resource server's secret",
        body=Rotation,
        answer=RotatedResourceServerSecret,
        repeatable=True,
    )
    def post(self, request: Request, server_id: str) -> Answer:
        body = self.read(Rotation)
        server = self.server(server_id)

        def work() -> Answer:
            new = rotate_resource_server_secret(actor=self.actor, server=server, **body)
            shown = {"id": server.id, "secret": new.value, "previousSecretExpiresAt": new.previous_expires_at}
            return Answer(200, RotatedResourceServerSecret(shown).data)

        return self.answer_once(self.developer.id, work)
