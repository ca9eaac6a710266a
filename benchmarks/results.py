"""The last result of each kind, a JSON file in `benchmarks/results/`. The documentation quotes it."""

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent / "results"

Run = dict[str, Any]


def start(kind: str, machine: dict[str, object]) -> Run:
    """Return an empty result. `kind` is that of the last one that it replaces, such as "ratios"."""
    now = datetime.now(UTC)
    return {"kind": kind, "started": now.isoformat(timespec="seconds"), "commit": _commit(), "machine": machine}


def save(run: Run) -> Path:
    """Write the result in place of the last one of its kind, and return its path. A line per part keeps it short."""
    FOLDER.mkdir(exist_ok=True)
    path = path_of(run["kind"])
    path.write_text("{\n" + ",\n".join(f"{_json(name)}: {_lines(value)}" for name, value in run.items()) + "\n}\n")
    return path


def last(kind: str) -> Run | None:
    """Return the stored result of this kind, or None before the first one."""
    path = path_of(kind)
    return json.loads(path.read_text()) if path.exists() else None


def path_of(kind: str) -> Path:
    return FOLDER / f"{kind}.json"


def _lines(value: Any) -> str:
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(map(_json, value)) + "\n]"
    return _json(value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _commit() -> str:
    """Return the short id of the current commit, with "+" if files have changed. Empty without git."""
    described = ["git", "describe", "--always", "--exclude=*", "--dirty=+"]
    done = subprocess.run(described, cwd=FOLDER.parent, capture_output=True, text=True, check=False)
    return done.stdout.strip()
