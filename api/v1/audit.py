"""The organization's log."""

from rest_framework.request import Request
from rest_framework.response import Response

from api.endpoint import DeveloperEndpoint
from api.operations import operation, page_of
from api.pagination import paginate, read_query
from api.v1.shapes.audit import AuditEntry, AuditQuery, filters_of, show_entries_to
from audit.selectors import entries_for_organization


class Audit(DeveloperEndpoint):
    @operation(
        "listAudit",
        "List what concerns the organization, newest first",
        description="Everything that the organization, its agents and its services did, and every decision about an "
        "agent of another organization that one of its services asked for.",
        query=AuditQuery,
        answer=page_of(AuditEntry),
    )
    def get(self, request: Request) -> Response:
        query = read_query(request, AuditQuery)
        rows = entries_for_organization(self.developer.organization_id, filters_of(query))
        return paginate(rows, query, show_entries_to(self.developer.organization_id))
