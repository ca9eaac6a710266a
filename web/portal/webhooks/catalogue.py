"""The event types as the portal lists them: by subject, in words, each with an example (`events/examples.json`)."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from audit.events import Event
from events.examples import examples
from events.types import ONLY_ASKED_FOR, ONLY_NAMED, TYPES

# In the order of the pages. A subject that is not here follows under its own name.
SUBJECTS: Mapping[str, Promise] = {
    "consent": _("Consent"),
    "approval": _("Approvals"),
    "token": _("Tokens"),
    "reservation": _("Reservations"),
    "agent": _("Agents"),
    "policy": _("Policies"),
    "resource_server": _("Resource servers"),
    "api_key": _("API keys"),
    "webhook": _("Webhooks"),
    "member": _("Members"),
    "invitation": _("Invitations"),
    "organization": _("Organization"),
    "domain": _("Domain"),
    "user": _("Users"),
    "developer": _("Developers"),
    "audit": _("Log"),
    "entry": _("Entries of the log"),
}
WORDS = {
    "actor": "A member",
    "person": "A user",
    "account": "the account of a user",
    "agent": "an agent",
    "organization": "the organization",
    "policy": "a policy",
}
ADMINISTRATOR, SERVICE = "An administrator of AgentGate", "A resource server"
# Who acts, where it is not a member.
ACTORS: Mapping[str, str] = {
    Event.AGENT_STOPPED: ADMINISTRATOR,
    Event.AGENT_STOP_LIFTED: ADMINISTRATOR,
    Event.CONSENT_REVOKED: "The user or an administrator",
    Event.INVITATION_ACCEPTED: "A user",
    Event.ORGANIZATION_REACTIVATED: ADMINISTRATOR,
    Event.ORGANIZATION_REVIEW_DECLINED: ADMINISTRATOR,
    Event.ORGANIZATION_SUSPENDED: ADMINISTRATOR,
    Event.ORGANIZATION_VERIFIED: ADMINISTRATOR,
    Event.RESERVATION_COMMITTED: SERVICE,
    Event.RESERVATION_VOIDED: SERVICE,
    Event.TOKEN_INTROSPECTED: SERVICE,
    Event.TOKEN_REVOKED: "The agent, the user or a member",
}
SENTENCES = {str(one): one.sentence for one in Event}
# “The agent %(agent)s” is “an agent” here.
BEFORE_NAMES = re.compile(r"\b[Tt]he (?:agent|organization|policy) %")
DECISION = "A resource server asked whether an agent may act, and AgentGate decided."


@dataclass(frozen=True, slots=True)
class Type:
    """An event type with its sentence."""

    name: str
    words: str

    @property
    def patterns(self) -> list[str]:
        """Return the patterns that match it, from the narrowest."""
        return [] if self.name in (ONLY_NAMED, ONLY_ASKED_FOR) else [f"{self.name.split('.')[0]}.*", "*"]

    @property
    def is_only_named(self) -> bool:
        return self.name == ONLY_NAMED

    @property
    def is_test(self) -> bool:
        return self.name == ONLY_ASKED_FOR


@dataclass(frozen=True, slots=True)
class Subject:
    """What the types before a dot have in common."""

    name: str
    title: str | Promise
    types: Sequence[Type]

    @property
    def pattern(self) -> str:
        return f"{self.name}.*"

    @property
    def choices(self) -> list[Type]:
        """Return the types that a form offers beside the pattern. Decisions have a field of their own."""
        return [one for one in self.types if not (one.is_only_named or one.is_test)]


@cache
def subjects() -> tuple[Subject, ...]:
    """Return all types by subject."""
    found: dict[str, list[Type]] = {name: [] for name in SUBJECTS}
    for name in TYPES:
        found.setdefault(name.split(".")[0], []).append(Type(name, in_words(name)))
    return tuple(Subject(name, SUBJECTS.get(name, name), types) for name, types in found.items() if types)


def find_type(name: str) -> Type | None:
    return next((one for subject in subjects() for one in subject.types if one.name == name), None)


def in_words(name: str) -> str:
    """Return what happened, as a sentence without names."""
    if name == ONLY_NAMED:
        return DECISION
    template = BEFORE_NAMES.sub("%", SENTENCES[name]).replace(": %(scopes)s", "")
    words = template % {**WORDS, "actor": ACTORS.get(name, WORDS["actor"])}
    return words[:1].upper() + words[1:]


def example_of(name: str) -> str:
    """Return an example of an event of this type, as indented JSON. Empty if there is none."""
    example = examples().get(name)
    return json.dumps(example, indent=2, ensure_ascii=False) if example else ""
