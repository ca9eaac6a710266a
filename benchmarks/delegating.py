"""What a chain of agents costs: verify of tokens without a delegation ÷ verify with one, or with three, in one run."""

from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks import results, rounds
from benchmarks.log import Log
from benchmarks.machine import describe
from benchmarks.ratios import say
from benchmarks.rounds import Protocol
from benchmarks.stores import Open, Store
from benchmarks.targets import is_allowed, of_product, running, scripts, verify_load

DEPTHS = (1, 3)
CONNECTIONS = (8, 32)


def run(stores: Sequence[str], protocol: Protocol, opened: Open) -> results.Run:
    run = results.start("delegating", describe()) | {"protocol": vars(protocol), "blocks": []}
    for name in stores:
        with opened(name) as store:
            for block in blocks(store, protocol):
                say(f"{name}, {block['connections']} connections: {block['ratios']}")
                run["blocks"].append(block)
    return run


def blocks(store: Store, protocol: Protocol) -> Iterator[dict[str, Any]]:
    seeded = store.seeded(depth=max(DEPTHS))
    for connections in CONNECTIONS:
        copy = store.copy(seeded)
        with running(store, copy, ()) as (server, targets):
            for depth in DEPTHS:
                given = {**copy.given, "tokens": copy.given["delegated"][depth - 1]}
                targets.append(of_product(name_of(depth), server, verify_load(given), is_allowed))
            log = Log(copy.database)
            done = rounds.measure(targets, scripts(targets, store.folder), log, store.pids, connections, protocol)
        yield {"store": store.name, "connections": connections, **rounds.summary(done, protocol)}


def name_of(depth: int) -> str:
    return f"depth {depth}"
