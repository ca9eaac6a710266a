"""The organization's audit log."""

from dataclasses import replace

from api.endpoint import DeveloperEndpoint
from api.operations import operation
from api.v1.schemas.audit import AuditEntryOut, AuditQuery, filters_of, paginate_log, show_entries_to
from api.v1.schemas.pages import Page
from audit.selectors import entries_for_organization
from developers.roles import Right


class Audit(DeveloperEndpoint):
    @operation(
        "listAudit",
        "List the organization's log entries, newest first",
        description="Everything that the organization, its agents and its services did, and every decision that one of "
        "its services asked for about another organization's agent. A key that is limited to some agents gets only "
        "their entries.",
        answer=Page[AuditEntryOut],
        right=Right.READ,
        about_agents=True,
    )
    def get(self, query: AuditQuery) -> Page[AuditEntryOut]:
        organization_id = self.organization_id
        if query.agent_id is not None:
            self.access.require_agent(query.agent_id)
        filters = replace(filters_of(query), agent_ids=self.access.agent_ids)
        listing = entries_for_organization(organization_id, filters)
        return paginate_log(listing, query, show_entries_to(organization_id))
