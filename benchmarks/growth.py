"""How verify ÷ floor changes with the size of the log."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from benchmarks import results, rounds
from benchmarks.log import Log
from benchmarks.machine import describe
from benchmarks.ratios import say
from benchmarks.rounds import PRODUCT, Protocol
from benchmarks.stores import Open, Seeded, Store, printed
from benchmarks.targets import running, scripts

CONNECTIONS = 32
ENTRY_STEPS = (10_000, 100_000, 1_000_000)


def run(stores: Sequence[str], protocol: Protocol, opened: Open) -> results.Run:
    """Measure each step on each store. Short measurements suffice, because a trend shows over the steps."""
    protocol = replace(protocol, pairs=min(protocol.pairs, 3), warm_up=1, seconds=min(protocol.seconds, 2))
    run = results.start("growth", describe()) | {"protocol": vars(protocol), "points": []}
    for name in stores:
        with opened(name) as store:
            for point in points(store, protocol):
                say(f"{point['what']} {point['to']}: {point['rate']:.0f}/s")
                run["points"].append({"store": name, **point})
    return run


def points(store: Store, protocol: Protocol) -> Iterator[dict[str, Any]]:
    """Add entries of other users to the log, step by step, and measure verify and the floor in turn."""
    seeded, last = store.seeded(), 0
    for number in ENTRY_STEPS:
        printed("benchmarks.pages", json.dumps({"grow": number - last}), seeded.database.environment)
        store.tidy(seeded.database)
        last = number
        yield point(number, store, seeded, protocol)


def point(entries: int, store: Store, seeded: Seeded, protocol: Protocol) -> dict[str, Any]:
    with running(store, seeded, ("floor",)) as (_, targets):
        written = scripts(targets, store.folder)
        done = rounds.measure(targets, written, Log(seeded.database), store.pids, CONNECTIONS, protocol)
    found = rounds.summary(done, protocol)
    figures = {name: found["targets"][PRODUCT][name] for name in ("rate", "p50_ms", "p99_ms")}
    return {"what": "log entries", "to": f"{entries:,}", "ratio": found["ratios"]["floor"], **figures}
