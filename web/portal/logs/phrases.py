"""The log's phrases for actors, for who decided, and for the outcomes of consent requests."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _

from audit.entries import facets
from audit.entries.requests import Step

ACTORS = {
    "service": _("Resource server"),
    "agent": _("Agent"),
    "user": _("User"),
    "developer": _("Developer"),
    "administrator": _("Administrator"),
    "system": _("AgentGate"),
    "anonymous": _("Unknown caller"),
}

# What decided instead of a policy of the organization.
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
