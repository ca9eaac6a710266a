"""The guard that integrations use when they are given none."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from .._base import http_allowed_by_environment
from .._checks import checked_base_url
from .guard import Guard

_ID = "AGENTGATE_RESOURCE_SERVER_ID"
_SECRET = "AGENTGATE_RESOURCE_SERVER_SECRET"
_configured: list[Guard] = []


def configure(guard: Guard) -> None:
    """Make this the guard of every later `require_scopes` in this process that has no `guard=`.

    Call it before the handlers are defined, because `require_scopes` looks for its guard at once.
    """
    _configured[:] = [guard]


def default_guard() -> Guard:
    """Return the configured guard, or one that the environment variables describe.

    The variables are `AGENTGATE_URL`, `AGENTGATE_RESOURCE_SERVER_ID`,
    `AGENTGATE_RESOURCE_SERVER_SECRET` (or that name with `_FILE`), `AGENTGATE_RESOURCE_METADATA` and
    `AGENTGATE_ALLOW_HTTP`. Raises RuntimeError for a variable that is missing, ValueError for a wrong URL.
    """
    return _configured[0] if _configured else _guard_from_environment()


@cache
def _guard_from_environment() -> Guard:
    base_url = os.environ.get("AGENTGATE_URL")
    if not base_url:
        raise RuntimeError(
            "AGENTGATE_URL is not set: set it, pass guard=, or call service.configure before require_scopes"
        )
    allow_http = http_allowed_by_environment()
    return Guard(
        checked_base_url(base_url, allow_http, "AGENTGATE_URL"),
        *_credential(),
        resource_metadata=os.environ.get("AGENTGATE_RESOURCE_METADATA"),
        allow_http=allow_http,
    )


def _credential() -> tuple[str | None, str | None]:
    server_id, secret = os.environ.get(_ID), _secret()
    if bool(server_id) != bool(secret):
        missing, present = (_SECRET, _ID) if server_id else (_ID, _SECRET)
        raise RuntimeError(f"{missing} is not set, but {present} is: set both, or neither")
    return server_id, secret


def _secret() -> str | None:
    path = os.environ.get(f"{_SECRET}_FILE")
    if not path:
        return os.environ.get(_SECRET)
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise RuntimeError(f"{_SECRET}_FILE names a file that cannot be read: {error}") from None
