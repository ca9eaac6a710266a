"""Request and response models for invitations, and for the organizations of a user."""

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from api.v1.schemas.base import Line, Moment, Out, RequestBody
from api.v1.schemas.people import EmailAddress, GivenEmail
from api.v1.schemas.secrets import RoleName
from core import clock
from developers.models import Developer, Invitation, Organization
from developers.profiles import MAX_NAME


class InvitationBody(RequestBody):
    """Whom to invite."""

    email: GivenEmail = Field(description="The address. Only a user who has verified it can accept.")
    role: RoleName = Field(description="What the member may do, at most what the caller may do.")


class NewOrganizationBody(RequestBody):
    """An organization to create."""

    name: Line = Field(max_length=MAX_NAME)


class NamedOrganizationOut(Out):
    """An organization, as a user sees it. `domain` is the one that it has proved, or null."""

    id: str
    name: str
    domain: str | None
    verified: bool


class MembershipOut(Out):
    """A user's membership in an organization."""

    organization: NamedOrganizationOut
    role: RoleName = Field(description="What the user may do in the organization.")
    member_id: str = Field(description="The user's id as a member, `dev_...`.")


class InvitationOut(Out):
    """An invitation. It is the same whether or not the address has an account."""

    id: str = Field(description="The invitation's id, `inv_...`.")
    email: EmailAddress
    role: RoleName = Field(description="What the user may do after accepting.")
    invited_by: str | None = Field(description="The id of the member who made it, `dev_...`.")
    expires_at: Moment
    status: str = Field(
        description="`pending`, `accepted`, `declined`, `revoked`, `expired`, or `replaced` by a newer one.",
        json_schema_extra={"enum": [str(status) for status in Invitation.Status]},
    )


class OwnInvitationOut(InvitationOut):
    """An invitation to the user."""

    organization: NamedOrganizationOut


def show_invitation(invitation: Invitation) -> InvitationOut:
    return InvitationOut(**_fields(invitation))


def show_invitations(invitations: Sequence[Invitation]) -> list[InvitationOut]:
    return [show_invitation(one) for one in invitations]


def show_own_invitation(invitation: Invitation) -> OwnInvitationOut:
    return OwnInvitationOut(**_fields(invitation), organization=_name(invitation.organization))


def show_own_invitations(invitations: Sequence[Invitation]) -> list[OwnInvitationOut]:
    return [show_own_invitation(one) for one in invitations]


def show_membership(member: Developer) -> MembershipOut:
    return MembershipOut(organization=_name(member.organization), role=member.role, member_id=member.id)


def show_memberships(members: Sequence[Developer]) -> list[MembershipOut]:
    return [show_membership(member) for member in members]


def _fields(invitation: Invitation) -> dict[str, Any]:
    return {
        "id": invitation.id,
        "email": invitation.email,
        "role": invitation.role,
        "invited_by": invitation.invited_by_id,
        "expires_at": invitation.expires_at,
        "status": str(invitation.status_at(clock.now())),
    }


def _name(organization: Organization) -> NamedOrganizationOut:
    return NamedOrganizationOut(
        id=organization.id,
        name=organization.name,
        domain=organization.domain,
        verified=organization.is_verified,
    )
