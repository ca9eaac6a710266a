"""Blocks of a run: one store and one number of connections, with the product and its references in turn."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks import rounds
from benchmarks.log import Log
from benchmarks.machine import fdatasync_p50, memory_of
from benchmarks.rounds import Protocol
from benchmarks.stores import Seeded, Store
from benchmarks.targets import REFERENCES, running, scripts
from tests.live.server import LiveServer

# The goals at 8 and 128 connections concern the floor alone.
ALL_REFERENCES_AT = 32


@dataclass(frozen=True)
class Plan:
    """What to measure. `references` of None means all of them at 32 connections, and else the floor."""

    connections: Sequence[int] = (8, 32, 128)
    references: Sequence[str] | None = None
    protocol: Protocol = field(default_factory=Protocol)

    def references_at(self, connections: int) -> Sequence[str]:
        if self.references is not None:
            return self.references
        return tuple(REFERENCES) if connections == ALL_REFERENCES_AT else ("floor",)


def measure(store: Store, plan: Plan) -> list[dict[str, Any]]:
    """Return a block for each number of connections. Each begins with a fresh copy of the database."""
    seeded = store.seeded()
    return [block(store, store.copy(seeded), plan, connections) for connections in plan.connections]


def block(store: Store, seeded: Seeded, plan: Plan, connections: int) -> dict[str, Any]:
    say(f"{store.name}, {connections} connections")
    with running(store, seeded, plan.references_at(connections)) as (server, targets):
        log, written = Log(seeded.database), scripts(targets, store.folder)
        done = rounds.measure(targets, written, log, store.pids, connections, plan.protocol)
        return {**circumstances(store, server, log, connections), **rounds.summary(done, plan.protocol)}


def circumstances(store: Store, server: LiveServer, log: Log, connections: int) -> dict[str, Any]:
    """Return what to know about a block, after its measurements."""
    return {
        "store": store.name,
        "workers": store.processes,
        "connections": connections,
        "fdatasync_p50_ms": round(fdatasync_p50(store.disk), 3),
        "answers": log.answers,
        "entries": log.entries,
        "drain_seconds": round(log.drain_seconds, 2),
        "memory_mb": [round(size) for size in memory_of([server.pid])],
    }


def say(text: str) -> None:
    """Print a line of progress."""
    print(f"bench: {text}", file=sys.stderr, flush=True)  # noqa: T201
