"""Why an agent may not act, for code that reads rows without models."""

from enum import Enum

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy, gettext_noop


class AgentStatus(TextChoices):
    """The developer's choice. Use `find_stopper` to check whether the agent may act."""

    ACTIVE = "active", gettext_lazy("Active")
    SUSPENDED = "suspended", gettext_lazy("Suspended")


class Stopper(Enum):
    """Why an agent may not act. Each value is a sentence for users and developers."""

    ORGANIZATION = gettext_noop("The agent's organization is suspended.")
    MEMBERS = gettext_noop("The agent's organization has stopped all its agents.")
    ADMINISTRATOR = gettext_noop("An administrator has stopped the agent.")
    DEVELOPER = gettext_noop("The agent's developer has suspended it.")


def find_stopper(
    *, organization_suspended: bool, organization_stopped: bool, is_stopped: bool, status: str
) -> Stopper | None:
    """Return why an agent may not act. None if it may.

    An administrator suspends an organization. Its own members stop it, or delete it (`Organization.is_stopped`).

    Danger: every surface and the decision engine rely on this function, so add any new way to stop an agent here. Only
    the emergency stop is separate (`agents.emergency`).
    """
    if organization_suspended:
        return Stopper.ORGANIZATION
    if organization_stopped:
        return Stopper.MEMBERS
    if is_stopped:
        return Stopper.ADMINISTRATOR
    return None if status == AgentStatus.ACTIVE else Stopper.DEVELOPER
