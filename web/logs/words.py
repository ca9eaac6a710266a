"""The words of the log for those that act, for why a request was denied, and for what became of one for consent."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from audit.entries import facets
from audit.entries.requests import Step
from decisions.requests import Reason
from policies.rules import RULES

ACTORS = {
    "service": _("Resource server"),
    "agent": _("Agent"),
    "user": _("User"),
    "developer": _("Developer"),
    "administrator": _("Administrator"),
    "system": _("AgentGate"),
    "anonymous": _("Unknown caller"),
}

REASONS: Mapping[str, Any] = {
    Reason.INVALID_TOKEN: _("Invalid token"),
    Reason.TOKEN_EXPIRED: _("Token expired"),
    Reason.TOKEN_REVOKED: _("Token revoked"),
    Reason.SERVICE_SUSPENDED: _("Service suspended"),
    Reason.ORGANIZATION_SUSPENDED: _("Organization suspended"),
    Reason.AGENT_SUSPENDED: _("Agent suspended"),
    Reason.USER_INACTIVE: _("User deactivated"),
    Reason.CONSENT_REVOKED: _("Access revoked by the user"),
    Reason.CONSENT_EXPIRED: _("Access expired"),
    Reason.CONSENT_PAUSED: _("Access paused by the user"),
    Reason.WRONG_AUDIENCE: _("Token for another service"),
    Reason.INSUFFICIENT_SCOPE: _("Scope not granted"),
    Reason.POLICY_DENIED: _("Denied by a rule"),
    Reason.APPROVAL_REQUIRED: _("Approval required"),
}
# Who decided in place of a policy of the organization.
DECIDERS: Mapping[str, Any] = {
    facets.USER: _("A limit of the user"),
    facets.OTHERS: _("A policy of another organization"),
    facets.NO_RULE: _("A scope that asks the user each time"),
}
STEPS: Mapping[Step, Any] = {
    Step.ASKED: _("Asked"),
    Step.ALLOWED: _("Allowed all"),
    Step.PARTLY: _("Allowed some"),
    Step.DENIED: _("Denied"),
    Step.ABANDONED: _("Abandoned"),
}


def rule_title(rule_type: str) -> str:
    """Return the title of a type of rules, or the type itself if there is none with this name any more."""
    return gettext(RULES[rule_type].title) if rule_type in RULES else rule_type
