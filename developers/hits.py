"""What a stop hits, counted before an administrator, a developer or a user makes it.

The models of connections and tokens are in apps above this one, which is the lowest that has something to stop.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.apps import apps
from django.db.models import Count, Q, QuerySet, Value

from audit.proof.stops import (
    EVERYTHING,
    Level,
    agent_level,
    connection_level,
    organization_level,
    person_level,
    recent_use,
)
from audit.readers.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Hits:
    """What a stop hits now. `connections` are live, and `live_tokens` are families that can still yield tokens.

    `allowed_last_day` is how many requests were allowed in the last 24 hours.
    """

    connections: int
    agents: int
    users: int
    live_tokens: int
    allowed_last_day: int
    last_allowed_at: datetime | None


def hits_of_connection(user_id: str, agent_id: str, now: datetime, log: Snapshot | None = None) -> Hits:
    scope = {"user": user_id, "agent": agent_id}
    tokens = {"user": user_id, "application": agent_id}
    return _count(scope, tokens, connection_level(user_id, agent_id), now, log)


def hits_of_user(user_id: str, now: datetime, log: Snapshot | None = None) -> Hits:
    return _count({"user": user_id}, {"user": user_id}, person_level(user_id), now, log)


def hits_of_agent(agent_id: str, now: datetime, log: Snapshot | None = None) -> Hits:
    return _count({"agent": agent_id}, {"application": agent_id}, agent_level(agent_id), now, log)


def hits_of_organization(organization_id: str, now: datetime, log: Snapshot | None = None) -> Hits:
    """Return what stops with the organization's agents. Its services stop, too: the log counts their decisions."""
    scope = {"agent__organization": organization_id}
    tokens = {"application__organization": organization_id}
    return _count(scope, tokens, organization_level(organization_id), now, log)


def hits_of_everything(now: datetime, log: Snapshot | None = None) -> Hits:
    return _count({}, {}, EVERYTHING, now, log)


def total(found: Sequence[Hits]) -> Hits:
    """Return the sum. A user of several agents counts for each, as does an agent of several users."""
    times = [one.last_allowed_at for one in found if one.last_allowed_at]
    return Hits(
        connections=sum(one.connections for one in found),
        agents=sum(one.agents for one in found),
        users=sum(one.users for one in found),
        live_tokens=sum(one.live_tokens for one in found),
        allowed_last_day=sum(one.allowed_last_day for one in found),
        last_allowed_at=max(times, default=None),
    )


def _count(scope: dict[str, Any], tokens: dict[str, Any], level: Level, now: datetime, log: Snapshot | None) -> Hits:
    live = _rows("consent", "Consent").filter(status="approved", expires_at__gt=now, **scope).order_by()
    families = _rows("tokens", "TokenFamily").filter(revoked_at=None, expires_at__gt=now, **tokens)
    is_usable = Q(consent=None) | Q(consent__status="approved", consent__expires_at__gt=now)
    (connections, agents, users), (live_tokens, _, _) = _numbers(live, families.filter(is_usable).order_by())
    use = recent_use(level, now, log)
    return Hits(
        connections=connections,
        agents=agents,
        users=users,
        live_tokens=live_tokens,
        allowed_last_day=use.allowed_last_day,
        last_allowed_at=use.last_allowed_at,
    )


def _numbers(live: QuerySet[Any], families: QuerySet[Any]) -> tuple[Sequence[int], Sequence[int]]:
    """Return the numbers of connections, their agents and users, and of families, by one query."""
    distinct = {"agents": Count("agent", distinct=True), "users": Count("user", distinct=True)}
    connections = live.values(part=Value(0)).annotate(rows=Count("pk"), **distinct)
    tokens = families.values(part=Value(1)).annotate(rows=Count("pk"), agents=Value(0), users=Value(0))
    found = connections.union(tokens, all=True).order_by().values_list("part", "rows", "agents", "users")
    first, second = (numbers for _, *numbers in sorted(found))
    return first, second


def _rows(app: str, model: str) -> QuerySet[Any]:
    rows: QuerySet[Any] = apps.get_model(app, model)._default_manager.all()
    return rows
