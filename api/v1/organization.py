"""The caller's organization: its details, its own stop, and its deletion."""

from accounts.errors import ReauthenticationRequired
from agents.selectors import agent_ids_of
from api.endpoint import DeveloperEndpoint
from api.operations import operation
from api.v1.schemas.base import EmptyBody
from api.v1.schemas.organization import OrganizationBody, OrganizationOut, ResumeBody, StopBody, show_organization
from api.v1.schemas.stops import OrganizationStopOut, show_organization_stop
from api.v1.stops import PROOF
from audit.proof.stops import organization_level, prove_stop
from audit.readers.snapshot import take_snapshot
from core import clock
from core.errors import Throttled
from developers.impact import impact_on_agents
from developers.profiles import update_organization
from developers.roles import Right
from developers.stopping import (
    GRACE,
    delete_organization,
    restore_organization,
    resume_organization,
    stop_organization,
)


class OrganizationEndpoint(DeveloperEndpoint):
    def show(self) -> OrganizationOut:
        """Return the organization as it is now."""
        self.access.organization.refresh_from_db()
        return show_organization(self.access)


class OneOrganization(OrganizationEndpoint):
    @operation("getOrganization", "Get the organization", answer=OrganizationOut, right=Right.READ)
    def get(self) -> OrganizationOut:
        return show_organization(self.access)

    @operation(
        "updateOrganization",
        "Rename the organization",
        description="Renaming it ends its verification, because administrators verify it under its name.",
        answer=OrganizationOut,
        errors=(ReauthenticationRequired, Throttled),
        right=Right.ADMINISTER,
        request_example={"name": "Acme"},
    )
    def patch(self, body: OrganizationBody) -> OrganizationOut:
        update_organization(actor=self.actor, organization=self.access.organization, name=body.name)
        return self.show()

    @operation(
        "deleteOrganization",
        "Delete the organization in 7 days",
        description="From now on, all requests from its agents and to its services are denied, and its members can "
        f"only read. For {GRACE.days} days, an owner can restore it. Then its members, keys, agents and secrets end. "
        "Its domain, its scope prefixes and the identifiers of its services stay reserved.",
        status=204,
        errors=(ReauthenticationRequired,),
        right=Right.OWN,
    )
    def delete(self) -> None:
        delete_organization(actor=self.actor, organization=self.access.organization)


class RestoreOrganization(OrganizationEndpoint):
    @operation(
        "restoreOrganization",
        "Restore the organization that is being deleted",
        description="All other stops remain in force. Restoring twice changes nothing.",
        answer=OrganizationOut,
        right=Right.OWN,
        while_deleting=True,
    )
    def post(self, body: EmptyBody) -> OrganizationOut:
        restore_organization(actor=self.actor, organization=self.access.organization)
        return self.show()


class OrganizationStop(OrganizationEndpoint):
    @operation(
        "getOrganizationStop",
        "Get the impact of stopping all agents, and the proof that the stop held",
        description=PROOF + "A stop is one by its members, its deletion, or a suspension by an administrator.",
        answer=OrganizationStopOut,
        right=Right.READ,
    )
    def get(self) -> OrganizationStopOut:
        log, agent_ids = take_snapshot(), agent_ids_of(self.organization_id)
        impact = impact_on_agents(self.organization_id, agent_ids, clock.now(), log)
        proof = prove_stop(organization_level(self.organization_id, agent_ids), log)
        return show_organization_stop(impact, proof)

    @operation(
        "stopOrganization",
        "Stop all agents of the organization",
        description="No verify request that starts after the response is allowed. Only `POST /organization/resume` "
        "lifts this stop, and it lifts no other. Stopping twice changes nothing.",
        answer=OrganizationOut,
        right=Right.ADMINISTER,
        request_example={"reason": "A key has leaked."},
    )
    def post(self, body: StopBody) -> OrganizationOut:
        stop_organization(actor=self.actor, organization=self.access.organization, reason=body.reason)
        return self.show()


class ResumeOrganization(OrganizationEndpoint):
    @operation(
        "resumeOrganization",
        "Lift the stop of all agents of the organization",
        description="Agents that are suspended or stopped by themselves remain so. Resuming twice changes nothing.",
        answer=OrganizationOut,
        right=Right.ADMINISTER,
    )
    def post(self, body: ResumeBody) -> OrganizationOut:
        resume_organization(actor=self.actor, organization=self.access.organization, reason=body.reason)
        return self.show()
