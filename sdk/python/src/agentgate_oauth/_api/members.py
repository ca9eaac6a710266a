"""The members of the organization, and invitations to join it."""

from __future__ import annotations

from .._base import Api
from .._call import Call, create, delete, get, given, patch, segment
from .._decode import reader
from .._effects import Flow
from .._endpoint import endpoint, paged
from .._lists import page_of
from ..models import Invitation, Member, OwnInvitation, Page


class MembersApi(Api):
    @endpoint
    def list_members(self, *, limit: int | None = None, cursor: str | None = None) -> Flow[Page[Member]]:
        """Return one page of the organization's members."""
        return self._call(get("/organization/members", page_of(Member), limit=limit, cursor=cursor))

    iter_members = paged(list_members)

    @endpoint
    def update_member(self, member_id: str, *, role: str) -> Flow[Member]:
        """Change the role to "owner", "admin", "developer" or "auditor", which takes effect at once.

        Raises LastOwnerError, and RoleInsufficientError.
        """
        path = f"/organization/members/{segment(member_id)}"
        return self._call(patch(path, reader(Member), given(role=role)))

    @endpoint
    def remove_member(self, member_id: str) -> Flow[None]:
        """Remove a member, whose API keys and access end at once. What they made stays.

        With one's own `member_id` (see `get_organization`), leave the organization. Raises LastOwnerError.
        """
        return self._call(delete(f"/organization/members/{segment(member_id)}"))

    @endpoint
    def invite_member(self, *, email: str, role: str) -> Flow[Invitation]:
        """Mail an invitation, which works for 7 days. Inviting again replaces the earlier link.

        The response does not say whether the address has an account.
        """
        body = given(email=email, role=role)
        return self._call(create("/organization/invitations", reader(Invitation), body))

    @endpoint
    def list_invitations(
        self, *, limit: int | None = None, cursor: str | None = None
    ) -> Flow[Page[Invitation]]:
        """Return one page of the organization's invitations, newest first. Ended ones stay for 30 days."""
        return self._call(get("/organization/invitations", page_of(Invitation), limit=limit, cursor=cursor))

    iter_invitations = paged(list_invitations)

    @endpoint
    def revoke_invitation(self, invitation_id: str) -> Flow[None]:
        """End an open invitation. Raises NotFoundError."""
        return self._call(delete(f"/organization/invitations/{segment(invitation_id)}"))

    @endpoint
    def list_own_invitations(self) -> Flow[Page[OwnInvitation]]:
        """Return the open invitations to the signed-in user's verified address. An API key is refused."""
        return self._call(get("/users/me/invitations", page_of(OwnInvitation)))

    @endpoint
    def accept_invitation(self, invitation_id: str) -> Flow[Member]:
        """Join the organization. Raises NotFoundError for invitations to other addresses."""
        return self._call(
            Call("POST", f"/invitations/{segment(invitation_id)}/accept", reader(Member), json={})
        )

    @endpoint
    def decline_invitation(self, invitation_id: str) -> Flow[OwnInvitation]:
        """Decline an invitation to the signed-in user."""
        path = f"/invitations/{segment(invitation_id)}/decline"
        return self._call(Call("POST", path, reader(OwnInvitation), json={}))
