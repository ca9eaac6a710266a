"""The members of the organization."""

from accounts.errors import ReauthenticationRequired
from api.endpoint import DeveloperEndpoint
from api.operations import operation
from api.v1.schemas.members import MemberOut, UpdateMemberBody, show_member, show_members
from api.v1.schemas.pages import Page, PageQuery, paginate
from developers.errors import LastOwner
from developers.members import change_role, end_membership
from developers.roles import Right
from developers.selectors import members_of


class Members(DeveloperEndpoint):
    @operation("listMembers", "List the organization's members, newest first", answer=Page[MemberOut], right=Right.READ)
    def get(self, query: PageQuery) -> Page[MemberOut]:
        return paginate(Page[MemberOut], members_of(self.organization_id).order_by("-id"), query, show_members)


class OneMember(DeveloperEndpoint):
    @operation(
        "updateMember",
        "Change a member's role",
        description="Admins change the roles of admins, developers and auditors, and owners those of all members. It "
        "applies to every request that starts after the response, also with the member's API keys. The member is "
        "mailed.",
        answer=MemberOut,
        errors=(LastOwner, ReauthenticationRequired),
        request_example={"role": "auditor"},
        right=Right.ADMINISTER,
    )
    def patch(self, member_id: str, body: UpdateMemberBody) -> MemberOut:
        changed = change_role(
            actor=self.actor, organization_id=self.organization_id, member_id=member_id, role=body.role
        )
        return show_member(changed)

    @operation(
        "removeMember",
        "Remove a member, or leave the organization",
        description="Admins remove admins, developers and auditors, and owners all members. With their own id, all "
        "members leave. No request of the member that starts after the response succeeds: their API keys for the "
        "organization end, and so do their open invitations. The agents, policies and secrets that they made stay, and "
        "webhooks go on sending events to the URLs that they gave.",
        status=204,
        errors=(LastOwner,),
        right=Right.READ,
    )
    def delete(self, member_id: str) -> None:
        end_membership(actor=self.actor, organization_id=self.organization_id, member_id=member_id)
