"""The results of runs, one JSON file each, in `benchmarks/results/`. The documentation quotes the last one."""

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent / "results"

Run = dict[str, Any]


def start(kind: str, machine: dict[str, object]) -> Run:
    """Return an empty result. `kind` is "ratios" or "growth"."""
    now = datetime.now(UTC)
    return {"kind": kind, "started": now.isoformat(timespec="seconds"), "commit": _commit(), "machine": machine}


def save(run: Run) -> Path:
    """Write the result to a new file and return its path."""
    FOLDER.mkdir(exist_ok=True)
    stamp = datetime.fromisoformat(run["started"]).strftime("%Y%m%dT%H%M%SZ")
    path = FOLDER / f"{stamp}-{run['kind']}.json"
    path.write_text(json.dumps(run, indent=1, ensure_ascii=False) + "\n")
    return path


def read(kind: str) -> list[Run]:
    """Return the stored results of this kind, oldest first."""
    return [json.loads(path.read_text()) for path in sorted(FOLDER.glob(f"*-{kind}.json"))]


def last(kind: str) -> Run | None:
    found = read(kind)
    return found[-1] if found else None


def _commit() -> str:
    """Return the short id of the current commit, with "+" if files have changed. Empty without git."""
    described = ["git", "describe", "--always", "--exclude=*", "--dirty=+"]
    done = subprocess.run(described, cwd=FOLDER.parent, capture_output=True, text=True, check=False)
    return done.stdout.strip()
