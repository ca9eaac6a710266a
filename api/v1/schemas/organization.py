"""Organizations, as their members see them."""

from pydantic import Field

from api.v1.schemas.base import BlankLine, Line, Moment, Out, RequestBody
from api.v1.schemas.secrets import RoleName
from api.v1.schemas.stops import MAX_REASON
from developers.access import Access
from developers.profiles import MAX_NAME


class OrganizationBody(RequestBody):
    name: Line = Field(max_length=MAX_NAME)


class StopBody(RequestBody):
    """Why all agents are stopped. All members can read it."""

    reason: Line = Field(max_length=MAX_REASON)


class ResumeBody(RequestBody):
    reason: BlankLine = Field("", max_length=MAX_REASON)


class OwnStopOut(Out):
    """The stop of all agents by a member of their organization. Only an owner or admin of it can lift this one."""

    at: Moment
    reason: str


class OrganizationOut(Out):
    """An organization. `domain` is the one that it has proved. `stop` is its own, and null unless that is in force.

    `deletesAt` is null unless it is being deleted. `role` is what the caller may do in it.
    """

    id: str
    name: str
    domain: str | None
    verified: bool
    stop: OwnStopOut | None
    deletes_at: Moment | None
    created_at: Moment
    role: RoleName
    member_id: str | None = Field(description="The caller's id as a member, or null for a key of the organization.")


def show_organization(access: Access) -> OrganizationOut:
    organization = access.organization
    at = organization.stopped_at
    return OrganizationOut(
        id=organization.id,
        name=organization.name,
        domain=organization.domain,
        verified=organization.is_verified,
        stop=OwnStopOut(at=at, reason=organization.stop_reason) if at else None,
        deletes_at=organization.deletes_at,
        created_at=organization.created_at,
        role=access.role,
        member_id=access.developer.id if access.developer else None,
    )
