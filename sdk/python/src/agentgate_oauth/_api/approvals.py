"""Approvals: looking at one, and waiting until its user has decided."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from .._call import Call, Credential, get, segment
from .._decode import reader
from .._effects import Flow, Sleep
from .._retry import RetryPolicy, perform
from ..errors import ApiError, ConnectionFailedError, RateLimitedError, ServerError
from ..models import Approval, Decision

PENDING, APPROVED, DENIED = "pending", "approved", "denied"
APPROVAL_REQUIRED = "approval_required"
# The API's maximum.
_WAIT_SECONDS = 30
# A server that answers at once instead of waiting is asked after these pauses, which double.
_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 8.0
# Errors are retried here, so that the pauses end in time.
_ONCE = RetryPolicy(attempts=1)


def get_approval(approval_id: str, wait: int = 0) -> Call[Approval]:
    """Return the call. With `wait`, the response comes once it is decided, or after that many seconds."""
    call = get(f"/approvals/{segment(approval_id)}", reader(Approval), wait=wait or None)
    return replace(call, patience=float(wait))


def checked_patience(wait_for_approval: timedelta | None) -> float | None:
    """Return the number of seconds. Raises TypeError or ValueError."""
    if wait_for_approval is None:
        return None
    if not isinstance(wait_for_approval, timedelta):
        raise TypeError("wait_for_approval must be a timedelta, such as timedelta(minutes=5)")
    if wait_for_approval < timedelta(0):
        raise ValueError("wait_for_approval must not be negative")
    return wait_for_approval.total_seconds()


def decide(
    ask: Callable[[], Flow[Decision]], seconds: float | None, credential: Credential
) -> Flow[Decision]:
    """Return the decision that `ask` gets. If that needs an approval, wait for it, and ask again once it is
    there.

    Otherwise the decision is the first one, with the approval's status: denied (before or while waiting),
    expired, used (by another request) or, if the time is up, pending.
    """
    decision = yield from ask()
    if seconds is None or decision.reason != APPROVAL_REQUIRED or decision.approval_id is None:
        return decision
    if decision.approval_status == DENIED:
        return decision
    status = yield from wait_for_approval(decision.approval_id, seconds, credential)
    if status == APPROVED:
        return (yield from ask())
    return replace(decision, approval_status=status)


def wait_for_approval(approval_id: str, seconds: float, credential: Credential) -> Flow[str]:
    """Wait until the approval is decided, for at most that many seconds. Return its status then.

    Errors that pass, such as 429 or a cut connection, do not end the waiting. Others are raised.
    """
    deadline, pause = time.monotonic() + seconds, _FIRST_PAUSE_SECONDS
    while True:
        began = time.monotonic()
        wait = max(0, min(_WAIT_SECONDS, int(deadline - began)))
        status, asked_pause = yield from _look(approval_id, wait, credential)
        now = time.monotonic()
        if status != PENDING or now >= deadline:
            return status
        if asked_pause is None and wait and now - began >= wait - 1:
            pause = _FIRST_PAUSE_SECONDS
            continue
        yield Sleep(min(max(pause, asked_pause or 0.0), deadline - now))
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


def _look(approval_id: str, wait: int, credential: Credential) -> Flow[tuple[str, float | None]]:
    """Return the status, and for how many seconds the server asks to pause: None after a normal answer."""
    try:
        approval = yield from perform(get_approval(approval_id, wait), credential, _ONCE)
    except (RateLimitedError, ServerError, ConnectionFailedError) as error:
        return PENDING, (error.retry_after if isinstance(error, ApiError) else None) or 0.0
    return approval.status, None
