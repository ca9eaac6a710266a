"""The memory of the server stays flat at full load, and its sequencer keeps up."""

import logging
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import psutil
import pytest

from benchmarks import wrk
from tests.live.load import Load
from tests.live.server import LiveServer
from tests.programs import find_program
from tests.waiting import wait_until

logger = logging.getLogger(__name__)

SECONDS = 300
WARM_UP_SECONDS = 60
SAMPLE_SECONDS = 2
CONNECTIONS = 32
TOKENS = 100
MB = 1024 * 1024
MAX_GROWTH_MB = 15
MAX_RESIDENT_MB = 250
# How long the sequencer may take, after the load, for what it has not copied yet.
CATCH_UP_SECONDS = 30


def sample(server: LiveServer, memory: dict[int, list[float]], waiting: list[int]) -> None:
    """Add the resident megabytes of each process of the server, and the rows that wait for the sequencer."""
    for process in psutil.Process(server.pid).children(recursive=True):
        memory[process.pid].append(process.memory_info().rss / MB)
    waiting.append(server.database.count("audit_journal"))


@pytest.mark.soak
def test_memory_is_flat_at_full_load(start_server: Callable[..., LiveServer], live_store: str, tmp_path: Path) -> None:
    find_program("wrk")
    server = start_server(processes=1 if live_store == "sqlite" else 2)
    load = Load(server, clients=16, tokens=TOKENS, pause=0)
    requests = wrk.Load.of_bodies("/api/v1/tokens/verify", load.bodies, **load.headers)
    script = requests.write(tmp_path, "verify")
    memory: dict[int, list[float]] = defaultdict(list)
    waiting: list[int] = []

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(wrk.run, server.url, script, connections=CONNECTIONS, seconds=SECONDS)
        time.sleep(WARM_UP_SECONDS)
        while not running.done():
            sample(server, memory, waiting)
            time.sleep(SAMPLE_SECONDS)
    measured = running.result()

    third = len(waiting) // 3
    growth = {pid: median(sizes[-third:]) - median(sizes[:third]) for pid, sizes in memory.items()}
    figures = f"{measured}, growth {growth}, largest {max(map(max, memory.values()))} MB, waiting {waiting[::third]}"
    logger.info(figures)  # shown by: ./dev soak -o log_cli=true -o log_cli_level=INFO
    assert max(growth.values()) < MAX_GROWTH_MB, figures
    assert max(map(max, memory.values())) < MAX_RESIDENT_MB, figures
    wait_until(lambda: server.database.count("audit_journal") == 0, lambda: figures, CATCH_UP_SECONDS)
    assert server.database.count("audit_entry", "event = 'token.verify'") >= measured.answers
