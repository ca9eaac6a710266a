"""JSON logs on stderr: one line per call, without arguments, tokens and secrets."""

from __future__ import annotations

import json
import logging
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Literal

from mcp.shared.exceptions import MCPDeprecationWarning

logger = logging.getLogger("agentgate_oauth.gateway")
calls = logging.getLogger("agentgate_oauth.gateway.calls")
MAX_MESSAGE = 2000
Outcome = Literal["allowed", "denied", "asked", "failed", "abandoned"]


@dataclass
class Report:
    """What is logged about one call. `decision` is the id of the gate's log entry."""

    kind: str
    name: str
    outcome: Outcome = "failed"
    reason: str | None = None
    decision: str | None = None
    shadow: str | None = None
    began: float = field(default_factory=time.perf_counter)

    def write(self) -> None:
        facts = {
            "kind": self.kind,
            "name": self.name,
            "outcome": self.outcome,
            "reason": self.reason,
            "decision": self.decision,
            "shadow": self.shadow,
            "milliseconds": round((time.perf_counter() - self.began) * 1000, 1),
        }
        calls.info("call", extra={"facts": {key: value for key, value in facts.items() if value is not None}})


@contextmanager
def reported(kind: str, name: str) -> Iterator[Report]:
    """Log a call when it ends, whatever its end is."""
    report = Report(kind, name[:200])
    try:
        yield report
    finally:
        report.write()


class JsonFormatter(logging.Formatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, timezone.utc)
        line = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "event": record.getMessage()[:MAX_MESSAGE],
            **getattr(record, "facts", {}),
        }
        if record.exc_info and record.exc_info[0] is not None:
            # Without its text and frames, which may contain arguments and secrets.
            line["exception"] = record.exc_info[0].__name__
        return json.dumps(line)


def configure(level: str) -> None:
    """Send all logs to stderr as JSON. FastMCP's name arguments and URIs, so they are not among them."""
    # Clients of the older era hear of approvals by log messages, which the newest era discourages.
    warnings.simplefilter("ignore", MCPDeprecationWarning)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    chosen = level.upper()
    root.setLevel(logging.WARNING)
    logging.getLogger("agentgate_oauth").setLevel(chosen)
    for name in ("fastmcp", "mcp", "uvicorn", "httpx"):
        library = logging.getLogger(name)
        # Python prints to stderr what no handler takes.
        library.handlers[:] = [logging.NullHandler()]
        library.propagate = name != "fastmcp"
