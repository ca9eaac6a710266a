"""A log with everything that roll-ups count, and what a count of it must give."""

import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from audit.entries.drafts import Draft
from audit.events import Event, Outcome
from audit.models import Entry
from audit.readers.reading import AuditEntry, read_entries
from audit.sequencing.sequencer import sequence
from core.actor import Actor
from insights.models import Edition, RollUp
from tests.audit.journals import write_drafts

NOW = datetime(2026, 3, 2, 12, 30, tzinfo=UTC)
SERVICE = Actor("service", "res_1", ip="203.0.113.7")
SCOPES = ("email:read", "email:send", "calendar:freebusy")
Row = tuple[str, str, str, str, datetime, str]


def log_entries(number: int, *, seed: int = 1, at: datetime = NOW) -> None:
    """Log so many entries of all kinds, over three days before `at`."""
    random_ = random.Random(seed)
    for _ in range(number // 20):
        moment = at - timedelta(minutes=random_.randrange(3 * 24 * 60))
        write_drafts([draft(random_) for _ in range(20)], moment)
    sequence()


def draft(random_: random.Random) -> Draft:
    """Return a decision, allowed or denied for one of several reasons, or a step of a consent, or something else."""
    ids: dict[str, Any] = {
        "agent_id": f"agt_{random_.randrange(3)}",
        "user_id": f"usr_{random_.randrange(3)}",
        "consent_id": "cns_1",
        "organization_id": "org_1",
        "scopes": random_.sample(SCOPES, random_.randrange(1, 4)),
    }
    make = random_.choice([_consent_step, _allowed, _denied, _denied_by_policy])
    return make(random_, ids)


def _consent_step(random_: random.Random, ids: dict[str, Any]) -> Draft:
    declined = random_.sample(SCOPES, random_.randrange(3))
    approved = {"outcome": Outcome.ALLOWED, "metadata": {"requestedScopes": list(SCOPES), "notGranted": declined}}
    steps: list[tuple[Event, dict[str, Any]]] = [
        (Event.TOKEN_REFRESHED, {}),
        (Event.CONSENT_REQUESTED, {"user_id": None}),
        (Event.CONSENT_APPROVED, approved),
        (Event.CONSENT_DENIED, {"outcome": Outcome.DENIED}),
        (Event.CONSENT_EXPIRED, {"user_id": random_.choice([None, "usr_1"])}),
    ]
    event, fields = random_.choice(steps)
    return Draft(event, SERVICE, **{**ids, **fields})


def _allowed(random_: random.Random, ids: dict[str, Any]) -> Draft:
    return Draft(Event.TOKEN_VERIFY, SERVICE, Outcome.ALLOWED, service_organization_ids=_services(random_), **ids)


def _denied(random_: random.Random, ids: dict[str, Any]) -> Draft:
    users_own = {"reason": "policy_denied", "metadata": {"ruleType": "rate_limit", "limitedBy": "user"}}
    fields: dict[str, Any] = random_.choice([{"reason": "insufficient_scope"}, users_own])
    return _decision(random_, {**ids, **fields})


def _denied_by_policy(random_: random.Random, ids: dict[str, Any]) -> Draft:
    rule = {"ruleType": "time_window", "ruleIndex": 0, "policyName": "Nights", "detail": "at night"}
    fields = {
        "reason": "policy_denied",
        "policy_id": f"pol_{random_.randrange(2)}",
        "policy_organization_id": random_.choice(["org_1", "org_2"]),
        "metadata": rule,
    }
    return _decision(random_, {**ids, **fields})


def _decision(random_: random.Random, fields: dict[str, Any]) -> Draft:
    services = _services(random_)
    return Draft(Event.TOKEN_VERIFY, SERVICE, Outcome.DENIED, service_organization_ids=services, **fields)


def _services(random_: random.Random) -> list[str]:
    return random_.sample(["org_2", "org_3"], random_.randrange(3))


def counted(edition: int | None = None) -> dict[Row, int]:
    """Return the roll-ups of an edition, by default of the one in use, without the numbers of rows."""
    edition = edition or Edition.objects.get(is_used=True).pk
    rows = RollUp.objects.filter(edition=edition).exclude(kind="rows")
    names = ("organization_id", "agent_id", "kind", "unit", "start", "value")
    return {row[:6]: row[6] for row in rows.values_list(*names, "number")}


def counts_of_raw_log() -> dict[Row, int]:
    """Return what the roll-ups must be, counted from the entries as their readers get them."""
    found: Counter[Row] = Counter()
    for entry in all_entries():
        for organization, agent, kind, value in _facts(entry):
            hour = entry.timestamp.replace(minute=0, second=0, microsecond=0)
            found[(organization, agent, kind, "hour", hour, value)] += 1
            found[(organization, agent, kind, "day", hour.replace(hour=0), value)] += 1
    return dict(found)


def all_entries() -> list[AuditEntry]:
    return read_entries(list(Entry.objects.order_by("leaf_index")))


def _facts(entry: AuditEntry) -> Iterator[tuple[str, str, str, str]]:
    content = entry.content
    agent = content["agentId"]
    for organization in entry.organization_ids:
        for kind, value, is_of_agent in _of_organization(entry, organization):
            yield organization, "", kind, value
            if is_of_agent:
                yield organization, agent, kind, value


def _of_organization(entry: AuditEntry, organization: str) -> Iterator[tuple[str, str, bool]]:
    content = entry.content
    metadata, scopes = content["metadata"], content["scopes"]
    declined = metadata.get("notGranted")
    if entry.event == "token.verify":
        yield from _of_decision(content, organization)
    elif entry.event == "consent.requested":
        yield "consent", "asked", True
        yield from (("asked", scope, True) for scope in scopes)
    elif entry.event == "consent.approved":
        yield "consent", "partly" if declined else "allowed", True
        yield from (("declined", scope, True) for scope in declined or ())
    elif entry.event == "consent.denied":
        yield "consent", "denied", True
    elif entry.event == "consent.expired" and content["userId"] is None:
        yield "consent", "abandoned", True


def _of_decision(content: dict[str, Any], organization: str) -> Iterator[tuple[str, str, bool]]:
    metadata, outcome = content["metadata"], content["outcome"]
    yield "decision", outcome, True
    yield "agent", f"{content['agentId']} {outcome}", False
    yield from (("scope", f"{outcome} {scope}", True) for scope in content["scopes"])
    if outcome == "denied":
        is_own = content["policyOrganizationId"] == organization
        policy = "user" if "limitedBy" in metadata else content["policyId"] if is_own else None
        rule = f"{content['reason'] or '-'} {policy or '-'} {metadata.get('ruleType', '-')}"
        yield "rule", rule, True
        yield "denial", f"{content['agentId']} {rule}", False
