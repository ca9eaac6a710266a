"""Errors about organizations."""

from django.utils.translation import gettext_noop

from core.errors import Forbidden


class OrganizationSuspended(Forbidden):
    """An administrator has suspended the organization. `detail` says when and why."""

    code = "organization_suspended"
    title = gettext_noop("The organization is suspended")
    remedy = "Ask the operator of this server to lift the suspension."
