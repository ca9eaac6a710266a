"""What an entry of the log adds to the roll-ups. It depends on the entry alone, so counting again gives the same.

Values have their parts in a fixed order, separated by spaces; a part that is missing is `NONE`. Only the last part can
have spaces itself.

| kind | value |
|---|---|
| decision | the outcome |
| agent | the agent, the outcome |
| scope | the outcome, the required scope or `OTHER_SCOPES` |
| rule | the reason, the policy, `USER` or `DELEGATION`, the type of the rule: of a denial |
| denial | the agent, and the parts of `rule` |
| consent | a `Step` of a request for consent |
| asked, declined | a scope that a request asked for, or that its user declined |
| rows | empty: how many rows of all other kinds there are of the day (`insights.bounds`) |

Beyond the bound of a day, `REST` takes the place of the name of an agent, a scope or a policy. Agents are values, too,
so that the chart of all agents reads as few rows as the others.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from audit.entries import requests
from audit.entries.drafts import POLICY
from audit.entries.facets import indexed_scopes
from audit.entries.requests import RequestStep, Step, find_step
from audit.events import Event, Outcome
from audit.readers.in_order import InOrder
from insights.models import Kind, Unit
from insights.windows import floor_day, floor_hour

EVENTS = frozenset({Event.TOKEN_VERIFY, *requests.EVENTS})
ALL_AGENTS = ""
NONE = "-"
USER, DELEGATION = "user", "delegation"
REST = "(rest)"
MAX_LENGTH = 300
# The kinds that have few values, whatever is logged.
FIXED = frozenset({Kind.DECISION.value, Kind.CONSENT.value})


class Key(NamedTuple):
    """What a row of the roll-ups counts, in the order of its primary key."""

    organization_id: str
    agent_id: str
    kind: str
    unit: str
    start: datetime
    value: str


class Counted(NamedTuple):
    """Something to count once, for the agent of the entry and for all agents, or only for all."""

    kind: Kind
    value: str
    is_of_agent: bool = True


def keys_of(entry: InOrder) -> Iterator[Key]:
    """Yield the rows that count the entry, one more each. Raises `ValueError` or `KeyError` if it was damaged."""
    starts = ((Unit.HOUR, floor_hour(entry.at)), (Unit.DAY, floor_day(entry.at)))
    for organization_id, counted in _counted(entry):
        agents = dict.fromkeys([ALL_AGENTS, entry.agent_id or ALL_AGENTS] if counted.is_of_agent else [ALL_AGENTS])
        value = counted.value.replace("\0", "")[:MAX_LENGTH]
        for agent_id in agents:
            for unit, start in starts:
                yield Key(organization_id, agent_id, counted.kind.value, unit.value, start, value)


def without_name(key: Key) -> str:
    """Return the value of the row that the key shares with all others without a row of their own."""
    match key.kind:
        case Kind.SCOPE:
            return f"{key.value.split(' ', 1)[0]} {REST}"
        case Kind.AGENT:
            return f"{REST} {key.value.rsplit(' ', 1)[1]}"
        case Kind.RULE:
            return f"{rule_parts(key.value)[0]} {REST} {NONE}"
        case Kind.DENIAL:
            return f"{REST} {rule_parts(key.value.split(' ', 1)[1])[0]} {REST} {NONE}"
    return REST


def rule_parts(value: str) -> tuple[str, str, str]:
    """Return the reason, the policy and the type of the rule in a value of the kind `rule`."""
    reason, policy_id, rule_type = value.split(" ", 2)
    return reason, policy_id, rule_type


def _counted(entry: InOrder) -> Iterator[tuple[str, Counted]]:
    record = entry.record()
    if entry.event == Event.TOKEN_VERIFY:
        for organization_id in entry.organization_ids:
            for counted in _of_decision(entry, record, organization_id):
                yield organization_id, counted
    elif found := find_step(record, entry.organization_ids):
        for counted in _of_request(found, record):
            yield found.organization_id, counted


def _of_decision(entry: InOrder, record: Mapping[str, Any], organization_id: str) -> Iterator[Counted]:
    outcome, agent_id = entry.outcome, entry.agent_id or NONE
    yield Counted(Kind.DECISION, outcome)
    yield Counted(Kind.AGENT, f"{agent_id} {outcome}", is_of_agent=False)
    for scope in dict.fromkeys(indexed_scopes(record)):
        yield Counted(Kind.SCOPE, f"{outcome} {scope}")
    if outcome == Outcome.DENIED:
        rule = " ".join([record["reason"] or NONE, *_rule_of(entry, record["metadata"], organization_id)])
        yield Counted(Kind.RULE, rule)
        yield Counted(Kind.DENIAL, f"{agent_id} {rule}", is_of_agent=False)


def _rule_of(entry: InOrder, metadata: Mapping[str, Any], organization_id: str) -> tuple[str, str]:
    """Return the policy and the type of the rule that denied. Of others' policies, only the type is shown."""
    rule_type = metadata.get("ruleType") or NONE
    if metadata.get("limitedBy") in (USER, DELEGATION):
        return metadata["limitedBy"], rule_type
    policy = entry.withheld().get(POLICY, {})
    is_own = policy.get("policyOrganizationId") in (None, organization_id)
    return (policy.get("policyId") or NONE) if is_own else NONE, rule_type


def _of_request(found: RequestStep, record: Mapping[str, Any]) -> Iterator[Counted]:
    yield Counted(Kind.CONSENT, found.step.value)
    if found.step is Step.ASKED:
        yield from (Counted(Kind.ASKED, scope) for scope in dict.fromkeys(record["scopes"]))
    yield from (Counted(Kind.DECLINED, scope) for scope in found.declined)
