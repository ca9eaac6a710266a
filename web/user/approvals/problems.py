"""Why an approval cannot be given, as pages say it."""

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from agents.errors import AgentSuspended, EverythingStopped
from approvals.errors import ApprovalAlreadyDecided, ApprovalExpired, ConnectionInactive
from approvals.models import Approval
from core.errors import DomainError, Invalid
from developers.errors import OrganizationStopped, OrganizationSuspended

# Why an agent cannot use an approval.
INACTIVE = (ConnectionInactive, AgentSuspended, OrganizationSuspended, OrganizationStopped, EverythingStopped)
ONLY_DENY = gettext_lazy("You can only deny this request.")
# What the page says instead of the API's message.
PROBLEMS: tuple[tuple[type[DomainError], Any, Any], ...] = (
    (
        ApprovalAlreadyDecided,
        gettext_lazy("This was already decided"),
        gettext_lazy("Your click changed nothing. The first decision counts; it is shown below."),
    ),
    (
        ApprovalExpired,
        gettext_lazy("This was not decided in time"),
        gettext_lazy("So the request was denied. The agent must ask again."),
    ),
    (ConnectionInactive, gettext_lazy("The connection is paused, or has ended or changed"), ONLY_DENY),
    (EverythingStopped, gettext_lazy("An administrator has stopped all agents"), ONLY_DENY),
    (AgentSuspended, gettext_lazy("This agent is suspended"), ONLY_DENY),
    (OrganizationSuspended, gettext_lazy("The developer of this agent is suspended"), ONLY_DENY),
    (OrganizationStopped, gettext_lazy("The developer of this agent has stopped it"), ONLY_DENY),
    (
        Invalid,
        gettext_lazy("Nothing was decided"),
        gettext_lazy("Choose one of the buttons, and a time that is offered."),
    ),
)


def why_inactive(error: DomainError) -> str:
    """Return why the agent cannot use an approval, without a full stop. `error` is one of `INACTIVE`."""
    return next(str(title) for kind, title, _text in PROBLEMS if isinstance(error, kind))


def problem_of(error: DomainError | None, approval: Approval, *, waits_for_all: bool) -> tuple[str, str] | None:
    """Return the title and text with which pages show an error, or None if they use the API's.

    `waits_for_all` means that the user has paused all agents, and only for that reason the request cannot be approved.
    """
    if isinstance(error, ConnectionInactive) and waits_for_all:
        return _("You have paused all agents"), _("You can deny the request, or resume all agents first.")
    if isinstance(error, ConnectionInactive) and approval.consent.paused_at:
        return _("You have paused this agent"), _("You can deny the request, or resume the agent first.")
    return next(((title, text) for kind, title, text in PROBLEMS if isinstance(error, kind)), None)
