"""Run all tests, and print a summary and what ran of each folder. `./dev test` without arguments runs this module."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.constants import FOLDERS_WITH_SERVERS
from tests.results import missing_line
from tests.stores import may_need_postgresql
from tests.tally import HEADING, TABLE, Case, combined, files_of, folders, problems, read_table

CORES = os.cpu_count() or 1
# One process more than there are cores, because tests wait for the disk. A third of them is for PostgreSQL.
PROCESSES = min(6, CORES + 1)
# Collecting the tests of the other parts, too, would take each process seconds.
SERVER_FOLDERS = [f"tests/{folder}" for folder in FOLDERS_WITH_SERVERS]
OTHERS = [f"--ignore={folder}" for folder in SERVER_FOLDERS]
FOLDER = Path("tests")
LEFT_TO_SOAK = "soak or elsewhere"
# Importing it takes each process a second. The tests that use it run its program.
WITHOUT_PLUGIN = ["-p", "no:schemathesis"]
# These tests often wait for a server, so two more processes than cores are faster.
WITH_SERVERS = ["--processes", str(min(6, CORES + 2)), *WITHOUT_PLUGIN]
POSTGRESQL = ["--store=postgresql", *WITHOUT_PLUGIN]


IN_PROCESS = f"not (live or browser or {LEFT_TO_SOAK})"


def files(need: Callable[[Path], bool]) -> list[str]:
    """Return the files that need this, because collecting the others would take each process seconds."""
    found = [file for file in sorted(FOLDER.rglob("test_*.py")) if not str(file).startswith((*SERVER_FOLDERS,))]
    return [str(file) for file in found if need(file)]


def is_alone(file: Path) -> bool:
    return "pytest.mark.alone" in file.read_text()


PARTS = {
    "SQLite": [*OTHERS, "-m", IN_PROCESS, *WITHOUT_PLUGIN, "--processes", str(PROCESSES - PROCESSES // 3)],
    "PostgreSQL and Valkey": [
        *files(may_need_postgresql),
        "-m",
        f"{IN_PROCESS} and database and not alone",
        *POSTGRESQL,
        "--processes",
        str(PROCESSES // 3),
    ],
    # Transactions of other tests would keep old rows, also those in other databases of the server.
    "PostgreSQL alone": [*files(is_alone), "-m", f"{IN_PROCESS} and alone", *POSTGRESQL],
    # These start their own servers on both databases. Tests that share a server run in one process.
    "servers and browsers": [*SERVER_FOLDERS, "-m", f"(live or browser) and not ({LEFT_TO_SOAK})", *WITH_SERVERS],
}
# What runs at once: the parts of each row run one after the other.
BESIDE = (("SQLite",), ("PostgreSQL and Valkey", "PostgreSQL alone"), ("servers and browsers",))
# Tests of servers and browsers wait half of the time, and some measure how soon something happens. The others yield to
# them, and use the cores in the meantime.
YIELD = {name: ["nice", "-n", "5"] for name in PARTS if name != "servers and browsers"}


@dataclass(frozen=True)
class Part:
    name: str
    status: int
    seconds: float
    processor: float
    counts: Counter[str]
    missing: Counter[str]
    cases: dict[str, Case]

    def __str__(self) -> str:
        counts = ", ".join(f"{count} {outcome}" for outcome, count in self.counts.items() if count)
        times = f"{self.seconds:5.0f} s, {self.processor:5.0f} s of processors"
        return f"{self.name:24} {times}   {counts or 'did not run'}"


def run(name: str, output: IO[str]) -> Part:
    """Run the tests of the part, which print to `output`."""
    print(f"== {name}", file=output, flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.json"
        command = [*YIELD.get(name, []), sys.executable, "-m", "pytest", *PARTS[name], "--results", str(results)]
        process = subprocess.Popen(command, stdout=output, stderr=output)
        _, status, used = os.wait4(process.pid, 0)  # how long it and its processes that have ended used a core
        process.returncode = os.waitstatus_to_exitcode(status)
        found = json.loads(results.read_text()) if results.exists() else {"counts": {}, "missing": {}, "cases": {}}
    times = time.monotonic() - began, used.ru_utime + used.ru_stime
    return Part(
        name,
        process.returncode,
        *times,
        Counter(found["counts"]),
        Counter(found["missing"]),
        combined([found["cases"]]),
    )


def run_all() -> list[Part]:
    """Run all parts. What those of the first row print is seen at once, and that of the others when all have ended."""
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        outputs = [sys.stdout, *(stack.enter_context(tempfile.TemporaryFile("w+")) for _ in BESIDE[1:])]
        rows = pool.map(lambda names, output: [run(name, output) for name in names], BESIDE, outputs)
        parts = [part for row in rows for part in row]
        for output in outputs[1:]:
            output.seek(0)
            print(output.read())
    return parts


def main() -> int:
    # A shell lets what it starts in the background ignore Ctrl-C. Then programs that tests end by it would not end.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    began = time.monotonic()
    parts = run_all()
    total = Part(
        "all",
        max(part.status for part in parts),
        time.monotonic() - began,
        sum(part.processor for part in parts),
        sum((part.counts for part in parts), Counter()),
        sum((part.missing for part in parts), Counter()),
        combined(part.cases for part in parts),
    )
    print("== summary", *parts, total, sep="\n")
    tested, rows = files_of(FOLDER), read_table(TABLE)
    print("== folders", HEADING, *folders(total.cases, tested), sep="\n")
    if total.missing:
        print(missing_line(total.missing))
    wrong = list(problems(total.cases, tested, rows))
    print(*wrong, sep="\n", end="\n" if wrong else "")
    return int(total.status != 0 or bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
