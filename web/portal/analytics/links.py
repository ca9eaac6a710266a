"""Links to the log entries behind a number."""

from audit.entries import facets
from audit.events import Event
from insights.counting import DELEGATION, NONE, REST, USER, rule_parts
from insights.windows import Window
from web.requests.portal import portal_url

type Query = dict[str, str]

ALLOWED: Query = {"outcome": "allowed"}
DENIED: Query = {"outcome": "denied"}
DECISIONS: Query = {"event": Event.TOKEN_VERIFY.value}


def rows_url(organization_id: str, window: Window, query: Query) -> str:
    """Return the URL of the entries in the window that the query selects. Empty for `REST`: no filter finds it."""
    if REST in query.values():
        return ""
    chosen = {**query, "from": f"{window.since:%Y-%m-%dT%HZ}", "to": f"{window.until:%Y-%m-%dT%HZ}"}
    return portal_url(organization_id, "logs", query={name: value for name, value in chosen.items() if value})


def of_rule(value: str) -> Query:
    """Return the query for the denials of a value of the kind `rule`."""
    reason, policy_id, rule_type = rule_parts(value)
    rule = {"reason": "" if reason == NONE else reason, "rule": "" if rule_type == NONE else rule_type}
    return {**DECISIONS, **DENIED, **rule, **_of_decider(reason, policy_id, rule_type)}


def _of_decider(reason: str, policy_id: str, rule_type: str) -> Query:
    if policy_id == USER:
        return {"decider": facets.USER}
    if policy_id == DELEGATION:
        return {"decider": facets.DELEGATION}
    if policy_id != NONE:
        return {"policy": policy_id}
    if rule_type != NONE:
        return {"decider": facets.OTHERS}
    return {"decider": facets.NO_RULE} if reason in facets.RULE_REASONS else {}
