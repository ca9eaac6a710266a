"""Exports of a stream as evidence: JSON Lines that prove to their reader that nothing is missing or changed.

An export ends with an entry of its own, which the stream numbers like all others, so a cut tail shows
(docs/evidence-formats.md).
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import batched, chain

import orjson
from django.db import transaction
from django.utils.translation import gettext_noop

from audit.condition import damaged_rows
from audit.entries.drafts import Draft
from audit.entries.records import decode_opening
from audit.models import Checkpoint, Entry, Segment
from audit.proof.evidence import FindVisible, collect_evidence
from audit.proof.members import CONNECTION, PERSON, Stream
from audit.proof.proofs import Tree, encode_proof
from audit.sequencing.log import complete_segments
from audit.sequencing.postings import SEGMENT
from audit.services import record
from audit.signing import checkpoints
from audit.signing.log_keys import signer
from core import clock
from core.clock import rfc3339
from core.errors import Unavailable

FORMAT = "agentgate-audit-export/1"
WAIT_SECONDS = 3.0
# The part of that wait that may go to the signature of a witness.
COSIGNATURE_SECONDS = 1.0
# Each waits in one of the few threads that serve all requests but decisions.
MAX_WAITING = 2
PAUSE_SECONDS = 0.05
ENTRIES_PER_PIECE = 500

_places = threading.BoundedSemaphore(MAX_WAITING)


class NotCovered(Unavailable):
    """No checkpoint covers the export's own entry in time: the sequencer is late, does not run, or others wait too."""

    code = "checkpoint_late"
    title = gettext_noop("The log has no checkpoint yet that covers this export")
    remedy = "Try again after the number of seconds in Retry-After. Without a running sequencer it does not help."
    retry_after = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """The moments from `since`, inclusive, to `until`, exclusive. None is unlimited."""

    since: datetime | None = None
    until: datetime | None = None

    @property
    def is_unlimited(self) -> bool:
        return self.since is None and self.until is None

    def has(self, entry: Entry) -> bool:
        return not self.is_before(entry) and not self.is_after(entry)

    def is_before(self, entry: Entry) -> bool:
        """Return whether the entry is older."""
        return self.since is not None and entry.timestamp < self.since

    def is_after(self, entry: Entry) -> bool:
        return self.until is not None and entry.timestamp >= self.until


@dataclass(frozen=True, slots=True)
class Export:
    """An export that has its own entry, `last`, and a checkpoint that covers it."""

    stream: Stream
    period: Period
    find_visible: FindVisible
    last: Entry
    size: int
    note: str
    created_at: datetime

    def pieces(self) -> Iterator[bytes]:
        """Yield the lines, many at a time. Raises `MissingEntry` or `MissingTile` if the log is incomplete."""
        yield orjson.dumps(self._header()) + b"\n"
        tree = Tree(self.size)
        for entries in batched(self._entries(), ENTRIES_PER_PIECE):
            yield self._prove(tree, entries)
        yield orjson.dumps(self._footer()) + b"\n"

    def _header(self) -> dict[str, object]:
        since, until = self.period.since, self.period.until
        return {
            "format": FORMAT,
            "key": signer().verifier_key,
            "stream": {"kind": self.stream.kind, "id": self.stream.id},
            "from": rfc3339(since) if since else None,
            "to": rfc3339(until) if until else None,
            "createdAt": rfc3339(self.created_at),
        }

    def _footer(self) -> dict[str, object]:
        number = number_in(self.stream, self.last)
        return {"checkpoint": self.note, "stream": {"kind": self.stream.kind, "id": self.stream.id, "number": number}}

    def _entries(self) -> Iterable[Entry]:
        low, high = find_bounds(self.stream, self.period, self.last)
        end = self.last.leaf_index
        entries = self.stream.ascending(low, min(high, end))
        return entries if high >= end else chain(entries, [self.last])

    def _prove(self, tree: Tree, entries: Sequence[Entry]) -> bytes:
        tree.prepare(entry.leaf_index for entry in entries)
        proven = [
            {**one.described(), "proof": encode_proof(tree.inclusion_proof(one.index))}
            for one in collect_evidence(entries, self.find_visible)
        ]
        return b"".join([orjson.dumps(one, option=orjson.OPT_APPEND_NEWLINE) for one in proven])


def begin_export(*, stream: Stream, period: Period, draft: Draft, find_visible: FindVisible) -> Export:
    """Log the export by `draft`, whose entry is part of the stream, and wait until a checkpoint covers it.

    Raises `NotCovered` after `WAIT_SECONDS`, and the entry stays in the log, or at once and without an entry if
    `MAX_WAITING` others wait in this process. Call this outside any transaction.
    """
    now = clock.now()
    with _place_to_wait():
        with transaction.atomic():
            entry_id = record(draft._replace(metadata=_metadata(stream, period)))
        last, checkpoint = _wait_until_covered(entry_id)
    note = checkpoints.with_cosignatures(checkpoint)
    return Export(stream, period, find_visible, last, checkpoint.size, note, now)


def number_in(stream: Stream, entry: Entry) -> int:
    """Return the number of an entry in one of its streams."""
    numbers = decode_opening(entry.opening)[1]
    if stream.kind == CONNECTION and numbers.totals:
        return numbers.totals.number
    return numbers.plain[-1 if stream.kind == PERSON else entry.organization_ids.index(stream.id)]


def find_bounds(stream: Stream, period: Period, last: Entry) -> tuple[int, int]:
    """Return the indexes of the first and the last entry of an export, apart from its own entry.

    They are those in the period with one neighbor on each side, which shows that no entry of the period is missing.
    Timestamps do not ascend strictly, so a neighbor is only one that is really outside.
    """
    end = last.leaf_index
    if period.is_unlimited:
        return 0, end
    inside = filter(period.has, _candidates(stream, period, end))
    first = latest = next(inside, None)
    for latest in inside:  # noqa: B007  the last one is needed
        pass
    if first is None:
        first = latest = next((entry for entry in _not_older(stream, period, end) if period.is_after(entry)), last)
    return _neighbor_before(stream, period, first), _neighbor_after(stream, period, latest or first, end)


def _candidates(stream: Stream, period: Period, end: int) -> Iterator[Entry]:
    """Yield the stream's entries in the segments that overlap with the period, and those after all segments."""
    tail = complete_segments() * SEGMENT
    yield from stream.ascending(_start(period), min(_stop(period), tail - 1, end), is_brief=True)
    yield from stream.ascending(tail, end, is_brief=True)


def _not_older(stream: Stream, period: Period, end: int) -> Iterator[Entry]:
    return (each for each in stream.ascending(_start(period), end, is_brief=True) if not period.is_before(each))


def _start(period: Period) -> int:
    """Return an index before which all entries are older than the period."""
    if period.since is None:
        return 0
    found = Segment.objects.filter(latest__gte=period.since).order_by("number").first()
    return (found.number if found else complete_segments()) * SEGMENT


def _stop(period: Period) -> int:
    """Return the last index of the segments that can have entries of the period."""
    found = Segment.objects.all() if period.until is None else Segment.objects.filter(earliest__lt=period.until)
    newest = found.order_by("-number").first()
    return (newest.number + 1) * SEGMENT - 1 if newest else -1


def _neighbor_before(stream: Stream, period: Period, first: Entry) -> int:
    if period.since is None:
        return 0
    older = filter(period.is_before, stream.descending(first.leaf_index - 1))
    return next((entry.leaf_index for entry in older), 0)


def _neighbor_after(stream: Stream, period: Period, latest: Entry, end: int) -> int:
    if period.until is None:
        return end
    later = filter(period.is_after, stream.ascending(latest.leaf_index, end, is_brief=True))
    return next((entry.leaf_index for entry in later), end)


def _metadata(stream: Stream, period: Period) -> dict[str, str | int]:
    """Return what the export's own entry says: what was asked for, and whether the log is incomplete.

    It says so there, and not in a line beside the entries, because it cannot be taken out of the log.
    """
    moments, damaged = {"from": period.since, "to": period.until}, len(damaged_rows())
    return {
        "stream": stream.kind,
        **{name: rfc3339(moment) for name, moment in moments.items() if moment},
        **({"damagedRows": damaged} if damaged else {}),
    }


@contextmanager
def _place_to_wait() -> Iterator[None]:
    """Take one of the places of this process. Raises `NotCovered` if there is none."""
    if not _places.acquire(blocking=False):
        raise NotCovered("Other exports wait for a checkpoint already, so this one has not begun.")
    try:
        yield
    finally:
        _places.release()


def _wait_until_covered(entry_id: str) -> tuple[Entry, Checkpoint]:
    """Return the entry and a checkpoint that covers it, cosigned if witnesses sign in time. Raises `NotCovered`."""
    deadline = time.monotonic() + WAIT_SECONDS
    covered = _find_until(deadline, entry_id, checkpoints.latest)
    if covered is None:
        raise NotCovered(f"The sequencer has not signed a checkpoint within {WAIT_SECONDS:.0f} seconds.")
    patience = min(deadline, time.monotonic() + COSIGNATURE_SECONDS)
    return _find_until(patience, entry_id, checkpoints.published) or covered


def _find_until(
    deadline: float, entry_id: str, find: Callable[[], Checkpoint | None]
) -> tuple[Entry, Checkpoint] | None:
    """Return the entry and the checkpoint, once the one that is found covers it, or None after the deadline."""
    while True:
        is_late = time.monotonic() >= deadline
        checkpoint = find()
        entry: Entry | None = Entry.objects.filter(pk=entry_id).first() if checkpoint else None
        if checkpoint and entry and entry.leaf_index < checkpoint.size:
            return entry, checkpoint
        if is_late:
            return None
        pause(PAUSE_SECONDS)


def pause(seconds: float) -> None:
    time.sleep(seconds)
