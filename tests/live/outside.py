"""What others keep of the log: its checkpoints as they appear, and a program to check exports with."""

import io
import sys
import threading
import time
from base64 import b64decode
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import httpx

from tests.live.gate import TLS
from tests.live.server import ROOT, LiveServer

POLL_SECONDS = 0.1
ATTEMPTS = 10
TILE_WIDTH = 256
SOURCES = ROOT / "sdk" / "audit" / "src"
sys.path.append(str(SOURCES))

from agentgate_audit.cli import main  # noqa: E402 - found on the path set above


@dataclass(frozen=True)
class Checkpoint:
    """A signed note, and when it was first seen, in seconds of `time.monotonic`."""

    size: int
    root: bytes
    note: str
    seen: float = 0.0

    @classmethod
    def read(cls, note: str, seen: float = 0.0) -> "Checkpoint":
        _, size, root, *_ = note.split("\n")
        return cls(int(size), b64decode(root), note, seen)


class Watch:
    """A thread that keeps, until the block ends, each checkpoint it sees and how late the server says the log is."""

    def __init__(self, server: LiveServer) -> None:
        self.checkpoints: list[Checkpoint] = []
        self.lags: list[float] = []
        self._api = f"{server.url}/api/v1"
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def first_covering(self, index: int) -> Checkpoint:
        """Return the first checkpoint seen that covers the entry with this index."""
        return self.checkpoints[bisect_right(self.checkpoints, index, key=lambda each: each.size)]

    def wait_for_next(self, seconds: float) -> None:
        """Wait for a checkpoint that is not here yet."""
        began, known = time.monotonic(), len(self.checkpoints)
        while len(self.checkpoints) == known:
            assert time.monotonic() < began + seconds, f"no new checkpoint in {seconds} seconds"
            time.sleep(0.01)

    def _run(self) -> None:
        with httpx.Client(timeout=5, verify=TLS) as client:
            while not self._done.wait(POLL_SECONDS):
                try:
                    self._look(client)
                except httpx.TransportError:
                    continue

    def _look(self, client: httpx.Client) -> None:
        answer = client.get(f"{self._api}/audit/checkpoint")
        if answer.status_code == 200:
            found = Checkpoint.read(answer.text, time.monotonic())
            if not self.checkpoints or found.note != self.checkpoints[-1].note:
                self.checkpoints.append(found)
        lag = client.get(f"{self._api}/health").json()["log"]["lagSeconds"]
        if lag is not None:
            self.lags.append(lag)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()


def anchored(server: LiveServer) -> list[Checkpoint]:
    """Return the checkpoints in the server's anchor files."""
    folder = Path(server.environment["AUDIT_ANCHOR_DIR"])
    notes = [note for path in sorted(folder.iterdir()) for note in _split(path.read_text())]
    return [Checkpoint.read(note) for note in notes]


def _split(text: str) -> Iterator[str]:
    """Yield the notes in an anchor file. Each is a text, an empty line and signatures."""
    parts = text.strip("\n").split("\n\n")
    for body, signatures in zip(parts[::2], parts[1::2], strict=True):
        yield f"{body}\n\n{signatures}\n"


def read_hashes(server: LiveServer, size: int) -> list[bytes]:
    """Return the hashes of the log's first entries, from its tiles (C2SP tlog-tiles)."""
    found = b"".join(_read_tile(server, number, size) for number in range(-(-size // TILE_WIDTH)))
    return [found[start : start + 32] for start in range(0, len(found), 32)]


def _read_tile(server: LiveServer, number: int, size: int) -> bytes:
    width = min(TILE_WIDTH, size - number * TILE_WIDTH)
    thousands = f"x{number // 1000:03}/" if number >= 1000 else ""
    partial = f".p/{width}" if width < TILE_WIDTH else ""
    answer = httpx.get(
        f"{server.url}/api/v1/audit/tile/0/{thousands}{number % 1000:03}{partial}", timeout=20, verify=TLS
    )
    assert answer.status_code == 200, answer.text
    return answer.content


def roots_of(hashes: Sequence[bytes], sizes: Iterable[int]) -> dict[int, bytes]:
    """Return the root of the tree of the first so many leaves (RFC 6962 section 2.1), for each of these sizes."""
    wanted, peaks, found = set(sizes), list[tuple[int, bytes]](), {}
    for size, one in enumerate(hashes, 1):
        peaks.append((0, one))
        while len(peaks) > 1 and peaks[-1][0] == peaks[-2][0]:
            (height, left), (_, right) = peaks[-2:]
            peaks[-2:] = [(height + 1, _node(left, right))]
        if size in wanted:
            found[size] = _join([peak for _, peak in peaks])
    return found


def _join(peaks: list[bytes]) -> bytes:
    root = peaks[-1]
    for left in reversed(peaks[:-1]):
        root = _node(left, root)
    return root


def _node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def audit(*arguments: str | Path) -> tuple[int, str]:
    """Do what `agentgate-audit` does, which shares no code with the server. Return its exit status and output."""
    output = io.StringIO()
    with redirect_stdout(output), redirect_stderr(output):
        status = main([*map(str, arguments)])
    return status, output.getvalue()


def download(server: LiveServer, path: str, file: Path, headers: dict[str, str]) -> Path:
    """Write what the API returns to a file. An export of a log that is late is asked for again."""
    for _ in range(ATTEMPTS):
        answer = httpx.get(f"{server.url}/api/v1{path}", headers=headers, timeout=120, verify=TLS)
        if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
            break
    assert answer.status_code == 200, answer.text
    file.write_bytes(answer.content)
    return file
