"""Labels of what the roll-ups count: reasons, rules, agents, scopes."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.utils.translation import gettext as _

from agents.selectors import agents_known_to
from audit.entries.facets import OTHER_SCOPES
from decisions.requests import Reason
from decisions.wording import explain_denial
from insights.counting import DELEGATION, NONE, REST, USER, rule_parts
from policies.rules import title_of
from policies.selectors import policies_for_organization
from web.wording.names import names_by_id, scope_titles


@dataclass(frozen=True, slots=True)
class ValueLabel:
    """A name, safe to display, with a description or an id where there is one. `is_id` marks an id without a name."""

    name: str
    detail: str = ""
    code: str = ""
    is_id: bool = False


class Names:
    """Names of the agents, policies and scopes that the organization may know."""

    def __init__(self, organization_id: str, agents: Iterable[str], policies: Iterable[str], scopes: Iterable[str]):
        self._names = names_by_id(
            (agents_known_to(organization_id), agents),
            (
                policies_for_organization(organization_id),
                (one for one in policies if one not in (NONE, REST, USER, DELEGATION)),
            ),
        )
        wanted = set(scopes)
        self._titles = scope_titles(wanted) if wanted else {}

    def agent(self, agent_id: str) -> ValueLabel:
        """Return the label of an agent. Agents of other organizations have no name here."""
        if agent_id == NONE:
            return ValueLabel(_("No agent"))
        if agent_id == REST:
            return ValueLabel(_("All others"))
        return ValueLabel(self._names[agent_id]) if agent_id in self._names else ValueLabel(agent_id, is_id=True)

    def scope(self, scope: str) -> ValueLabel:
        if scope == REST:
            return ValueLabel(_("All others"))
        if scope == OTHER_SCOPES:
            return ValueLabel(_("Other scopes"), code=scope)
        return ValueLabel(self._titles[scope], code=scope) if scope in self._titles else ValueLabel(scope, is_id=True)

    def rule(self, value: str) -> ValueLabel:
        """Return the label of a value of the kind `rule`."""
        reason, policy_id, rule_type = rule_parts(value)
        why = str(explain_denial(reason, {}).label or reason)
        title = "" if rule_type == NONE else title_of(rule_type)
        if policy_id == REST:
            return ValueLabel(_("All others"), why)
        if policy_id == USER:
            return ValueLabel(_("A limit of the user"), title)
        if policy_id == DELEGATION:
            return ValueLabel(_("A limit of a delegation"), title)
        if policy_id == NONE:
            return ValueLabel(_("A rule of another organization"), title) if title else ValueLabel(why)
        if policy_id not in self._names:
            return ValueLabel(_("A deleted policy"), title)
        return ValueLabel(self._names[policy_id], f"{why}: {title}" if reason == Reason.APPROVAL_REQUIRED else title)
