"""Refusals of the front."""

from core.errors import DomainError
from core.ids import choose_request_id
from core.messages import Reply
from core.metrics import report_front_refusal
from server.errors import refuse
from server.front.failures import failures


def refusal(error: DomainError, target: str, offered_id: str) -> Reply:
    """Return the reply to a request for `target` that is refused. `offered_id` is its X-Request-Id."""
    report_front_refusal(error.status)
    request_id = choose_request_id(offered_id)
    failures.report(target, error.status, request_id)
    return refuse(error, target, request_id)
