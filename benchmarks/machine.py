"""What the machine did during a measurement: CPU of each group of processes, foreign CPU, and the speed of its disk."""

import os
import platform
import statistics
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

SYNC_BYTES = 8192


@dataclass(frozen=True)
class Usage:
    """CPU during a measurement, in cores. `foreign` was used by processes that have no part in it."""

    server: float
    sequencer: float
    database: float
    load: float
    foreign: float


class CpuMeter:
    """Measures CPU from its creation to `stop`. Each group is a list of process ids with all their children.

    The sequencers are children of the server, but are counted apart.
    """

    def __init__(self, server: Iterable[int], sequencer: Iterable[int], database: Iterable[int]) -> None:
        self._groups = (list(server), list(sequencer), list(database))
        self._before = self._read()

    def stop(self) -> Usage:
        elapsed, server, sequencer, database, load, everything = (
            after - before for after, before in zip(self._read(), self._before, strict=True)
        )
        foreign = everything - server - database - load
        parts = (server - sequencer, sequencer, database, load, foreign)
        return Usage(*(max(0.0, seconds) / elapsed for seconds in parts))

    def _read(self) -> tuple[float, ...]:
        groups = (sum(_tree_seconds(pid) for pid in group) for group in self._groups)
        own = sum(psutil.Process().cpu_times()[:4])  # with the load generator, which has ended
        whole = psutil.cpu_times()
        # Processes are also charged for soft interrupts, so counting those here would count them twice.
        everything = whole.user + whole.nice + whole.system + getattr(whole, "steal", 0.0)
        return time.monotonic(), *groups, own, everything


def _tree_seconds(pid: int) -> float:
    """Return the CPU seconds of a process and its children, including children that have ended."""
    total = 0.0
    with suppress(psutil.NoSuchProcess):
        parent = psutil.Process(pid)
        for each in (parent, *parent.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                total += sum(each.cpu_times()[:4])
    return total


def memory_of(pids: Iterable[int]) -> list[float]:
    """Return the resident memory in MB of these processes and their children, largest first."""
    found = []
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            parent = psutil.Process(pid)
            found += [each.memory_info().rss / 1e6 for each in (parent, *parent.children(recursive=True))]
    return sorted(found, reverse=True)


def fdatasync_p50(folder: Path, times: int = 200) -> float:
    """Return the median time of a durable write of 8 KB in this folder, in milliseconds."""
    path = folder / "fdatasync"
    path.write_bytes(bytes(SYNC_BYTES * times))
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.fsync(descriptor)
        return statistics.median(_sync_seconds(descriptor, number) for number in range(times)) * 1000
    finally:
        os.close(descriptor)
        path.unlink()


def _sync_seconds(descriptor: int, number: int) -> float:
    os.pwrite(descriptor, os.urandom(SYNC_BYTES), number * SYNC_BYTES)
    began = time.perf_counter()
    os.fdatasync(descriptor)
    return time.perf_counter() - began


def describe() -> dict[str, object]:
    """Return what identifies the machine, without its name."""
    model = ""
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return {
        "cores": os.cpu_count(),
        "processor": model or platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }
