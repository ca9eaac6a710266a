"""Response models of the health check."""

from typing import Literal

from api.v1.schemas.base import Out

Health = Literal["ok", "unavailable"]


class ChecksOut(Out):
    """The state of what the server depends on."""

    database: Health
    cache: Health


class LogOut(Out):
    """`lagSeconds` is how long the oldest decision has waited to be numbered in the log. Null if it is not known."""

    lag_seconds: float | None


class HealthOut(Out):
    """`status` is `ok` with 200 and `unavailable` with 503. Without the cache the server is only slower."""

    status: Health
    version: str
    checks: ChecksOut
    log: LogOut
