"""Errors about organizations."""

from django.utils.translation import gettext_noop

from core.errors import Conflict, Forbidden


class OrganizationSuspended(Forbidden):
    """An administrator has suspended the organization. `detail` says when and why."""

    code = "organization_suspended"
    title = gettext_noop("The organization is suspended")
    remedy = "Ask the operator of this server to lift the suspension."


class LastOwner(Conflict):
    """The organization would have no owner whose account is active."""

    code = "last_owner"
    title = gettext_noop("This is the last owner of the organization")
    remedy = "Make another member an owner first, or delete the organization."


class OrganizationStopped(Forbidden):
    """The members of the agent's organization have stopped all its agents, or are deleting it."""

    code = "organization_stopped"
    title = gettext_noop("The organization has stopped its agents")
    remedy = "Wait until an owner or admin of the organization lifts the stop."


class OrganizationDeleting(Conflict):
    """The organization is being deleted. Until then, its members can read, and an owner can restore it."""

    code = "organization_deleting"
    title = gettext_noop("The organization is being deleted")
    remedy = "Ask an owner to restore the organization first."
