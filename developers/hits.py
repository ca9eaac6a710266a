"""What a stop hits, counted before an administrator, a developer or a user makes it.

The models of connections and tokens are in apps above this one, which is the lowest that has something to stop. An
agent can have a hundred thousand users, so each has an index that alone answers what is counted here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
    agents: int | None
    users: int | None
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
    return _count(scope, tokens, organization_level(organization_id), now, log, has_several=True)


def hits_of_everything(now: datetime, log: Snapshot | None = None) -> Hits:
    """Return what stops with everything. Neither agents nor users are counted, and both are None."""
    return replace(_count({}, {}, EVERYTHING, now, log), agents=None, users=None)


def total(found: Sequence[Hits]) -> Hits:
    """Return the sum. A user of several agents counts for each, as does an agent of several users."""
    times = [one.last_allowed_at for one in found if one.last_allowed_at]
    return Hits(
        connections=sum(one.connections for one in found),
        agents=sum(one.agents or 0 for one in found),
        users=sum(one.users or 0 for one in found),
        live_tokens=sum(one.live_tokens for one in found),
        allowed_last_day=sum(one.allowed_last_day for one in found),
        last_allowed_at=max(times, default=None),
    )


def _count(
    scope: dict[str, Any],
    tokens: dict[str, Any],
    level: Level,
    now: datetime,
    log: Snapshot | None,
    *,
    has_several: bool = False,
) -> Hits:
    """Return what a stop of this scope hits. `has_several` says that it has several agents and several users.

    Otherwise a connection is the only one of its user or of its agent, so neither has to be counted.
    """
    live = _rows("consent", "Consent").filter(status="approved", expires_at__gt=now, **scope).order_by()
    families = _rows("tokens", "TokenFamily").filter(revoked_at=None, expires_at__gt=now, **tokens)
    usable = families.filter(Q(consent=None) | Q(consent__in=live.values("pk"))).order_by()
    (connections, agents, users), (live_tokens, _, _) = _numbers(live, usable, has_several=has_several)
    use = recent_use(level, now, log)
    return Hits(
        connections=connections,
        agents=agents if has_several else min(connections, 1) if "agent" in scope else connections,
        users=users if has_several else min(connections, 1) if "user" in scope else connections,
        live_tokens=live_tokens,
        allowed_last_day=use.allowed_last_day,
        last_allowed_at=use.last_allowed_at,
    )


def _numbers(live: QuerySet[Any], families: QuerySet[Any], *, has_several: bool) -> tuple[Sequence[int], Sequence[int]]:
    """Return the numbers of connections, their agents and users, and of families, by one query."""
    none = {"agents": Value(0), "users": Value(0)}
    distinct = {"agents": Count("agent", distinct=True), "users": Count("user", distinct=True)}
    connections = live.values(part=Value(0)).annotate(rows=Count("*"), **(distinct if has_several else none))
    tokens = families.values(part=Value(1)).annotate(rows=Count("*"), **none)
    found = connections.union(tokens, all=True).order_by().values_list("part", "rows", "agents", "users")
    numbers = {part: counts for part, *counts in found}
    return numbers.get(0, (0, 0, 0)), numbers.get(1, (0, 0, 0))


def _rows(app: str, model: str) -> QuerySet[Any]:
    rows: QuerySet[Any] = apps.get_model(app, model)._default_manager.all()
    return rows
