"""At full load the log stays seconds behind the decisions at most, and takes half the disk that it took before."""

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from benchmarks import wrk
from benchmarks.log import Log
from benchmarks.stores import opened
from benchmarks.targets import product, verify
from tests.environment import STORES
from tests.live.disk import measure
from tests.live.server import LiveServer
from tests.programs import find_program

logger = logging.getLogger(__name__)

SECONDS = 300
CONNECTIONS = 32
SAMPLE_SECONDS = 30
MAX_LAG_SECONDS = 5.0
# Half of what an entry took before it was compressed, when each filter had an index.
MAX_BYTES = 1171


def lag_of(server: LiveServer) -> float:
    return float(httpx.get(f"{server.url}/api/v1/health", timeout=20).json()["log"]["lagSeconds"])


@pytest.mark.soak
@pytest.mark.parametrize("name", STORES)
def test_the_log_keeps_up_at_full_load_on_half_the_disk(name: str, tmp_path: Path) -> None:
    find_program("wrk")
    with opened(name, tmp_path) as store:
        seeded = store.seeded()
        with product(store, seeded) as server:
            target, log, lags = verify(server, seeded), Log(seeded.database), list[float]()
            script = target.load.write(tmp_path, target.name)
            with ThreadPoolExecutor(1) as pool:
                running = pool.submit(wrk.run, server.url, script, connections=CONNECTIONS, seconds=SECONDS)
                for _ in range(SECONDS // SAMPLE_SECONDS):
                    time.sleep(SAMPLE_SECONDS)
                    lags.append(lag_of(server))
            measured = running.result()
            log.expect(measured.answers)
        disk = measure(seeded.database, seeded.database.count("audit_entry"))
        figures = f"{name}: {measured}, lags {lags}, caught up in {log.drain_seconds:.1f} s, bytes per entry:\n{disk}"
        logger.info(figures)  # shown by: ./dev soak -o log_cli=true -o log_cli_level=INFO
    assert max(lags) <= MAX_LAG_SECONDS, figures
    assert disk.per_entry <= MAX_BYTES, figures
