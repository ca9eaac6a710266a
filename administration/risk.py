"""How risky an agent is, in a few facts for administrators who decide whether to stop it."""

from collections.abc import Sequence
from dataclasses import dataclass

from administration.denials import Share
from administration.joined import Figure
from administration.links import list_url
from agents.models import Agent, ReportedAgent
from audit.events import Event
from audit.models import Entry
from core.text import plain_text
from resources.catalogue import Scope, describe_scopes
from resources.risks import RISK_LEVELS

LEVEL = "highest_level"


@dataclass(frozen=True, slots=True)
class AgentRisk:
    """`titles` are those of the scopes with the highest risk `level`, which is empty if the agent may ask for none.

    `share` is None if the administrator may not read the log. `hit` are the figures of what a stop would end.
    """

    level: str
    titles: Sequence[str]
    share: Share | None
    denied_url: str
    reported: ReportedAgent | None
    reports_url: str
    disputes_url: str
    hit: Sequence[Figure]


def add_levels(agents: Sequence[Agent]) -> None:
    """Give each agent what `level_of` returns, by at most one query for all."""
    known = {scope.id: scope for scope in describe_scopes(one for agent in agents for one in agent.allowed_scopes)}
    for agent in agents:
        level = _highest([known[one] for one in agent.allowed_scopes if one in known])
        setattr(agent, LEVEL, level)


def level_of(agent: Agent) -> str:
    """Return the highest risk of the scopes that the agent may ask for. Empty if there are none."""
    level: str = getattr(agent, LEVEL)
    return level


def risk_of(agent: Agent, figures: Sequence[Figure], *, reads_log: bool) -> AgentRisk:
    """Return the risk of an agent that was read with its open reports. `figures` are those of its page."""
    scopes = describe_scopes(agent.allowed_scopes)
    level = _highest(scopes)
    by_name = {figure.name: figure for figure in figures}
    denied, allowed = by_name.get("denied"), by_name.get("allowed")
    return AgentRisk(
        level=level,
        titles=[plain_text(scope.title) for scope in scopes if scope.risk_level == level],
        share=Share(denied.number, allowed.number) if denied and allowed else None,
        denied_url=denied.url if denied else "",
        reported=getattr(agent, "reported", None),
        reports_url=_entries(agent, Event.AGENT_REPORTED) if reads_log else "",
        disputes_url=_entries(agent, Event.USER_ACTIVITY_DISPUTED) if reads_log else "",
        hit=[figure for figure in figures if figure.name != "denied"],
    )


def _highest(scopes: Sequence[Scope]) -> str:
    return max((scope.risk_level for scope in scopes), key=RISK_LEVELS.index, default="")


def _entries(agent: Agent, event: Event) -> str:
    return list_url(Entry, q=agent.pk, event__exact=event.value)
