"""What ended, for services that check tokens offline."""

from rest_framework.response import Response

from agents.emergency import require_running
from agents.errors import EverythingStopped
from api.clients import ServerEndpoint
from api.operations import operation
from api.v1.schemas.revocations import RevocationsOut, RevocationsQuery, show_revocations
from core.errors import NotAuthenticated
from core.messages import MAY_PARK, PARK, REVOCATIONS, Mark
from developers.errors import OrganizationSuspended
from events.revocations import await_revocations, revocations_for
from resources.errors import ServiceSuspended


class Revocations(ServerEndpoint):
    @operation(
        "listRevocations",
        "List what ended, or wait for it",
        description="For services that check tokens with the published keys. The response has "
        "everything that ended before the request and concerns tokens whose audience is the resource server. Without "
        "`after`, it begins half an hour ago, because no token lives longer. With `wait`, it comes once something has "
        "ended, or after that many seconds. It may come earlier, and without an item. A service without a recent "
        "response must refuse requests, because it does not know what ended.",
        answer=RevocationsOut,
        errors=(NotAuthenticated, OrganizationSuspended, ServiceSuspended, EverythingStopped),
    )
    def get(self, query: RevocationsQuery) -> Response:
        require_running()
        found = revocations_for(self.server, query.after)
        answer = self.operation.serialize(show_revocations(found))
        response = Response(answer.body, status=answer.status)
        if query.wait and found.is_complete and not found.items and self.request.META.get(MAY_PARK):
            about = await_revocations(self.server, found)
            response[PARK] = Mark(REVOCATIONS, about, query.wait, self.server.organization_id).encode()
        return response
