"""Links to the log entries behind a number."""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from django.urls import reverse

from audit.entries import facets
from audit.entries.requests import Step
from audit.events import Event
from insights.counting import NONE, REST, USER, rule_parts
from insights.windows import Window

type Query = dict[str, str]

ALLOWED: Query = {"outcome": "allowed"}
DENIED: Query = {"outcome": "denied"}
DECISIONS: Query = {"event": Event.TOKEN_VERIFY.value}


@dataclass(frozen=True, slots=True)
class Links:
    """Build links to the log, for one agent or for all."""

    agent_id: str = ""

    def to(self, window: Window, query: Query) -> str:
        """Return the URL of the entries that the query selects within the window."""
        return self.between(window.since, window.until, query)

    def between(self, since: datetime, until: datetime, query: Query) -> str:
        """Return the URL of the entries from `since` until `until`, exclusive. Empty for `REST`: no filter finds it."""
        if REST in query.values():
            return ""
        chosen = {"agent": self.agent_id, **query, "from": _hour(since), "to": _hour(until)}
        return f"{reverse('web:logs')}?{urlencode({name: value for name, value in chosen.items() if value})}"


def of_rule(value: str) -> Query:
    """Return the query for the denials of a value of the kind `rule`."""
    reason, policy_id, rule_type = rule_parts(value)
    rule = {"reason": "" if reason == NONE else reason, "rule": "" if rule_type == NONE else rule_type}
    return {**DECISIONS, **DENIED, **rule, **_of_decider(reason, policy_id, rule_type)}


def of_step(step: Step) -> Query:
    """Return the query for a step of the organization's own requests for consent."""
    return {"step": step.value}


def _of_decider(reason: str, policy_id: str, rule_type: str) -> Query:
    if policy_id == USER:
        return {"decider": facets.USER}
    if policy_id != NONE:
        return {"policy": policy_id}
    if rule_type != NONE:
        return {"decider": facets.OTHERS}
    return {"decider": facets.NO_RULE} if reason in facets.RULE_REASONS else {}


def _hour(moment: datetime) -> str:
    """Return a full hour of UTC in the shortest form that the log's filters accept."""
    return f"{moment:%Y-%m-%dT%HZ}"
