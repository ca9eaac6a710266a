"""Invitations to join an organization."""

from datetime import datetime

from audit.entries.drafts import Draft
from audit.events import Event
from audit.services import record
from core.actor import Actor
from developers.models import Developer, Invitation
from developers.roles import Role, covers


def revoke_invitations_by(developer: Developer, *, actor: Actor, now: datetime, role: Role | None = None) -> None:
    """Revoke the open invitations that a member has made, or only those that a new `role` of theirs does not cover.

    Call it in the transaction that ends the membership or changes the role, which holds the organization.
    """
    for invitation in Invitation.objects.filter(invited_by=developer, status=Invitation.Status.PENDING):
        if role is None or not covers(role, invitation.role):
            Invitation.objects.filter(pk=invitation.pk).update(status=Invitation.Status.REVOKED, ended_at=now)
            metadata = {"invitationId": invitation.id, "role": invitation.role}
            organization_id = invitation.organization_id
            record(Draft(Event.INVITATION_REVOKED, actor, organization_id=organization_id, metadata=metadata))
