from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, Self

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext
from pydantic import AfterValidator, Field, model_validator

from core.chains import MAX_DEPTH
from core.local import listed
from core.validation import invalid_fields, invalid_value
from policies.rules.base import Denial, Rule, RuleContext, register
from policies.rules.fields import Listed, Text
from policies.rules.words import Titles, chain_in_words

NO_BOUNDS = gettext_noop("Must bound something: the number of hand-overs, the agents or their organizations.")


def _require_agent(text: str) -> str:
    if not text.startswith("agt_"):
        raise invalid_value(gettext_noop("Must be the ID of an agent, which starts with agt_."))
    return text


def _require_organization(text: str) -> str:
    if not text.startswith("org_"):
        raise invalid_value(gettext_noop("Must be the ID of an organization, which starts with org_."))
    return text


@register("delegation", title=gettext_noop("Work handed over by agents"))
class DelegationRule(Rule):
    """Bound the chain of agents that handed the work over. A call that was not handed over passes.

    The chain is that of the decision: from the agent to which the user granted access to the agent that acts.
    """

    max_depth: Annotated[
        int | None,
        Field(
            ge=0,
            le=MAX_DEPTH,
            title=gettext_noop("Maximum hand-overs"),
            description=gettext_noop("0 refuses all work that another agent handed over."),
        ),
    ] = None
    agents: Annotated[
        Listed[Annotated[Text, AfterValidator(_require_agent)]],
        Field(
            min_length=1,
            title=gettext_noop("IDs of agents"),
            description=gettext_noop("Each agent of the chain must be listed, including the one that acts."),
        ),
    ] = ()
    organizations: Annotated[
        Listed[Annotated[Text, AfterValidator(_require_organization)]],
        Field(
            min_length=1,
            title=gettext_noop("IDs of organizations"),
            description=gettext_noop("The organization of each agent of the chain must be listed."),
        ),
    ] = ()

    @model_validator(mode="after")
    def require_bound(self) -> Self:
        """Raise an error if the rule bounds nothing."""
        if self.max_depth is None and not self.agents and not self.organizations:
            raise invalid_fields(type(self), [("maxDepth", NO_BOUNDS)])
        return self

    @cached_property
    def known_agents(self) -> frozenset[str]:
        return frozenset(self.agents)

    @cached_property
    def known_organizations(self) -> frozenset[str | None]:
        return frozenset(self.organizations)

    @property
    def depends_on_agent(self) -> bool:
        return False

    def check(self, ctx: RuleContext) -> Denial | None:
        if not ctx.chain:
            return None
        if self.max_depth is not None and len(ctx.chain) - 1 > self.max_depth:
            return Denial("The work was handed over more often than allowed.")
        if self.agents and any(link.agent_id not in self.known_agents for link in ctx.chain):
            return Denial("An agent of the chain is not listed.")
        if self.organizations and any(link.organization_id not in self.known_organizations for link in ctx.chain):
            return Denial("The organization of an agent of the chain is not listed.")
        return None

    def in_words(self, titles: Titles | None = None) -> str:
        if titles is not None:
            return chain_in_words(is_refused=self.max_depth == 0)
        if self.max_depth == 0:
            return _("No work that another agent handed over")
        return _("Work that another agent handed over: %(bounds)s") % {"bounds": "; ".join(self._bounds())}

    def _bounds(self) -> Iterator[str]:
        """Yield each bound in words."""
        if self.max_depth:
            words = ngettext("at most %(number)d hand-over", "at most %(number)d hand-overs", self.max_depth)
            yield words % {"number": self.max_depth}
        if self.agents:
            yield _("only by and to %(agents)s") % {"agents": listed(self.agents)}
        if self.organizations:
            yield _("only between agents of %(organizations)s") % {"organizations": listed(self.organizations)}
