"""The organization's resource servers."""

from accounts.errors import ReauthenticationRequired
from api.endpoint import DeveloperEndpoint
from api.operations import operation
from api.v1.schemas.pages import Page, PageQuery, paginate
from api.v1.schemas.people import RotationBody
from api.v1.schemas.resource_servers import (
    NewResourceServerBody,
    NewResourceServerOut,
    ResourceServerOut,
    RotatedResourceServerSecretOut,
    UpdateResourceServerBody,
    show_new_resource_server,
    show_resource_server,
    show_resource_servers,
)
from core.idempotency import Answer
from developers.roles import Right
from resources.errors import IdentifierInOthersDomain, IdentifierTaken, ScopePrefixTaken
from resources.models import ResourceServer
from resources.selectors import resource_server_for_organization, resource_servers_for_organization
from resources.services import (
    delete_resource_server,
    register_resource_server,
    rotate_resource_server_secret,
    update_resource_server,
)


class ResourceServerEndpoint(DeveloperEndpoint):
    def server(self, server_id: str) -> ResourceServer:
        return resource_server_for_organization(self.organization_id, server_id)


class ResourceServers(ResourceServerEndpoint):
    @operation(
        "listResourceServers",
        "List the organization's resource servers",
        answer=Page[ResourceServerOut],
        right=Right.READ,
    )
    def get(self, query: PageQuery) -> Page[ResourceServerOut]:
        rows = resource_servers_for_organization(self.organization_id)
        return paginate(Page[ResourceServerOut], rows, query, show_resource_servers)

    @operation(
        "createResourceServer",
        "Register a resource server",
        answer=NewResourceServerOut,
        status=201,
        errors=(IdentifierTaken, IdentifierInOthersDomain, ReauthenticationRequired, ScopePrefixTaken),
        repeatable=True,
        request_example={"name": "Mail", "identifier": "https://mail.example/api", "scopes": ["email:read"]},
        right=Right.DEVELOP,
    )
    def post(self, body: NewResourceServerBody) -> Answer:
        def work() -> NewResourceServerOut:
            organization = self.access.organization
            registered = register_resource_server(actor=self.actor, organization=organization, **dict(body))
            return show_new_resource_server(registered)

        return self.answer_once(self.access.credential, work)


class OneResourceServer(ResourceServerEndpoint):
    @operation("getResourceServer", "Get a resource server", answer=ResourceServerOut, right=Right.READ)
    def get(self, server_id: str) -> ResourceServerOut:
        return show_resource_server(self.server(server_id))

    @operation(
        "updateResourceServer",
        "Update a resource server",
        answer=ResourceServerOut,
        errors=(ScopePrefixTaken,),
        right=Right.DEVELOP,
    )
    def patch(self, server_id: str, body: UpdateResourceServerBody) -> ResourceServerOut:
        server = self.server(server_id)
        changes = body.sent()
        if changes:
            server = update_resource_server(actor=self.actor, server=server, **changes)
        return show_resource_server(server)

    @operation("deleteResourceServer", "Delete a resource server", status=204, right=Right.DEVELOP)
    def delete(self, server_id: str) -> None:
        delete_resource_server(actor=self.actor, server=self.server(server_id))


class RotateResourceServerSecret(ResourceServerEndpoint):
    @operation(
        "rotateResourceServerSecret",
        "Rotate a resource server's secret",
        description="Earlier secrets keep working for `overlapSeconds`, by default not at all.",
        answer=RotatedResourceServerSecretOut,
        errors=(ReauthenticationRequired,),
        repeatable=True,
        right=Right.DEVELOP,
    )
    def post(self, server_id: str, body: RotationBody) -> Answer:
        server = self.server(server_id)

        def work() -> RotatedResourceServerSecretOut:
            new = rotate_resource_server_secret(actor=self.actor, server=server, overlap_seconds=body.overlap_seconds)
            return RotatedResourceServerSecretOut(
                id=server.id, secret=new.value, previous_secret_expires_at=new.previous_expires_at
            )

        return self.answer_once(self.access.credential, work)
