"""Whether verify is as fast while a worker follows the log: verify with it ÷ verify without it, in one run.

The worker is stopped and continued by signals. Before each measurement with it, it routes what it has missed, so that
it follows just what is decided meanwhile.
"""

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from benchmarks import results, rounds
from benchmarks.log import Log
from benchmarks.machine import describe
from benchmarks.ratios import say
from benchmarks.rounds import PRODUCT, Protocol
from benchmarks.stores import Open, Store
from benchmarks.targets import Target, running, scripts
from tests import preloaded
from tests.live.server import Database, full
from tests.waiting import wait_until

# With 8, a core is not busy, and about 2,000 decisions per second are made. With 32, verify takes what it can get.
CONNECTIONS = (8, 32)
ALONE = "alone"
# It is in step with the sequencer.
NEARLY_ALL = 2000
FOLLOW = """
import signal, threading
from events.dispatching import dispatch
stopped = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=stopped.set, daemon=True).start())
dispatch(stopped)
"""


@dataclass(frozen=True)
class Beside(Target):
    """Verify, with the worker stopped or not."""

    worker: int = 0
    database: Database | None = None

    def check(self) -> None:
        os.kill(self.worker, signal.SIGSTOP if self.name == ALONE else signal.SIGCONT)
        if self.database and self.name != ALONE:
            wait_until(lambda: unrouted(self.database) < NEARLY_ALL, seconds=120)  # type: ignore[arg-type]
        super().check()


def run(stores: Sequence[str], protocol: Protocol, opened: Open) -> results.Run:
    run = results.start("following", describe()) | {"protocol": vars(protocol), "points": []}
    for name in stores:
        with opened(name) as store:
            for point in points(store, protocol):
                say(f"{point['connections']} connections: {point['ratio']['rate']}, {point['routed']:.0f} routed/s")
                run["points"].append({"store": name, **point})
    return run


def points(store: Store, protocol: Protocol) -> Iterator[dict[str, Any]]:
    seeded = store.seeded()
    for connections in CONNECTIONS:
        copy = store.copy(seeded)
        with running(store, copy, ()) as (_, (verify,)), worker(store, copy.database) as pid:
            pids = [*verify.pids, pid]
            given = {**vars(verify), "pids": pids, "worker": pid, "database": copy.database}
            beside = Beside(**given)
            targets: list[Target] = [beside, replace(beside, name=ALONE)]
            before, began = routed(copy.database), time.monotonic()
            done = rounds.measure(
                targets, scripts(targets, store.folder), Log(copy.database), store.pids, connections, protocol
            )
            followed = (routed(copy.database) - before) / (time.monotonic() - began)
        found = rounds.summary(done, protocol)
        figures = {name: found["targets"][PRODUCT][name] for name in ("rate", "p50_ms", "p99_ms")}
        yield {"connections": connections, "ratio": found["ratios"][ALONE], "routed": followed, **figures}


@contextmanager
def worker(store: Store, database: Database) -> Iterator[int]:
    """Run what the worker's process for events runs, and yield its id."""
    with (store.folder / "follower.log").open("ab") as log:
        process = preloaded.start(["manage.py", "shell", "-v", "0", "-c", FOLLOW], full(database.environment), log, log)
    try:
        wait_until(lambda: unrouted(database) < NEARLY_ALL, seconds=120)
        yield process.pid
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait(60)


def routed(database: Database) -> int:
    return int(database.rows("SELECT coalesce(max(next_index), 0) FROM events_follower")[0][0])


def unrouted(database: Database) -> int:
    return int(database.rows("SELECT coalesce(max(leaf_index) + 1, 0) FROM audit_entry")[0][0]) - routed(database)
