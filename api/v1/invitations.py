"""Invitations to join an organization: those that it makes, and those of a user."""

from accounts.errors import EmailUnverified, ReauthenticationRequired
from api.endpoint import DeveloperEndpoint, UserEndpoint
from api.operations import operation
from api.v1.schemas.base import EmptyBody
from api.v1.schemas.invitations import (
    InvitationBody,
    InvitationOut,
    MembershipOut,
    NewOrganizationBody,
    OwnInvitationOut,
    show_invitation,
    show_invitations,
    show_membership,
    show_memberships,
    show_own_invitation,
    show_own_invitations,
)
from api.v1.schemas.members import MemberOut, show_member
from api.v1.schemas.pages import Page, PageQuery, paginate
from api.v1.users import OwnEndpoint
from core.errors import Conflict, Throttled
from core.idempotency import Answer
from developers.invitations import (
    KEPT,
    LIFETIME,
    MAX_MAILS_PER_ADDRESS,
    MAX_MAILS_PER_DAY,
    MAX_MEMBERSHIPS,
    MAX_OPEN,
    accept_invitation,
    decline_invitation,
    invitations_of,
    invite,
    open_invitations_to,
    revoke_invitation,
)
from developers.membership_errors import (
    AlreadyMember,
    InvitationEnded,
    InvitationExpired,
    OrganizationClosed,
    TooManyMemberships,
)
from developers.organizations import create_organization, throttle_creation
from developers.roles import Right, Role
from developers.selectors import memberships_of


class Invitations(DeveloperEndpoint):
    @operation(
        "listInvitations",
        "List the organization's invitations, newest first",
        description=f"One that has ended is listed for another {KEPT.days} days.",
        answer=Page[InvitationOut],
        right=Right.ADMINISTER,
    )
    def get(self, query: PageQuery) -> Page[InvitationOut]:
        return paginate(Page[InvitationOut], invitations_of(self.organization_id), query, show_invitations)

    @operation(
        "createInvitation",
        "Invite someone by email",
        description=f"The address gets an email with a link to a page. For {LIFETIME.days} days, a user who has "
        "verified the address can accept there: also one who signs up only then. The response and its time are the "
        "same whether or not the address has an account. Inviting an address again replaces its open invitation. At "
        f"most {MAX_OPEN} are open at once, and at most {MAX_MAILS_PER_DAY} are made per day, {MAX_MAILS_PER_ADDRESS} "
        "per address. Only an owner can invite an owner, or replace such an invitation.",
        answer=InvitationOut,
        status=201,
        errors=(Conflict, ReauthenticationRequired, Throttled),
        repeatable=True,
        request_example={"email": "grace@example.com", "role": "developer"},
        right=Right.ADMINISTER,
    )
    def post(self, body: InvitationBody) -> Answer:
        def work() -> InvitationOut:
            invitation = invite(
                actor=self.actor, organization=self.access.organization, email=body.email, role=Role(body.role)
            )
            return show_invitation(invitation)

        return self.answer_once(self.access.credential, work)


class OneInvitation(DeveloperEndpoint):
    @operation(
        "revokeInvitation",
        "Revoke an open invitation",
        description="Only an owner can revoke the invitation of an owner.",
        status=204,
        errors=(InvitationEnded,),
        right=Right.ADMINISTER,
    )
    def delete(self, invitation_id: str) -> None:
        revoke_invitation(actor=self.actor, organization=self.access.organization, invitation_id=invitation_id)


class OwnInvitations(OwnEndpoint):
    @operation(
        "listUserInvitations",
        "List the open invitations to addresses that the user has verified, newest first",
        answer=Page[OwnInvitationOut],
    )
    def get(self, user_id: str, query: PageQuery) -> Page[OwnInvitationOut]:
        return paginate(Page[OwnInvitationOut], open_invitations_to(self.user), query, show_own_invitations)


class AcceptInvitation(UserEndpoint):
    @operation(
        "acceptInvitation",
        "Accept an invitation",
        description="The user becomes a member. An invitation to an address that the user has not verified is a 404.",
        answer=MemberOut,
        errors=(AlreadyMember, InvitationEnded, InvitationExpired, OrganizationClosed, TooManyMemberships),
    )
    def post(self, invitation_id: str, body: EmptyBody) -> MemberOut:
        return show_member(accept_invitation(actor=self.actor, user=self.user, invitation_id=invitation_id))


class DeclineInvitation(UserEndpoint):
    @operation(
        "declineInvitation",
        "Decline an invitation",
        description="An invitation to an address that the user has not verified is a 404.",
        answer=OwnInvitationOut,
        errors=(InvitationEnded, InvitationExpired),
    )
    def post(self, invitation_id: str, body: EmptyBody) -> OwnInvitationOut:
        declined = decline_invitation(actor=self.actor, user=self.user, invitation_id=invitation_id)
        return show_own_invitation(declined)


class OwnOrganizations(OwnEndpoint):
    @operation(
        "listUserOrganizations",
        "List the user's organizations, newest first",
        answer=Page[MembershipOut],
    )
    def get(self, user_id: str, query: PageQuery) -> Page[MembershipOut]:
        return paginate(Page[MembershipOut], memberships_of(self.user).order_by("-id"), query, show_memberships)


class Organizations(UserEndpoint):
    @operation(
        "createOrganization",
        "Create an organization",
        description=f"The user becomes its owner. A user is a member of at most {MAX_MEMBERSHIPS} organizations.",
        answer=MembershipOut,
        status=201,
        errors=(EmailUnverified, TooManyMemberships, Throttled),
        repeatable=True,
        request_example={"name": "Acme"},
    )
    def post(self, body: NewOrganizationBody) -> Answer:
        if not self.is_repeated(self.user.id):
            throttle_creation(self.user)

        def work() -> MembershipOut:
            return show_membership(create_organization(actor=self.actor, user=self.user, name=body.name))

        return self.answer_once(self.user.id, work)
