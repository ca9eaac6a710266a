"""Measure the throughput of verify relative to the floor, interleaved in one run under the same load.

    .venv/bin/python -m benchmarks.verify [--store sqlite|postgresql] [--pairs 5] [--seconds 4] [--connections 32]

Each verify does the full work: it checks the signature, reads the live facts, evaluates three policies (one with a
rate limit), writes one log entry and commits once. Requires `wrk` (the Debian package `wrk`). Prints one line of JSON.
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

from tests.live.gate import Gate
from tests.live.server import ROOT, Database, Databases, LiveServer, full
from tests.servers import Postgres, Valkey, free_port

TOKENS = 200
PROCESSES = {"sqlite": 1, "postgresql": 2}
LUA = """
local tokens = {%s}
local n = 0
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
request = function()
  n = n %% #tokens + 1
  return wrk.format(nil, nil, nil, '{"token":"' .. tokens[n] .. '","requiredScopes":["email:read"]}')
end
local bad = 0
response = function(status, headers, body)
  if status ~= 200 or not body:find('"allowed": ?true') then bad = bad + 1; wrk.thread:set("bad", bad) end
end
local threads = {}
setup = function(thread) thread:set("bad", 0); table.insert(threads, thread) end
done = function()
  local sum = 0
  for _, thread in ipairs(threads) do sum = sum + thread:get("bad") end
  io.write("bad answers: " .. sum .. "\\n")
end
"""


def main() -> None:
    options = parse_options()
    os.environ.setdefault("JWT_SECRET", os.urandom(32).hex())
    with tempfile.TemporaryDirectory() as folder, servers(options.store, Path(folder)) as (gate, database, floor_url):
        script = Path(folder) / "verify.lua"
        script.write_text(LUA % ",".join(f'"{token}"' for token in make_tokens(gate)))
        measure(gate.url, script, options.connections, 2)
        measure(floor_url, script, options.connections, 2)
        before, pairs, answered = database.count("audit_entry"), [], 0
        for number in range(options.pairs):
            order = (gate.url, floor_url) if number % 2 == 0 else (floor_url, gate.url)
            result = {url: measure(url, script, options.connections, options.seconds) for url in order}
            answered += int(result[gate.url]["answered"])
            pairs.append((result[gate.url], result[floor_url]))
        logged = database.count("audit_entry") - before
        report(options, pairs, answered, logged)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", choices=sorted(PROCESSES), default="sqlite")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--connections", type=int, default=32)
    return parser.parse_args()


@contextmanager
def servers(store: str, folder: Path) -> Iterator[tuple[Gate, Database, str]]:
    """Run AgentGate and the floor; yield a client of AgentGate, its database and the floor's URL."""
    postgres, valkey = (Postgres(), Valkey()) if store == "postgresql" else (None, None)
    databases = Databases(folder)
    database = databases.postgresql(postgres, valkey) if postgres and valkey else databases.sqlite()
    try:
        with LiveServer(database, folder, PROCESSES[store]) as live, floor(PROCESSES[store]) as floor_url:
            yield Gate(live.url), database, floor_url
    finally:
        for server in (postgres, valkey):
            if server is not None:
                server.stop()


@contextmanager
def floor(processes: int) -> Iterator[str]:
    port = free_port()
    environment = full({"API_PORT": str(port), "WEB_CONCURRENCY": str(processes)})
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.floor"], cwd=ROOT, env=environment)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(url)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def wait_for(url: str) -> None:
    for _ in range(100):
        try:
            httpx.get(url)
            return
        except httpx.HTTPError:
            time.sleep(0.1)
    raise RuntimeError(f"{url} did not start")


def make_tokens(gate: Gate) -> list[str]:
    """Return `TOKENS` access tokens, each from its own consent, under three policies that allow them."""
    developer, person = gate.developer(), gate.person()
    agent = gate.agent(developer)
    gate.policy(developer, "rate_limit", maxRequests=1_000_000, windowSeconds=3600, scope="per_user")
    gate.policy(developer, "action_allowlist", actions=["email:*"])
    gate.policy(developer, "ip_allowlist", cidrs=["127.0.0.0/8"])
    return [str(gate.tokens(agent, person)["accessToken"]) for _ in range(TOKENS)]


def measure(url: str, script: Path, connections: int, seconds: int) -> dict[str, float]:
    """Run wrk once. Return requests per second, p50 and p99 in ms, and the number of responses."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(script)]
    out = subprocess.run([*command, f"{url}/api/v1/tokens/verify"], check=True, capture_output=True, text=True).stdout
    if "bad answers: 0\n" not in out or "Socket errors" in out:
        raise RuntimeError(out)
    return {
        "rate": float(re.search(r"^Requests/sec:\s+([\d.]+)", out, re.M)[1]),  # type: ignore[index]
        "p50": milliseconds(re.search(r"^\s+50%\s+(\S+)", out, re.M)[1]),  # type: ignore[index]
        "p99": milliseconds(re.search(r"^\s+99%\s+(\S+)", out, re.M)[1]),  # type: ignore[index]
        "answered": float(re.search(r"^\s+(\d+) requests in", out, re.M)[1]),  # type: ignore[index]
    }


def milliseconds(text: str) -> float:
    value, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()  # type: ignore[union-attr]
    return float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def report(
    options: argparse.Namespace, pairs: list[tuple[dict[str, float], dict[str, float]]], answered: int, logged: int
) -> None:
    if logged < answered:
        raise RuntimeError(f"{answered} responses but only {logged} log entries")
    ratios = [verify["rate"] / floor["rate"] for verify, floor in pairs]
    line = {
        "store": options.store,
        "processes": PROCESSES[options.store],
        "connections": options.connections,
        "pairs": len(pairs),
        "verify_over_floor": round(statistics.median(ratios), 3),
        "range": [round(min(ratios), 3), round(max(ratios), 3)],
        "verify_per_second": round(statistics.median(verify["rate"] for verify, _ in pairs)),
        "p50_ms": round(statistics.median(verify["p50"] for verify, _ in pairs), 1),
        "p99_ms": round(statistics.median(verify["p99"] for verify, _ in pairs), 1),
        "answers": answered,
        "entries": logged,
    }
    print(json.dumps(line))  # noqa: T201  the result


if __name__ == "__main__":
    main()
