"""The recent use that a stop would end, and the proof that a stop held: from the log, so both show what happened."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import NamedTuple

from audit.events import Event, Outcome
from audit.readers.criteria import Criteria
from audit.readers.reading import read_entry
from audit.readers.search import find_entry
from audit.readers.snapshot import Located, Snapshot, take_snapshot
from audit.signing import checkpoints

DAY = timedelta(days=1)
REASON = "pauseReason"
# No agent has this id. Without any ids, a search would not ask for the agent at all.
NO_AGENTS = "-"


class Level(NamedTuple):
    """Whom a stop denies: the entries of `scope`. `lifts` has its events, each with those that end it.

    A stop with one of the events in `narrower` denies only these entries.
    """

    scope: Criteria
    lifts: Mapping[Event, Sequence[Event]]
    narrower: Mapping[str, Criteria] = MappingProxyType({})


class Use(NamedTuple):
    """How many requests were allowed in the last day, and when one was allowed last."""

    allowed_last_day: int
    last_allowed_at: datetime | None


@dataclass(frozen=True, slots=True)
class StopProof:
    """What the log says about a stop. Entries are before or after it by their places in the log, not by their times.

    `index` is None while its entry is in the journal. `allowed_after` counts the allowed decisions behind the entry, up
    to the one that lifted the stop, if any. It is 0 unless something is wrong. `lifted_at` is None while the stop is in
    force.
    """

    stopped_at: datetime
    entry_id: str
    index: int | None
    event: str
    reason: str | None
    last_allowed: Located | None
    allowed_after: int
    lifted_at: datetime | None

    @property
    def checkpoint(self) -> str | None:
        """The note of a checkpoint that covers the entry, or None if there is none yet."""
        return None if self.index is None else checkpoints.note_covering(self.index)


def connection_level(user_id: str, agent_id: str) -> Level:
    """Return the level of a connection, whichever consents it has had. The pause ends with the connection."""
    ends = (Event.AGENT_RESUMED, Event.CONSENT_REVOKED, Event.CONSENT_EXPIRED)
    return Level(Criteria(user_id=user_id, agent_id=agent_id), {Event.AGENT_PAUSED: ends})


def person_level(user_id: str) -> Level:
    return Level(Criteria(user_id=user_id), {Event.AGENTS_PAUSED: (Event.AGENTS_RESUMED,)})


def agent_level(agent_id: str) -> Level:
    """Return the level of an agent, which its developer suspends and an administrator stops."""
    lifts = {
        Event.AGENT_SUSPENDED: (Event.AGENT_REACTIVATED,),
        Event.AGENT_STOPPED: (Event.AGENT_STOP_LIFTED,),
    }
    return Level(Criteria(agent_id=agent_id), lifts)


def agents_of(organization_id: str, agent_ids: Collection[str]) -> Criteria:
    """Return the criteria for what these agents of an organization do, and not for what its services are asked."""
    return Criteria(organization_id=organization_id, agent_ids=agent_ids or {NO_AGENTS})


def organization_level(organization_id: str, agent_ids: Collection[str]) -> Level:
    """Return the level of an organization, which an administrator suspends and its own members stop or delete.

    Their stop denies its agents, which have the `agent_ids`, but not other organizations' agents at its services.
    """
    lifts = {
        Event.ORGANIZATION_SUSPENDED: (Event.ORGANIZATION_REACTIVATED,),
        Event.ORGANIZATION_STOPPED: (Event.ORGANIZATION_RESUMED,),
        Event.ORGANIZATION_DELETION_STARTED: (Event.ORGANIZATION_RESTORED,),
    }
    own: dict[str, Criteria] = {Event.ORGANIZATION_STOPPED: agents_of(organization_id, agent_ids)}
    return Level(Criteria(organization_id=organization_id), lifts, own)


EVERYTHING = Level(Criteria(), {Event.EVERYTHING_STOPPED: (Event.EVERYTHING_STOP_LIFTED,)})


def recent_use(level: Level, now: datetime, log: Snapshot | None = None) -> Use:
    """Return what a stop at this level would have denied."""
    log, uses = log or take_snapshot(), _uses(level.scope)
    last = next(log.newest_first(uses), None)
    return Use(log.count(replace(uses, since=now - DAY)), last.timestamp if last else None)


def prove_stop(level: Level, log: Snapshot | None = None) -> StopProof | None:
    """Return what the log says about a stop at this level: the newest in force or, if none is, the newest.

    Return None if there was none.
    """
    log = log or take_snapshot()
    stops = [found for event in level.lifts if (found := _find_stop(log, level, event))]
    if not stops:
        return None
    stop, lift = max(stops, key=lambda found: (found[1] is None, found[0].place))
    uses = _uses(level.narrower.get(stop.event, level.scope))
    event, reason = _read(stop.id)
    return StopProof(
        stopped_at=stop.timestamp,
        entry_id=stop.id,
        index=stop.index,
        event=event,
        reason=reason,
        last_allowed=next(log.newest_first(uses, below=stop.place), None),
        allowed_after=log.count(uses, stop.place + 1, lift.place if lift else None),
        lifted_at=lift.timestamp if lift else None,
    )


def _uses(scope: Criteria) -> Criteria:
    return replace(scope, event=Event.TOKEN_VERIFY, outcome=Outcome.ALLOWED)


def _find_stop(log: Snapshot, level: Level, event: Event) -> tuple[Located, Located | None] | None:
    """Return the newest stop with this event, and the entry that lifted it, if any: the first one behind it."""
    lift = None
    for found in log.newest_first(replace(level.scope, events=(event, *level.lifts[event]))):
        if found.event == event:
            return found, lift
        lift = found
    return None


def _read(entry_id: str) -> tuple[str, str | None]:
    """Return the event and the stated reason of a stop's entry."""
    found = find_entry(Criteria(), entry_id)
    if found is None:
        raise LookupError(f"{entry_id} is missing.")
    entry = read_entry(found)
    return entry.event, entry.personal.get(REASON) or entry.content["metadata"].get("reason")
