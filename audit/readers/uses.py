"""The uses of connections: their allowed verifies, in all and by scope, wherever the use is written.

The cost does not depend on the length of the log: the heads of streams have the counts, and only the entries since they
were saved are read.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Self

from django.db.models import BigIntegerField, DateTimeField, Value
from django.db.models.functions import Cast

from audit.events import Event, Outcome
from audit.models import Entry, Progress, Stream
from audit.readers.waiting import waiting_entries
from audit.sequencing.streams import MAX_SCOPES, decode_uses

NEVER = Cast(Value(None), DateTimeField())
NO_SIZE = Value(0, BigIntegerField())


class ScopeUse(NamedTuple):
    """How many uses required a scope, and when the last of them was."""

    number: int
    last_at: datetime

    def plus(self, other: "ScopeUse | None") -> "ScopeUse":
        return ScopeUse(self.number + other.number, max(self.last_at, other.last_at)) if other else self


@dataclass(frozen=True, slots=True)
class Uses:
    """When a connection was last used, or None, and the uses of each scope. Unused scopes are omitted.

    `is_complete` is false if it used more scopes than are counted.
    """

    last_at: datetime | None = None
    scopes: Mapping[str, ScopeUse] = field(default_factory=dict)
    is_complete: bool = True

    def plus(self, other: Self) -> "Uses":
        """Return the uses of both."""
        times = [at for at in (self.last_at, other.last_at) if at]
        scopes = {scope: use.plus(other.scopes.get(scope)) for scope, use in self.scopes.items()}
        return Uses(max(times, default=None), {**other.scopes, **scopes}, self.is_complete and other.is_complete)


class _Use(NamedTuple):
    entry_id: str
    consent_id: str
    uses: Uses


def find_uses(consent_ids: Collection[str]) -> dict[str, Uses]:
    """Return the uses of each consent. Unused ones are omitted."""
    # The sequencer moves entries from the journal to the log, and from there into the heads. All heads are read as of
    # one size. What they lack is in the journal, or in the log by the time that it is read, or was in both.
    size, found = _saved(consent_ids)
    waiting = _waiting(consent_ids)
    newer = {use.entry_id: use for use in [*waiting, *_unsaved(consent_ids, size)]}
    for use in newer.values():
        found[use.consent_id] = found.get(use.consent_id, Uses()).plus(use.uses)
    return found


def _saved(consent_ids: Collection[str]) -> tuple[int, dict[str, Uses]]:
    """Return the saved uses, and the size of the log up to which they count, read at one moment."""
    heads = Stream.objects.filter(pk__in=consent_ids).exclude(used_at=None)
    progress = Progress.objects.filter(id=1).values_list(Value(""), NEVER, Value(""), "streams_size")
    size, found = 0, {}
    for consent_id, used_at, uses, saved in heads.values_list("id", "used_at", "uses", NO_SIZE).union(
        progress, all=True
    ):
        if not consent_id:
            size = saved
            continue
        scopes = {scope: ScopeUse(*use) for scope, use in decode_uses(uses).items()}
        found[consent_id] = Uses(used_at, scopes, len(scopes) < MAX_SCOPES)
    return size, found


def _waiting(consent_ids: Collection[str]) -> Iterator[_Use]:
    """Yield the uses in the journal."""
    for entry in waiting_entries():
        content = entry.content
        is_use = (content["event"], content["outcome"]) == (Event.TOKEN_VERIFY, Outcome.ALLOWED)
        if is_use and content["consentId"] in consent_ids:
            at = datetime.fromisoformat(content["timestamp"])
            yield _Use(entry.id, content["consentId"], _once(at, content["scopes"]))


def _unsaved(consent_ids: Collection[str], size: int) -> Iterator[_Use]:
    """Yield the uses in those entries of the log that the heads do not count."""
    entries = Entry.objects.filter(leaf_index__gte=size, consent_id__in=consent_ids)
    for entry in entries.filter(event=Event.TOKEN_VERIFY, outcome=Outcome.ALLOWED).order_by():
        yield _Use(entry.id, entry.consent_id, _once(entry.timestamp, entry.scopes))


def _once(at: datetime, scopes: Collection[str]) -> Uses:
    return Uses(at, {scope: ScopeUse(1, at) for scope in scopes})
