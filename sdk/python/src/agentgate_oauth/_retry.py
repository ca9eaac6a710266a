"""Send a call, and repeat it if that is safe."""

from __future__ import annotations

import logging
import random
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import httpx

from ._call import Call, Credential
from ._effects import Flow, NetworkFailure, Sleep
from ._json import read_json
from .errors import ApiError, ConnectionFailedError, FieldProblem, UnexpectedResponseError, error_class

T = TypeVar("T")
logger = logging.getLogger("agentgate_oauth")

# The code of a 503 that came too late: the server may have carried out the request, or may still do so.
OUTCOME_UNKNOWN = "outcome_unknown"
# The longest window of a limit. A longer one in a response is cut to this.
MAX_RETRY_AFTER = 31 * 24 * 3600.0


@dataclass(frozen=True)
class RetryPolicy:
    """How often to try, and how long to wait. Times are in seconds.

    A pause is random, up to `base_seconds`, which doubles with each attempt up to `cap_seconds`. It is added
    to any `Retry-After`. If the pauses of one call would exceed `max_wait_seconds` in total, the error is
    raised at once, with its `retry_after`.
    """

    attempts: int = 4
    base_seconds: float = 0.25
    cap_seconds: float = 4.0
    max_wait_seconds: float = 15.0


def perform(call: Call[T], credential: Credential, policy: RetryPolicy) -> Flow[T]:
    """Send the call and return its parsed response.

    Any call is repeated after 429 or 503, when the server did not act, and after a connection that failed
    before the request was sent. If the response was lost, or its code is `outcome_unknown`, only a replayable
    call is repeated. Raises `ApiError`, `ConnectionFailedError` or `UnexpectedResponseError`.
    """
    waited = 0.0
    attempt = 1
    while True:
        outcome = yield call.as_send(credential)
        logger.debug("%s %s attempt %d: %s", call.method, call.path, attempt, _summary(outcome))
        pause = _pause(outcome, attempt, policy)
        patient = attempt < policy.attempts and waited + pause <= policy.max_wait_seconds
        if not (patient and _may_retry(call, outcome)):
            return _conclude(call, outcome)
        yield Sleep(pause)
        waited += pause
        attempt += 1


def _may_retry(call: Call[Any], outcome: httpx.Response | NetworkFailure) -> bool:
    if isinstance(outcome, NetworkFailure):
        return call.replayable or not outcome.maybe_received
    if outcome.status_code in (429, 503) and not _is_outcome_unknown(outcome):
        return True
    return call.replayable and outcome.status_code in (500, 502, 503, 504)


def _is_outcome_unknown(response: httpx.Response) -> bool:
    return response.status_code == 503 and _problem(response).get("code") == OUTCOME_UNKNOWN


def _pause(outcome: httpx.Response | NetworkFailure, attempt: int, policy: RetryPolicy) -> float:
    ceiling = min(policy.cap_seconds, policy.base_seconds * 2 ** (attempt - 1))
    asked = None if isinstance(outcome, NetworkFailure) else retry_after(outcome)
    # Jitter spreads the retries after an outage. It is not security-sensitive.
    return (asked or 0.0) + random.uniform(0, ceiling)


def retry_after(response: httpx.Response) -> float | None:
    """Return the seconds that `Retry-After` asks for (RFC 9110 section 10.2.3), None if unreadable.

    They are between 0 and `MAX_RETRY_AFTER`.
    """
    text = response.headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return min(float(text), MAX_RETRY_AFTER)
    try:
        wait: timedelta = parsedate_to_datetime(text) - datetime.now(timezone.utc)
        return min(max(0.0, wait.total_seconds()), MAX_RETRY_AFTER)
    except (TypeError, ValueError, OverflowError):
        return None


def _conclude(call: Call[T], outcome: httpx.Response | NetworkFailure) -> T:
    if isinstance(outcome, NetworkFailure):
        raise connection_error(outcome)
    if outcome.is_success:
        return _parse(call, outcome)
    raise api_error(outcome)


def _parse(call: Call[T], response: httpx.Response) -> T:
    document = None if response.status_code == 204 else _json(response)
    try:
        return call.parse(document)
    except UnexpectedResponseError as error:
        problem = str(error)
    # A new exception, without the parser's frames: their variables contain the document with its secrets.
    del document
    raise UnexpectedResponseError(problem)


def _json(response: httpx.Response) -> Any:
    try:
        return read_json(response.content)
    except ValueError:
        problem = f"status {response.status_code} without valid JSON"
    # Raised outside the handler, because the decoder's exception contains the document.
    raise UnexpectedResponseError(problem)


def _problem(response: httpx.Response) -> dict[str, Any]:
    """Return the document of an error, or an empty one if it is unreadable."""
    try:
        problem = read_json(response.content)
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}


def connection_error(failure: NetworkFailure) -> ConnectionFailedError:
    return ConnectionFailedError(failure.kind, failure.maybe_received, failure.url, failure.cause)


def api_error(response: httpx.Response) -> ApiError:
    problem = _problem(response)
    code = str(problem.get("code") or problem.get("error") or f"http_{response.status_code}")
    return error_class(code, response.status_code)(
        code,
        response.status_code,
        detail=str(problem.get("detail") or problem.get("error_description") or problem.get("title") or ""),
        request_id=str(response.headers.get("X-Request-Id") or problem.get("requestId") or "") or None,
        errors=_field_problems(problem.get("errors")),
        retry_after=retry_after(response),
    )


def _field_problems(errors: object) -> list[FieldProblem]:
    rows = errors if isinstance(errors, list) else []
    return [FieldProblem(str(r.get("field")), str(r.get("message"))) for r in rows if isinstance(r, dict)]


def _summary(outcome: httpx.Response | NetworkFailure) -> str:
    return outcome.kind if isinstance(outcome, NetworkFailure) else str(outcome.status_code)
