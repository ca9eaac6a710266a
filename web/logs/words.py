"""The words of the log for those that act, and for why a request was denied."""

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

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


def rule_title(rule_type: str) -> str:
    """Return the title of a type of rules, or the type itself if there is none with this name any more."""
    return gettext(RULES[rule_type].title) if rule_type in RULES else rule_type
