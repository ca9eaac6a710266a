"""Request and response models for members of an organization."""

from collections.abc import Sequence

from pydantic import Field

from api.v1.schemas.base import Moment, Out, RequestBody
from api.v1.schemas.people import EmailAddress
from api.v1.schemas.secrets import RoleName
from developers.models import Developer


class UpdateMemberBody(RequestBody):
    """A member's new role."""

    role: RoleName = Field(description="What the member may do from now on, at most what the caller may do.")


class MemberOut(Out):
    """A user as a member of the organization."""

    id: str = Field(description="The member's id, `dev_...`.")
    user_id: str = Field(description="The user's id, `usr_...`.")
    email: EmailAddress
    name: str
    role: RoleName = Field(description="What the member may do.")
    created_at: Moment
    last_active_at: Moment | None = Field(
        description="When a session or an API key of the member last acted, to within ten minutes, or null."
    )


def show_member(member: Developer) -> MemberOut:
    return MemberOut(
        id=member.id,
        user_id=member.user_id,
        email=member.user.email,
        name=member.user.name,
        role=member.role,
        created_at=member.created_at,
        last_active_at=member.last_active_at,
    )


def show_members(members: Sequence[Developer]) -> list[MemberOut]:
    return [show_member(member) for member in members]
