"""Stops in the admin site, in lines of text: what one hits, and what the log says about it afterwards."""

from collections.abc import Callable, Sequence
from datetime import datetime

from audit.proof.stops import Level, StopProof, prove_stop
from audit.readers.snapshot import Snapshot, take_snapshot
from core import clock
from core.administration import counted
from developers.hits import Hits, total

# What a row hits takes a few queries of the log.
MAX_COUNTED = 20


def lines_of_rows(ids: Sequence[str], count: Callable[[str, datetime, Snapshot], Hits]) -> list[str]:
    """Return what a stop of these rows hits, together. Many rows are not counted."""
    if len(ids) > MAX_COUNTED:
        return [f"Select at most {MAX_COUNTED} to see what they were allowed in the last 24 hours."]
    now, log = clock.now(), take_snapshot()
    return lines_of_hits(total([count(one, now, log) for one in ids]))


def lines_of_hits(hits: Hits) -> list[str]:
    requests = counted(hits.allowed_last_day, "request", "requests")
    last = f"{hits.last_allowed_at:%Y-%m-%d %H:%M:%S} UTC" if hits.last_allowed_at else "never"
    return [
        counted(hits.connections, "live connection", "live connections"),
        counted(hits.live_tokens, "live token family", "live token families"),
        f"{requests} allowed in the last 24 hours, the last: {last}",
    ]


def lines_of_proof(level: Level, log: Snapshot | None = None) -> list[str]:
    """Return what the log says about the newest stop at this level. Return no lines if there was none."""
    proof = prove_stop(level, log)
    return [] if proof is None else _describe(proof)


def _describe(proof: StopProof) -> list[str]:
    last = proof.last_allowed
    before = f"{last.id}, {_moment(last.timestamp)}, {_place(last.index)}" if last else "none"
    until = _moment(proof.lifted_at) if proof.lifted_at else "now"
    return [
        f"In force since {_moment(proof.stopped_at)}: {proof.entry_id}, {_place(proof.index)}",
        f"Last allowed decision before it: {before}",
        f"Allowed decisions after it, until {until}: {proof.allowed_after}",
    ]


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _place(index: int | None) -> str:
    return "waiting in the journal" if index is None else f"index {index} in the log"
