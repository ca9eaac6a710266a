"""Exchanges, refreshes and consent pages per second, and the memory of the processes afterwards."""

from pathlib import Path
from typing import Any

from benchmarks import wrk
from benchmarks.machine import memory_of
from benchmarks.seed import Wanted
from benchmarks.stores import Store
from benchmarks.targets import product
from benchmarks.wrk import Load

CONNECTIONS = 8
SECONDS = 4
WARM_UP = 1
# Each code and each refresh token works once, so there must be more than one run can use.
ONE_TIME = 20_000


def measure(store: Store) -> dict[str, Any]:
    """Return the rates and latencies of this store."""
    seeded = store.seeded(Wanted(tokens=1, codes=ONE_TIME, refreshes=ONE_TIME))
    with product(store, seeded) as server:
        rates = {name: _run(server.url, load, store.folder, name) for name, load in _loads(seeded.given).items()}
        return {
            "store": store.name,
            "workers": store.processes,
            "connections": CONNECTIONS,
            "rates": rates,
            "memory_mb": [round(size) for size in memory_of([server.pid])],
        }


def _loads(given: dict[str, Any]) -> dict[str, Load]:
    client = f'"clientId":"{given["agent"][0]}","clientSecret":"{given["agent"][1]}"'
    codes = [f'{{"code":"{code}",{client}}}' for code in given["codes"]]
    refreshes = [f'{{"refreshToken":"{token}",{client}}}' for token in given["refreshes"]]
    return {
        "exchange": Load.of_bodies("/api/v1/tokens/exchange", codes, Content_Type="application/json"),
        "refresh": Load.of_bodies("/api/v1/tokens/refresh", refreshes, Content_Type="application/json"),
        "consent page": Load([(given["page"], "")], {"Cookie": given["cookies"]}, method="GET"),
    }


def _run(url: str, load: Load, folder: Path, name: str) -> dict[str, float]:
    """Measure once, each request with a code or token of its own. Raises `RuntimeError` if they do not suffice."""
    script = load.write(folder, name.replace(" ", "-"))
    used = wrk.run(url, script, connections=CONNECTIONS, seconds=WARM_UP).answers + 2 * CONNECTIONS
    measured = wrk.run(url, script, connections=CONNECTIONS, seconds=SECONDS, start=used)
    return {"rate": measured.rate, "p50_ms": measured.p50, "p99_ms": measured.p99}
