"""Measure the HTTP front against uvicorn's protocol and granian, interleaved in one run.

    .venv/bin/python -m benchmarks.front [--rounds 7] [--seconds 4] [--connections 32] [--processes 2]

Without Django: a POST whose body is read and answered with constant JSON. With Django: a view that parses it.
Requires `wrk` (the Debian package `wrk`). Prints requests per second: median, minimum and maximum.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.servers import free_port

CANDIDATES = ("front", "uvicorn", "front-django", "granian-django", "uvicorn-django")
BODY = b'{"allowed": true}'
LUA = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Basic cmVzXzAxOWExYjJjM2Q0ZTdmODA5MWEyYjNjNGQ1ZTZmNzA4OnJzX2FiY2RlZmdo"
wrk.body = '{"token":"' .. string.rep("x", 400) .. '","requiredScopes":["email:read"]}'
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("rounds", 7), ("seconds", 4), ("connections", 32), ("processes", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "post.lua"
        script.write_text(LUA)
        results: dict[str, list[float]] = {name: [] for name in CANDIDATES}
        for number in range(options.rounds):
            for name in CANDIDATES if number % 2 == 0 else reversed(CANDIDATES):
                with serving(name, options.processes, Path(folder)) as url:
                    run_wrk(url, script, options.connections, 1)
                    results[name].append(run_wrk(url, script, options.connections, options.seconds))
    for name, rates in results.items():
        sys.stdout.write(f"{name:16} {statistics.median(rates):8.0f} {min(rates):8.0f} {max(rates):8.0f}\n")


@contextmanager
def serving(name: str, processes: int, folder: Path) -> Iterator[str]:
    port = free_port()
    environment = {
        **os.environ,
        "JWT_SECRET": os.urandom(32).hex(),
        "DATABASE_PATH": str(folder / "unused.db"),
        "DJANGO_SETTINGS_MODULE": "benchmarks.front_settings",
        "CANDIDATE": name,
    }
    command = [sys.executable, "-m", "benchmarks.front_servers", name, str(port), str(processes)]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}/api/v1/tokens/verify"
    try:
        wait_for(url)
        yield url
    finally:
        server.terminate()
        server.wait()


def wait_for(url: str) -> None:
    for _ in range(300):
        try:
            if httpx.post(url, json={"token": "a"}).json() == json.loads(BODY):
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise RuntimeError("the server did not start")


def run_wrk(url: str, script: Path, connections: int, seconds: int) -> float:
    """Return requests per second. Fails if any request failed."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), url]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "Non-2xx" not in output and "Socket errors" not in output, output  # noqa: PT018
    return float(re.search(r"^Requests/sec: +([\d.]+)", output, re.M)[1])  # type: ignore[index]


if __name__ == "__main__":
    main()
