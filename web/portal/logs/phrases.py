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
    "api_key": _("API key of the organization"),
    "administrator": _("Administrator"),
    "system": _("AgentGate"),
    "anonymous": _("Unknown caller"),
}

# The actors in a sentence.
ACTING = {
    "service": _("A resource server"),
    "agent": _("The agent"),
    "user": _("A user"),
    "developer": _("A developer"),
    "api_key": _("An API key of the organization"),
    "administrator": _("An administrator"),
    "system": _("AgentGate"),
    "anonymous": _("An unknown caller"),
}

# What decided instead of a policy of the organization.
DECIDERS: Mapping[str, Any] = {
    facets.USER: _("A limit of the user"),
    facets.DELEGATION: _("A limit of a delegation"),
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

# What the search takes besides the filters with own fields: an example, and what it finds. The page has a name of the
# organization instead of one here. An ellipsis stands for the rest of an ID.
SEARCHES = (
    ("agent:Postie", _("An agent, by its name, ID or client ID")),
    ("chain:Postie", _("An agent that acted itself or handed the work on, or a delegation by its ID")),
    ("outcome:denied", _("What was allowed, denied or recorded")),
    ("since:2h", _("The last two hours. Also 30m, 7d, a date or a time")),
    ("until:2026-11-27T14:00", _("What happened before a date or a time")),
    ("event:token.verify", _("A kind of entry")),
    ("action:email:send", _("An action or a scope that was asked for")),
    ("scope:email:send", _("Entries with this scope")),
    ("user:usr_…", _("A user, by the ID that your agent knows")),
    ("reason:policy_denied", _("Why it was denied. Use reason:token for any problem with the token")),
    ('policy:"Max spend"', _("A policy that denied, by its name or ID")),
    ("rule:rate_limit", _("A type of rule that denied")),
    (
        "decider:user",
        _("Denied by a limit (user, delegation), another organization (others) or a scope that asks (none)"),
    ),
    ("request:req_…", _("One request")),
    ("consent:cns_…", _("One grant")),
    ("server:Mail", _("A resource server, by its name or ID")),
    ("actor:service", _("Who acted: service, agent, user, developer, api_key, administrator, system or anonymous")),
    ("step:asked", _("Requests for consent: asked, allowed, partly, denied or abandoned")),
    ("declined:email:send", _("A scope that users left out")),
)
