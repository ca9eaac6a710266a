"""Run all tests and print a summary. `./dev test` without arguments runs this module."""

import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.constants import FOLDERS_WITH_SERVERS
from tests.results import left_out_line

CORES = os.cpu_count() or 1
# One process more than there are cores, because tests wait for the disk.
PARALLEL = ["-n", str(min(4, CORES + 1))]
# Collecting the tests of the other parts, too, would take each process seconds.
SERVER_FOLDERS = [f"tests/{folder}" for folder in FOLDERS_WITH_SERVERS]
OTHERS = [f"--ignore={folder}" for folder in SERVER_FOLDERS]
LEFT_TO_SOAK = "soak or elsewhere"
# Importing it takes each process a second. The tests that use it run its program.
WITHOUT_PLUGIN = ["-p", "no:schemathesis"]
# These tests often wait for a server, so two more processes than cores are faster.
WITH_SERVERS = ["-n", str(min(6, CORES + 2)), "--dist", "loadgroup", "--no-loadscope-reorder", *WITHOUT_PLUGIN]
POSTGRESQL = ["--store=postgresql", *WITHOUT_PLUGIN]
IN_PROCESS = f"not (live or browser or {LEFT_TO_SOAK})"
# What a file has, or the conftest.py beside it, if `tests/stores.py` assigns some of its tests to PostgreSQL.
ON_POSTGRESQL = re.compile(r"transaction=|transactional_db|mark\.(postgresql|alone)")


def files_on_postgresql() -> list[str]:
    """Return the files whose tests run on PostgreSQL, because collecting the others would take each process seconds."""
    files = [file for file in sorted(Path("tests").rglob("test_*.py")) if not str(file).startswith((*SERVER_FOLDERS,))]
    return [str(file) for file in files if _mentions(file) or _mentions(file.with_name("conftest.py"))]


def _mentions(file: Path) -> bool:
    return file.exists() and ON_POSTGRESQL.search(file.read_text()) is not None


PARTS = {
    "SQLite": [*OTHERS, "-m", IN_PROCESS, *WITHOUT_PLUGIN],
    "PostgreSQL and Valkey": [*files_on_postgresql(), "-m", f"{IN_PROCESS} and database and not alone", *POSTGRESQL],
    # Transactions of other tests would keep old rows, also those in other databases of the server.
    "PostgreSQL alone": ["tests/api", "tests/server", "-m", f"{IN_PROCESS} and alone", *POSTGRESQL, "-n", "0"],
    # These start their own servers on both databases. Tests that share a server run in one process.
    "servers and browsers": [*SERVER_FOLDERS, "-m", f"(live or browser) and not ({LEFT_TO_SOAK})", *WITH_SERVERS],
}


@dataclass(frozen=True)
class Part:
    name: str
    status: int
    seconds: float
    processor: float
    counts: Counter[str]
    left_out: Counter[str]

    def __str__(self) -> str:
        counts = ", ".join(f"{count} {outcome}" for outcome, count in self.counts.items() if count)
        times = f"{self.seconds:5.0f} s, {self.processor:5.0f} s of processors"
        return f"{self.name:24} {times}   {counts or 'did not run'}"


def run(name: str, arguments: list[str]) -> Part:
    print(f"== {name}", flush=True)
    began, used = time.monotonic(), processor_seconds()
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.json"
        command = [sys.executable, "-m", "pytest", *PARALLEL, *arguments, "--results", str(results)]
        status = subprocess.run(command, check=False).returncode
        found = json.loads(results.read_text()) if results.exists() else {"counts": {}, "left_out": {}}
    times = time.monotonic() - began, processor_seconds() - used
    return Part(name, status, *times, Counter(found["counts"]), Counter(found["left_out"]))


def processor_seconds() -> float:
    """Return how long all processes of the parts that have ended used a core."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> int:
    parts = [run(name, arguments) for name, arguments in PARTS.items()]
    total = Part(
        "all",
        max(part.status for part in parts),
        sum(part.seconds for part in parts),
        sum(part.processor for part in parts),
        sum((part.counts for part in parts), Counter()),
        sum((part.left_out for part in parts), Counter()),
    )
    print("== summary", *parts, total, sep="\n")
    if total.left_out:
        print(left_out_line(total.left_out))
    return int(total.status != 0)


if __name__ == "__main__":
    sys.exit(main())
