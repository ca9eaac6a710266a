"""Refusals of the front: problem details (RFC 9457), or OAuth errors (RFC 6749 section 5.2) below `/oauth/`."""

from api.problems import problem_reply
from core.errors import DomainError, Unavailable
from core.ids import choose_request_id
from core.messages import Reply
from core.metrics import report_front_refusal
from oauth.errors import UNAVAILABLE, OAuthError, error_reply


def refusal(error: DomainError, target: str, offered_id: str) -> Reply:
    """Return the reply to a request for `target` that is refused. `offered_id` is its X-Request-Id."""
    report_front_refusal(error.status)
    request_id = choose_request_id(offered_id)
    if not target.startswith("/oauth/"):
        return problem_reply(error, request_id)
    oauth = UNAVAILABLE if isinstance(error, Unavailable) else OAuthError("invalid_request", error.detail, error.status)
    reply = error_reply(oauth)
    return Reply(reply.status, [*reply.headers, ("X-Request-Id", request_id)], reply.body)
