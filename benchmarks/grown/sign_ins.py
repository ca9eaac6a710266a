"""The memory of a server process while many people sign in at once."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx

from benchmarks.machine import memory_of
from benchmarks.stores import Seeded, Store
from benchmarks.targets import product
from tests.live.server import LiveServer

AT_ONCE = 64
BODY = {"email": "ada@example.com", "password": "correct-horse-battery-7"}
TIMEOUT = 60
SAMPLE_SECONDS = 0.01


def measure(store: Store, seeded: Seeded) -> dict[str, Any]:
    """Sign in `AT_ONCE` times in parallel, and return the memory of the largest process in MB."""
    with product(store, seeded) as server, httpx.Client(base_url=server.url, timeout=TIMEOUT) as client:
        before = largest(server)
        with watched(server) as sampled, ThreadPoolExecutor(AT_ONCE) as threads:
            began = time.perf_counter()
            statuses = list(
                threads.map(lambda _: client.post("/api/v1/users/login", json=BODY).status_code, range(AT_ONCE))
            )
            seconds = time.perf_counter() - began
        return {
            "at_once": AT_ONCE,
            "signed_in": statuses.count(200),
            "refused": statuses.count(503),
            "seconds": round(seconds, 1),
            "before_mb": round(before),
            "highest_mb": round(max(sampled)),
            "after_mb": round(largest(server)),
        }


def largest(server: LiveServer) -> float:
    return memory_of([server.pid])[0]


@contextmanager
def watched(server: LiveServer) -> Iterator[list[float]]:
    """Sample the memory of the largest process in the meantime."""
    sampled, stopped = [largest(server)], threading.Event()

    def sample() -> None:
        while not stopped.wait(SAMPLE_SECONDS):
            sampled.append(largest(server))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield sampled
    finally:
        stopped.set()
        thread.join()
