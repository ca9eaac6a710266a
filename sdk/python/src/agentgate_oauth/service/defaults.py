"""The guard that integrations use when a handler names none."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from .._base import http_allowed_by_environment
from .guard import Guard

_configured: list[Guard] = []


def configure(guard: Guard) -> None:
    """Make this the guard of every `require_scopes` of this process that names none."""
    _configured[:] = [guard]


def default_guard() -> Guard:
    """Return the configured guard, else the one that the environment describes.

    `AGENTGATE_URL`, `AGENTGATE_RESOURCE_SERVER_ID`, `AGENTGATE_RESOURCE_SERVER_SECRET` (or that name with
    `_FILE`), `AGENTGATE_RESOURCE_METADATA` and `AGENTGATE_ALLOW_HTTP`. Raises RuntimeError when there is
    neither.
    """
    return _configured[0] if _configured else _guard_of_environment()


@cache
def _guard_of_environment() -> Guard:
    base_url = os.environ.get("AGENTGATE_URL")
    if not base_url:
        raise RuntimeError(
            "no guard: pass guard=, call agentgate_oauth.service.configure, or set AGENTGATE_URL"
        )
    return Guard(
        base_url,
        os.environ.get("AGENTGATE_RESOURCE_SERVER_ID"),
        _secret("AGENTGATE_RESOURCE_SERVER_SECRET"),
        resource_metadata=os.environ.get("AGENTGATE_RESOURCE_METADATA"),
        allow_http=http_allowed_by_environment(),
    )


def _secret(name: str) -> str | None:
    path = os.environ.get(f"{name}_FILE")
    return Path(path).read_text(encoding="utf-8").strip() if path else os.environ.get(name)
