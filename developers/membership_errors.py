"""Why a user cannot join or create an organization. Users read these errors in their language."""

from django.utils.translation import gettext_noop

from core.errors import Conflict, Gone


class OrganizationClosed(Conflict):
    """The organization is suspended or being deleted, so it takes no new members."""

    code = "organization_closed"
    title = gettext_noop("The organization takes no new members now")
    remedy = "Ask an owner or admin of the organization."


class TooManyMemberships(Conflict):
    """The organization has its most members, or the user is a member of the most organizations."""

    code = "too_many_memberships"
    title = gettext_noop("There are too many memberships")
    remedy = "End a membership first."


class AlreadyMember(Conflict):
    """The user is a member of the organization already."""

    code = "already_member"
    title = gettext_noop("You are a member of this organization already")
    remedy = "Ask an owner or admin of the organization to change your role instead."


class InvitationEnded(Conflict):
    """The invitation was accepted, declined, revoked or replaced, or the member who made it can no longer do so.

    It has ended, too, for a user whose membership in the organization has ended since it was made.
    """

    code = "invitation_ended"
    title = gettext_noop("The invitation has ended")
    remedy = "Ask an owner or admin of the organization for a new invitation."


class InvitationExpired(Gone):
    """The invitation was not accepted in time."""

    code = "invitation_expired"
    title = gettext_noop("The invitation has expired")
    remedy = "Ask an owner or admin of the organization for a new invitation."
