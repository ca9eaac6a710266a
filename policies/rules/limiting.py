"""What the rule types that count have in common: windows, scopes and the kind of their counters."""

from abc import abstractmethod
from typing import Annotated, Literal

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from pydantic import Field

from policies.rules.base import Rule
from policies.rules.fields import Seconds
from policies.rules.kinds import LimitKind
from policies.rules.ledger import CONNECTION_SCOPE
from policies.rules.words import Titles

MAX_WINDOW_SECONDS = 2_592_000  # 30 days
SCOPES = {
    "per_user": gettext_noop("per user"),
    "per_agent": gettext_noop("per agent, across all users"),
    "global": gettext_noop("across all agents and users"),
}

Period = Annotated[Seconds, Field(ge=1, le=MAX_WINDOW_SECONDS, title=gettext_noop("Period"))]
Scope = Annotated[
    Literal["per_user", "per_agent", "global"],
    Field(title=gettext_noop("Counted"), json_schema_extra={"x-enumDescriptions": SCOPES}),
]


class CountingRule(Rule):
    """A rule that limits how much there is in any window. Edits of the policy keep its counts (`policies.limits`)."""

    needs_counters = True

    @property
    def depends_on_agent(self) -> bool:
        return self.kind.scope == "per_agent"

    @property
    @abstractmethod
    def kind(self) -> LimitKind:
        """The kind of its counters. Changing the maximum or the order of rules grants no new quota."""


def of_connection(rule: Rule) -> Rule:
    """Return a rule as it bounds one connection."""
    return rule.model_copy(update={"scope": CONNECTION_SCOPE}) if isinstance(rule, CountingRule) else rule


def counted(limit: str, scope: str, titles: Titles | None) -> str:
    """Return the words of a limit with what it counts together. A user's own agent goes without saying for the user."""
    if scope == "global":
        return _("%(limit)s (all agents and users together)") % {"limit": limit}
    if scope == "per_agent":
        return _("%(limit)s (all users of the agent together)") % {"limit": limit}
    return limit if titles is not None else _("%(limit)s (each user separately)") % {"limit": limit}
