"""Words of the admin site: what an action affects, in numbers (`counted`), and what is in the log."""

from django.utils.translation import gettext_lazy, ngettext_lazy

AGENTS = ngettext_lazy("%(number)d agent", "%(number)d agents", "number")
CONNECTED_AGENTS = ngettext_lazy("%(number)d connected agent", "%(number)d connected agents", "number")
USERS = ngettext_lazy("%(number)d user", "%(number)d users", "number")
CONNECTED_USERS = ngettext_lazy("%(number)d connected user", "%(number)d connected users", "number")
ORGANIZATIONS = ngettext_lazy("%(number)d organization", "%(number)d organizations", "number")
SESSIONS = ngettext_lazy("%(number)d API session", "%(number)d API sessions", "number")
FACTORS = ngettext_lazy("%(number)d passkey or app", "%(number)d passkeys and apps", "number")
CONSENTS = ngettext_lazy("%(number)d live consent", "%(number)d live consents", "number")
FAMILIES = ngettext_lazy("%(number)d live token family", "%(number)d live token families", "number")
POLICIES = ngettext_lazy("%(number)d policy", "%(number)d policies", "number")
MEMBERS = ngettext_lazy("%(number)d administrator", "%(number)d administrators", "number")

# The outcomes of entries in the log.
OUTCOMES = {
    "allowed": gettext_lazy("Allowed"),
    "denied": gettext_lazy("Denied"),
    "info": gettext_lazy("Recorded"),
}

# The kinds of actors in the log.
ACTORS = {
    "user": gettext_lazy("Person"),
    "developer": gettext_lazy("Developer"),
    "agent": gettext_lazy("Agent"),
    "service": gettext_lazy("Service"),
    "administrator": gettext_lazy("Administrator"),
    "system": gettext_lazy("This server"),
    "anonymous": gettext_lazy("Anonymous"),
}
