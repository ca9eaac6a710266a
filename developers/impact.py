"""The impact of a stop, counted before an administrator, a developer or a user makes it.

An agent can have a hundred thousand users, so each model has an index that alone answers what is counted of it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from audit.proof.stops import (
    EVERYTHING,
    Level,
    agent_level,
    agents_of,
    connection_level,
    person_level,
    recent_use,
)
from audit.readers.criteria import Criteria
from audit.readers.snapshot import Snapshot
from developers.signals import impact_counted


class Reach(NamedTuple):
    """What a stop covers: what belongs to all of these that are not None, or everything."""

    user_id: str | None = None
    agent_id: str | None = None
    organization_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Impact:
    """What a stop ends now. `connections` are live, and `live_tokens` are families that can still yield tokens.

    `delegations` is what agents have handed over, and what was handed on from there. `allowed_last_day` is how many
    requests were allowed in the last 24 hours.
    """

    connections: int
    agents: int | None
    users: int | None
    live_tokens: int
    delegations: int
    allowed_last_day: int
    last_allowed_at: datetime | None


def impact_on_connection(user_id: str, agent_id: str, now: datetime, log: Snapshot | None = None) -> Impact:
    return _count(Reach(user_id=user_id, agent_id=agent_id), connection_level(user_id, agent_id), now, log)


def impact_on_user(user_id: str, now: datetime, log: Snapshot | None = None) -> Impact:
    return _count(Reach(user_id=user_id), person_level(user_id), now, log)


def impact_on_agent(agent_id: str, now: datetime, log: Snapshot | None = None) -> Impact:
    return _count(Reach(agent_id=agent_id), agent_level(agent_id), now, log)


def impact_on_organization(organization_id: str, now: datetime, log: Snapshot | None = None) -> Impact:
    """Return what stops with the organization's agents. Its services stop, too: the log counts their decisions."""
    level = Level(Criteria(organization_id=organization_id), {})
    return _count(Reach(organization_id=organization_id), level, now, log)


def impact_on_agents(
    organization_id: str, agent_ids: Collection[str], now: datetime, log: Snapshot | None = None
) -> Impact:
    """Return what stops when the organization stops its agents, which have these ids. Its services go on."""
    return _count(Reach(organization_id=organization_id), Level(agents_of(organization_id, agent_ids), {}), now, log)


def impact_on_everything(now: datetime, log: Snapshot | None = None) -> Impact:
    """Return what stops with everything. Neither agents nor users are counted, and both are None."""
    return _count(Reach(), EVERYTHING, now, log)


def total(found: Sequence[Impact]) -> Impact:
    """Return the sum. A user of several agents counts for each, as does an agent of several users."""
    times = [one.last_allowed_at for one in found if one.last_allowed_at]
    return Impact(
        connections=sum(one.connections for one in found),
        agents=sum(one.agents or 0 for one in found),
        users=sum(one.users or 0 for one in found),
        live_tokens=sum(one.live_tokens for one in found),
        delegations=sum(one.delegations for one in found),
        allowed_last_day=sum(one.allowed_last_day for one in found),
        last_allowed_at=max(times, default=None),
    )


def _count(reach: Reach, level: Level, now: datetime, log: Snapshot | None) -> Impact:
    answers: Sequence[tuple[Any, Any]] = impact_counted.send(sender=Impact, reach=reach, now=now)
    counts = {name: number for _, counted in answers for name, number in counted.items()}
    return Impact(**counts, **recent_use(level, now, log)._asdict())
