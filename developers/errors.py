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
