"""Entries of an organization's log, with the names that the organization may know."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from audit.entries.facets import DELEGATION, USER
from audit.events import Event
from audit.readers.reading import AuditEntry, stated_reason
from audit.selectors import describe_for_organization
from core.text import plain_text
from decisions.wording import Explanation, explain_denial, shown_outcome
from policies.rules import title_of
from resources.actions import action_title
from web.portal.logs.names import OwnNames
from web.portal.logs.phrases import ACTORS

SHORT_ID = 6
LIMITS: Mapping[str, Any] = {
    USER: gettext_lazy("The user's own limit"),
    DELEGATION: gettext_lazy("A limit of a delegation"),
}


class Link(NamedTuple):
    """An agent of a chain, by its name, and the delegation by which it acts: None for the first one."""

    name: str
    delegation_id: str | None


@dataclass(frozen=True, slots=True)
class LogRow:
    """An entry. `content` is the part that the organization may read."""

    entry: AuditEntry
    content: Mapping[str, Any]
    names: OwnNames

    @property
    def id(self) -> str:
        return self.entry.id

    @property
    def at(self) -> datetime:
        return self.entry.timestamp

    @property
    def what(self) -> str:
        """The action or the first requested scope, or the event if there is neither."""
        asked = [one for one in (self.content["action"], *self.content["scopes"]) if one]
        return plain_text(asked[0]) if asked else self.entry.event

    @property
    def title(self) -> str:
        """What was asked for in words: that of the first scope, if the catalogue has it, or of the action."""
        titles = [action_title(one) for one in (*self.content["scopes"], self.content["action"]) if one]
        return titles[0] if titles else self.entry.event

    @property
    def code(self) -> str:
        """The term beside the title: the event, or what was asked for if the event is the usual one."""
        return self.what if self.entry.event == Event.TOKEN_VERIFY else self.entry.event

    @property
    def more(self) -> int:
        """The number of scopes in addition to that of the title."""
        return max(0, len(self.content["scopes"]) - 1)

    @property
    def actor(self) -> str:
        """The actor's name. Without one, and for an agent, which has a column of its own, its kind."""
        is_agent = self.content["actor"]["id"] == self.entry.agent_id
        return self.actor_kind if is_agent else self.acting or self.actor_kind

    @property
    def acting(self) -> str:
        """The actor's name, which says of an API key of the organization that it is one. Empty without a name."""
        is_key = self.actor_name and self.content["actor"]["kind"] == "api_key"
        return _("API key “%(name)s”") % {"name": self.actor_name} if is_key else self.actor_name

    @property
    def agent_name(self) -> str:
        """The agent's name, or its id if the organization does not know it."""
        return self._name_of(self.entry.agent_id)

    @property
    def chain(self) -> list[Link]:
        """The agents from the first one to the one that acted, or nothing if the work was not handed over."""
        links = self.content.get("chain", ())
        return [Link(self._name_of(each["agentId"]), each["delegationId"]) for each in links]

    @property
    def limiting_delegation(self) -> str:
        """The id of the delegation whose limit denied. Empty if none did."""
        return plain_text(self.content["metadata"].get("delegationId")) if self.limited_by == DELEGATION else ""

    @property
    def has_agent_page(self) -> bool:
        is_own = self.content["organizationId"] == self.names.organization_id
        return is_own and self.entry.agent_id in self.names.names and self.entry.agent_id not in self.names.deleted

    @property
    def short_user_id(self) -> str:
        """The end of the user's id. Developers do not learn the names of users."""
        return shortened(self.entry.user_id)

    @property
    def actor_kind(self) -> str:
        kind = self.content["actor"]["kind"]
        return str(ACTORS.get(kind, kind))

    @property
    def actor_name(self) -> str:
        """The actor's name, or an empty string. An agent has a column of its own."""
        return self.names.names.get(self.content["actor"]["id"], "")

    @property
    def rule(self) -> str:
        """The rule that decided, in words. Empty if none did."""
        rule_type = self.content["metadata"].get("ruleType")
        return title_of(rule_type) if rule_type else ""

    @property
    def rule_number(self) -> int | None:
        """The number of the rule in its policy, from 1, if the organization may know it."""
        index = self.content["metadata"].get("ruleIndex")
        return index + 1 if isinstance(index, int) else None

    @property
    def rule_detail(self) -> str:
        """What the rule said about the request."""
        return plain_text(self.content["metadata"].get("detail"))

    @property
    def limited_by(self) -> str:
        """What limited the request, if no policy did: a key of `LIMITS`, or empty."""
        limited_by = self.content["metadata"].get("limitedBy")
        return limited_by if limited_by in LIMITS else ""

    @property
    def limit(self) -> Any:
        """What limited the request, in words, if no policy did."""
        return LIMITS.get(self.limited_by, "")

    @property
    def has_rule(self) -> bool:
        """Whether a rule of a policy, or a limit, decided."""
        return bool(self.limited_by or self.policy_name or self.rule)

    @property
    def why(self) -> str:
        """The name of the policy that decided, if the organization may know it, else the rule or the reason's words."""
        if self.limited_by:
            return str(self.limit)
        return self.policy_name or self.rule or str(explain_denial(self.content["reason"], {}).label or self.reason)

    @property
    def outcome(self) -> str:
        return shown_outcome(self.content)

    @property
    def explanation(self) -> Explanation:
        """Why the request was denied, and what the developer can do."""
        return explain_denial(self.content["reason"], self.content["metadata"])

    @property
    def reason(self) -> str:
        return plain_text(self.content["reason"])

    @property
    def stated_reason(self) -> str:
        return stated_reason(self.content)

    @property
    def policy_name(self) -> str:
        """The name that the policy had at the decision, or has now."""
        recorded = plain_text(self.content["metadata"].get("policyName"))
        return recorded or (self._name_of(self.policy_id) if self.policy_id else "")

    @property
    def policy_id(self) -> str | None:
        policy_id: str | None = self.content["policyId"]
        return policy_id

    @property
    def has_policy_page(self) -> bool:
        return self.policy_id in self.names.names

    def _name_of(self, pk: str | None) -> str:
        return self.names.names.get(pk, shortened(pk)) if pk else ""


def read_rows(entries: Sequence[AuditEntry], own: OwnNames) -> list[LogRow]:
    """Return the entries, in the same order. Names that are not among the suggested ones are looked up in one query."""
    described = describe_for_organization(entries, own.organization_id)
    names = own.with_those_of(one for content in described for one in _ids_in(content))
    return [LogRow(entry, content, names) for entry, content in zip(entries, described, strict=True)]


def shortened(pk: str | None) -> str:
    """Return the end of an id, which is random, such as `usr_…9f2c01`."""
    if not pk:
        return ""
    prefix, _separator, digits = pk.partition("_")
    return f"{prefix}_…{digits[-SHORT_ID:]}" if len(digits) > SHORT_ID else pk


def _ids_in(content: Mapping[str, Any]) -> Iterable[str | None]:
    chain = (link["agentId"] for link in content.get("chain", ()))
    return content["agentId"], content["policyId"], content["actor"]["id"], *chain
