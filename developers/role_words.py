"""The roles in words, for those who have or get one."""

from collections.abc import Mapping, Sequence

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from developers.roles import Role

NAMES: Mapping[str, Promise] = {
    Role.OWNER: pgettext_lazy("role", "Owner"),
    Role.ADMIN: pgettext_lazy("role", "Admin"),
    Role.DEVELOPER: pgettext_lazy("role", "Developer"),
    Role.AUDITOR: pgettext_lazy("role", "Auditor"),
}
ALLOWED: Mapping[str, Sequence[Promise]] = {
    Role.OWNER: (
        _("Do all that an admin may do"),
        _("Name and remove owners"),
        _("Delete the organization"),
    ),
    Role.ADMIN: (
        _("Do all that a developer may do"),
        _("Invite and remove members, and change their roles"),
        _("Create, change and delete webhooks"),
        _("Change the organization's details and domain, and stop its agents"),
    ),
    Role.DEVELOPER: (
        _("Register and change agents, their secrets and their policies"),
        _("Register and change resource servers and their scopes"),
        _("Read all that the organization has, and export its log"),
    ),
    Role.AUDITOR: (
        _("Read all that the organization has, and export its log"),
        _("Change nothing, and see no secrets"),
    ),
}
