"""Response models of the health check."""

from typing import Literal

from api.v1.schemas.base import Out
from audit.condition import Reason

Health = Literal["ok", "unavailable"]


class ChecksOut(Out):
    """The state of what the server depends on."""

    database: Health
    cache: Health


class LogOut(Out):
    """`lagSeconds` is how long the oldest decision has waited to be numbered in the log. Null if it is not known.

    `damagedRows` is how many rows of the journal cannot be moved into the log.
    """

    lag_seconds: float | None
    damaged_rows: int | None


class HealthOut(Out):
    """`status` is `ok` or `degraded` with 200, and `unavailable` with 503: then this server cannot decide.

    A degraded server decides, so keep sending it requests. Why an operator must look at it is in `reasons`: `log_stuck`
    (entries have waited for a minute to be numbered and signed), `log_damaged` (rows of the journal cannot be moved
    into the log) and `witness_refuses` (a witness does not accept the newest checkpoint). Without the cache the server
    is only slower.
    """

    status: Literal["ok", "degraded", "unavailable"]
    reasons: list[Reason]
    version: str
    checks: ChecksOut
    log: LogOut
