"""Run `wrk` against a server, with prepared requests, and read what it measured."""

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

# All requests are formatted before the measurement, and dealt out to the threads. Only a chain needs a `response`
# function, which makes wrk copy every body into Lua. wrk counts statuses and socket errors by itself.
SCRIPT = """
wrk.method = "POST"
{headers}
local started, requests, next_one = 0, {{}}, 0
setup = function(thread)
  thread:set("number", started)
  started = started + 1
end
init = function()
  local place = 0
  for line in io.lines("{file}") do
    if place % {threads} == number then
      local path, body = line:match("^([^ ]+) ?(.*)$")
      table.insert(requests, wrk.format(nil, path, nil, body ~= "" and body or nil))
    end
    place = place + 1
  end
end
request = function()
  next_one = next_one % #requests + 1
  return requests[next_one]
end
"""
# The next request of a chain sends what the last answer has in the field. A thread has one connection and one chain.
CHAIN = """
response = function(status, headers, body)
  local value = body:match('"{field}": ?"([^"]*)"') or ""
  requests = {{ wrk.format(nil, "{path}", nil, '{{"{field}":"' .. value .. '"}}') }}
end
"""
UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


@dataclass(frozen=True)
class Load:
    """Requests that a server gets in turn by POST: a path and a body each. The headers are the same for all.

    With `chain`, they are only the first: each next body has this field of the last answer.
    """

    requests: Sequence[tuple[str, str]] = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    chain: str = ""

    @classmethod
    def of_bodies(cls, path: str, bodies: Sequence[str], **headers: str) -> "Load":
        """Return a load that posts each body to `path`. In names of headers, `_` stands for `-`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return cls([(path, body) for body in bodies], named)

    def write(self, folder: Path, name: str, threads: int = 1) -> Path:
        """Write the script and the requests, and return the script's path."""
        lines, script = folder / f"{name}.requests", folder / f"{name}.lua"
        lines.write_text("".join(f"{path} {body}\n" for path, body in self.requests))
        headers = "\n".join(f'wrk.headers["{name}"] = "{value}"' for name, value in self.headers.items())
        chain = CHAIN.format(field=self.chain, path=self.requests[0][0]) if self.chain else ""
        script.write_text(SCRIPT.format(headers=headers, file=lines, threads=threads) + chain)
        return script


@dataclass(frozen=True)
class Measured:
    """Requests per second, latencies in milliseconds, and the number of answers."""

    rate: float
    p50: float
    p99: float
    answers: int


def require_wrk() -> None:
    """End the process unless wrk is installed."""
    if shutil.which("wrk") is None:
        sys.exit("bench: wrk is missing. Install the package wrk (Debian, Ubuntu: apt-get install wrk).")


def run(url: str, script: Path, *, connections: int, seconds: int, threads: int = 1) -> Measured:
    """Send requests for this long. Raises `RuntimeError` for any answer but a 2xx."""
    command = ["wrk", f"-t{threads}", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "--latency"]
    command += ["-s", str(script), url]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in out or "Socket errors" in out:
        raise RuntimeError(f"{url} gave other answers than 200:\n{out}")
    return parse(out)


def parse(out: str) -> Measured:
    """Return the figures in wrk's output."""
    return Measured(
        rate=float(_find(r"^Requests/sec:\s+([\d.]+)", out)),
        # Anchored to the start of the line: percentages also stand in the column of deviations.
        p50=_milliseconds(_find(r"^\s+50%\s+(\S+)", out)),
        p99=_milliseconds(_find(r"^\s+99%\s+(\S+)", out)),
        answers=int(_find(r"^\s+(\d+) requests in", out)),
    )


def _find(pattern: str, out: str) -> str:
    match = re.search(pattern, out, re.M)
    if match is None:
        raise RuntimeError(f"wrk printed something else than expected:\n{out}")
    return match[1]


def _milliseconds(text: str) -> float:
    match = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text)
    if match is None:
        raise RuntimeError(f"{text} is not a duration of wrk")
    return float(match[1]) * UNITS[match[2]]
