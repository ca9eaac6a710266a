"""`agentgate members` and `agentgate invitations`: who belongs to the organization, and who is to join it."""

from __future__ import annotations

from typing import Annotated

import typer

from . import connection
from .confirmation import Yes, confirm
from .connection import admin
from .failures import Failure
from .keys import ROLES
from .names import find_invitation, find_member, with_id
from .options import command, group
from .output import minute, print_line, show, show_list

MemberName = Annotated[str, typer.Argument(metavar="MEMBER", help="The email address or dev_ id.")]
InvitationName = Annotated[str, typer.Argument(metavar="INVITATION", help="The email address or inv_ id.")]
OwnInvitation = Annotated[str, typer.Argument(metavar="INV_ID", help="The inv_ id, as in the link.")]
Role = Annotated[str, typer.Option(metavar="ROLE", help=f"{ROLES}.")]
app = group("Manage the members of the organization.")
invitations = group("Manage invitations: those of the organization, and those to you.")


@command(app, "list", example="agentgate members list")
def list_members() -> None:
    """List the members of the organization in use."""
    columns = ("id", "email", "name", "role", "joined", "last active")
    with admin() as api:
        show_list(
            api.iter_members(),
            columns,
            lambda m: (
                m.id,
                m.email,
                m.name,
                m.role,
                minute(m.created_at),
                minute(m.last_active_at) or "never",
            ),
        )


@command(app, "invite", example="agentgate members invite grace@example.com --role developer")
def invite(
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="Where the invitation is mailed.")],
    role: Role = "developer",
) -> None:
    """Invite someone to the organization in use. The invitation works for 7 days.

    Only a user who has verified this address can accept it. Inviting again replaces the earlier link.
    """
    with admin() as api:
        made = api.invite_member(email=email, role=role)
    text = f"Invited {made.email} as {made.role} until {minute(made.expires_at)} ({made.id})."
    show(made, lambda: print_line(text))


@command(app, "role", example="agentgate members role grace@example.com admin")
def change_role(
    member: MemberName,
    role: Annotated[str, typer.Argument(metavar="ROLE", help=f"{ROLES}.")],
) -> None:
    """Change the role of a member. It takes effect at once, also for their API keys."""
    with admin() as api:
        updated = api.update_member(find_member(api, member).id, role=role)
    show(updated, lambda: print_line(f"{updated.email} ({updated.id}) is {updated.role}."))


@command(app, "remove", example="agentgate members remove grace@example.com")
def remove(member: MemberName, yes: Yes = False) -> None:
    """Remove a member. Their access and API keys end at once. What they made stays.

    Then rotate the secrets that they made or saw.
    """
    with admin() as api:
        found = find_member(api, member)
        named = f"{found.email} ({found.id})"
        confirm(f"Remove {named}? Their access and API keys end at once.", yes=yes)
        api.remove_member(found.id)
    show({"id": found.id, "deleted": True}, lambda: print_line(f"Removed {named}."))


@command(app, "leave", example="agentgate members leave")
def leave(yes: Yes = False) -> None:
    """Leave the organization in use. Your access to it and your API keys end at once."""
    with admin() as api:
        left = api.get_organization()
        if left.member_id is None:
            raise Failure(
                "no_membership", f"The API key belongs to {with_id(left)} itself, which has no membership."
            )
        confirm(f"Leave {with_id(left)}? Your access and API keys end at once.", yes=yes)
        api.remove_member(left.member_id)
    show({"id": left.member_id, "deleted": True}, lambda: print_line(f"You left {with_id(left)}."))


@command(invitations, "list", example="agentgate invitations list")
def list_invitations() -> None:
    """List the invitations of the organization in use. Ended ones stay for 30 days."""
    with admin() as api:
        show_list(
            api.iter_invitations(),
            ("id", "email", "role", "status", "expires"),
            lambda i: (i.id, i.email, i.role, i.status, minute(i.expires_at)),
        )


@command(invitations, "revoke", example="agentgate invitations revoke grace@example.com")
def revoke(invitation: InvitationName, yes: Yes = False) -> None:
    """End an open invitation. Its link no longer works."""
    with admin() as api:
        found = find_invitation(api, invitation)
        named = f"{found.email} ({found.id})"
        confirm(f"Revoke the invitation of {named}?", yes=yes)
        api.revoke_invitation(found.id)
    show({"id": found.id, "deleted": True}, lambda: print_line(f"Revoked the invitation of {named}."))


@command(invitations, "mine", example="agentgate invitations mine")
def mine() -> None:
    """List the invitations to your verified email address."""
    with connection.user() as api:
        show_list(
            api.list_own_invitations(),
            ("id", "organization", "role", "expires"),
            lambda i: (i.id, with_id(i.organization), i.role, minute(i.expires_at)),
        )


@command(invitations, "accept", example="agentgate invitations accept inv_0198a3c0f3")
def accept(invitation: OwnInvitation) -> None:
    """Join the organization that invited you."""
    with connection.user() as api:
        member = api.accept_invitation(invitation)
    show(member, lambda: print_line(f"You joined as {member.role} ({member.id})."))


@command(invitations, "decline", example="agentgate invitations decline inv_0198a3c0f3")
def decline(invitation: OwnInvitation) -> None:
    """Decline an invitation."""
    with connection.user() as api:
        declined = api.decline_invitation(invitation)
    show(declined, lambda: print_line(f"Declined the invitation of {with_id(declined.organization)}."))
