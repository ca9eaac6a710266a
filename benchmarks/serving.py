"""Start the programs that are measured, and serve WSGI applications on granian.

`python -m benchmarks.serving MODULE:APPLICATION` serves on `API_PORT`, with `WEB_CONCURRENCY` processes of
`WSGI_THREADS` threads each.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.servers import die_with_parent, free_port

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60


@contextmanager
def program(
    command: Sequence[str | Path], environment: Mapping[str, str], log: Path, cwd: Path = ROOT
) -> Iterator[tuple[str, int]]:
    """Run a server on a free port, which it finds in `API_PORT`. Yield its URL and its process id."""
    port = free_port()
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**os.environ, **environment, "API_PORT": str(port)},
            stdout=output,
            stderr=output,
            preexec_fn=die_with_parent,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(url, process, log)
        yield url, process.pid
    finally:
        process.terminate()
        process.wait(START_SECONDS)


@contextmanager
def wsgi(
    application: str, environment: Mapping[str, str], log: Path, processes: int, threads: int
) -> Iterator[tuple[str, int]]:
    """Serve a WSGI application, as `program` does."""
    amounts = {"WEB_CONCURRENCY": str(processes), "WSGI_THREADS": str(threads)}
    command = [sys.executable, "-m", "benchmarks.serving", application]
    with program(command, {**environment, **amounts}, log) as started:
        yield started


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx.get(url)
            return
        except httpx.HTTPError:
            time.sleep(0.1)
    raise RuntimeError(f"{url} did not start:\n{log.read_text(errors='replace')[-3000:]}")


def main() -> None:
    from granian import Granian
    from granian.constants import Interfaces

    Granian(
        sys.argv[1],
        port=int(os.environ["API_PORT"]),
        interface=Interfaces.WSGI,
        workers=int(os.environ["WEB_CONCURRENCY"]),
        blocking_threads=int(os.environ["WSGI_THREADS"]),
    ).serve()


if __name__ == "__main__":
    main()
