"""How verify ÷ floor changes with the size of the log, revoked tokens, policies, connections and a cold cache."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import results, rounds, wrk
from benchmarks.log import Log
from benchmarks.machine import CpuMeter, describe
from benchmarks.ratios import say
from benchmarks.rounds import PRODUCT, Protocol, Sample
from benchmarks.seed import Wanted
from benchmarks.stores import Seeded, Store, opened, printed
from benchmarks.targets import running, scripts

CONNECTIONS = 32
CONNECTION_STEPS = (1, 2, 4, 8, 16, 32, 64, 128)
ENTRY_STEPS = (10_000, 100_000, 1_000_000)
POLICY_STEPS = (0, 1, 3, 10, 20)
REVOKED = 100_000
COLD_TOKENS = 32_000


def run(stores: Sequence[str], protocol: Protocol, folder: Path) -> results.Run:
    """Measure each step on each store. Short measurements suffice, because a trend shows over the steps."""
    protocol = replace(protocol, pairs=min(protocol.pairs, 3), warm_up=1, seconds=min(protocol.seconds, 2))
    run = results.start("growth", describe()) | {"protocol": vars(protocol), "points": []}
    for name in stores:
        with opened(name, folder) as store:
            for point in points(store, protocol):
                say(f"{point['what']} {point['to']}: {point['rate']:.0f}/s")
                run["points"].append({"store": name, **point})
    return run


def points(store: Store, protocol: Protocol) -> Iterator[dict[str, Any]]:
    seeded = store.seeded(Wanted())
    yield from connections(store, store.copy(seeded), protocol)
    yield from entries(store, store.copy(seeded), protocol)
    for number in POLICY_STEPS:
        yield point("policies", number, store, store.seeded(Wanted(policies=number)), protocol)
    yield point("revoked tokens", REVOKED, store, store.seeded(Wanted(revoked=REVOKED)), protocol)
    yield cold(store, store.seeded(Wanted(tokens=COLD_TOKENS)), protocol)


def connections(store: Store, seeded: Seeded, protocol: Protocol) -> Iterator[dict[str, Any]]:
    for number in CONNECTION_STEPS:
        yield point("connections", number, store, seeded, protocol, number)


def entries(store: Store, seeded: Seeded, protocol: Protocol) -> Iterator[dict[str, Any]]:
    last = 0
    for number in ENTRY_STEPS:
        fill(store, seeded, number - last)
        last = number
        yield point("log entries", number, store, seeded, protocol)


def fill(store: Store, seeded: Seeded, entries: int) -> None:
    """Add entries of other users to the log."""
    printed("benchmarks.pages", json.dumps({"grow": entries}), seeded.database.environment)
    store.tidy(seeded.database)


def point(
    what: str, to: int, store: Store, seeded: Seeded, protocol: Protocol, connections: int = CONNECTIONS
) -> dict[str, Any]:
    """Measure verify and the floor in turn."""
    with running(store, seeded, ("floor",)) as (_, targets):
        written = scripts(targets, store.folder)
        done = rounds.measure(targets, written, Log(seeded.database), store.pids, connections, protocol)
    return describe_point(what, f"{to:,}", rounds.summary(done, protocol))


def cold(store: Store, seeded: Seeded, protocol: Protocol) -> dict[str, Any]:
    """Measure verify with tokens that the server has never seen, each sent once, after a restart."""
    done = []
    with running(store, seeded, ("floor",)) as (server, targets):
        written, log = scripts(targets, store.folder), Log(seeded.database)
        for _ in range(protocol.pairs):
            server.restart()
            sides = {}
            for target in targets:
                cpu = CpuMeter([server.pid] if target.name == PRODUCT else target.pids, store.pids)
                measured = wrk.run(target.url, written[target.name], connections=CONNECTIONS, seconds=2)
                sides[target.name] = Sample(measured, cpu.stop())
            log.expect(sides[PRODUCT].measured.answers)
            if sides[PRODUCT].measured.answers > COLD_TOKENS:
                raise RuntimeError("too few tokens for a cold cache")
            done.append(sides)
    return describe_point("cold cache, tokens", f"{COLD_TOKENS:,}", rounds.summary(done, protocol))


def describe_point(what: str, to: str, found: dict[str, Any]) -> dict[str, Any]:
    verify = found["targets"][PRODUCT]
    figures = {name: verify[name] for name in ("rate", "p50_ms", "p99_ms")}
    return {"what": what, "to": to, "ratio": found["ratios"]["floor"], **figures}
