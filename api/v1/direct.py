"""The verify endpoints in the event loop. Unusual requests, such as invalid ones, are left to Django's views."""

from typing import Any

from django.http import HttpRequest, QueryDict

from api.endpoint import Endpoint
from api.forwarding import for_caller, forwarding_inquiry, own_parameters
from api.inquiries import batch_inquiry, count_receipts, usual_inquiry, verify_inquiry
from api.operations import read_query
from api.parsers import count_containers, parse_object
from api.problems import as_domain_error, render_problem
from api.v1.forward_auth import ForwardAuth
from api.v1.schemas.tokens import ForwardAuthQuery, VerifyBatchBody, VerifyRequestBody
from api.v1.tokens import Verify, VerifyBatch
from api.v1.usual import read_usual
from audit.signing import log_keys
from core.actor import Actor
from core.http import BASIC_CHALLENGE
from core.messages import NotDirect, Reply, Request, once_per_head
from core.validation import parse
from decisions.callers import read_credential
from decisions.inquiries import DirectEndpoint, Inquiry
from decisions.requests import Credential

# A batch of 100 usual questions has 70 KB, and 400 objects and arrays. Parsing 2 MB takes 0.3 s and would block the
# event loop, and so would parsing 60,000 empty objects or texts, so a thread does that.
MAX_BODY = 128 * 1024
MAX_CONTAINERS = 1000
MAX_COMMAS = 5000
# Signing one takes up to 0.2 ms.
MAX_RECEIPTS = 10


def verify(request: Request, actor: Actor) -> Inquiry:
    usual = read_usual(request.body, actor, _caller_of_json(request))
    if usual is not None and "idempotency-key" not in request.headers:
        return usual_inquiry(usual)
    sent = _read_json(request)
    body = parse(VerifyRequestBody, sent)
    _require_key(body)
    return verify_inquiry(body, sent, actor, request.headers)


def verify_batch(request: Request, actor: Actor) -> Inquiry:
    sent = _read_json(request)
    body = parse(VerifyBatchBody, sent)
    _require_key(body)
    return batch_inquiry(body, sent, actor, request.headers)


def forward_auth(request: Request, actor: Actor) -> Inquiry | Reply:
    _require_method(request)
    query = read_query(ForwardAuthQuery, own_parameters(QueryDict(request.query)))
    return forwarding_inquiry(request.headers, query, actor)


def forward_auth_below(request: Request, actor: Actor) -> Inquiry | Reply:
    """Like `forward_auth`, where the query is the caller's."""
    _require_method(request)
    return forwarding_inquiry(request.headers, read_query(ForwardAuthQuery, QueryDict()), actor)


def fail(error: BaseException, request_id: str) -> Reply:
    return render_problem(as_domain_error(error), request_id, BASIC_CHALLENGE)


def fail_forwarded(error: BaseException, request_id: str) -> Reply:
    return render_problem(for_caller(as_domain_error(error)), request_id)


def _require_key(body: VerifyRequestBody | VerifyBatchBody) -> None:
    """Leave a request to Django that needs many receipts, or any before this process has loaded their key."""
    receipts = count_receipts(body)
    if receipts > MAX_RECEIPTS or (receipts and log_keys.loaded() is None):
        raise NotDirect


def _require_method(request: Request) -> None:
    """Leave methods that the view refuses, such as PROPFIND, to it."""
    if request.method not in FORWARDED_METHODS:
        raise NotDirect


def _read_json(request: Request) -> dict[str, Any]:
    """Return the JSON object in the body of a POST. Raises `NotDirect`, or `DomainError` for a malformed body."""
    _caller_of_json(request)
    if not 0 < len(request.body) <= MAX_BODY:
        raise NotDirect
    if count_containers(request.body) > MAX_CONTAINERS or request.body.count(b",") > MAX_COMMAS:
        raise NotDirect
    return parse_object(request.body)


@once_per_head
def _caller_of_json(request: Request) -> Credential | None:
    """Return the credential of a POST of JSON. Leave other requests to Django."""
    require_json_post(request)
    return read_credential(request.headers)


@once_per_head
def require_json_post(request: Request) -> None:
    """Leave other requests than a POST of JSON to Django."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.method != "POST" or media_type != "application/json":
        raise NotDirect


def headers_of(view: type[Endpoint]) -> tuple[tuple[str, str], ...]:
    """Return the headers of all responses of a view, which answers HEAD if it answers GET."""
    ready = view()
    ready.setup(HttpRequest())
    return (("Allow", ", ".join(ready.allowed_methods)),)


FORWARDED_METHODS = frozenset(ForwardAuth().allowed_methods)
ENDPOINTS = {
    "/api/v1/tokens/verify": DirectEndpoint(verify, fail, headers_of(Verify)),
    "/api/v1/tokens/verify/batch": DirectEndpoint(verify_batch, fail, headers_of(VerifyBatch)),
    "/api/v1/forward-auth": DirectEndpoint(forward_auth, fail_forwarded, headers_of(ForwardAuth)),
}
PREFIXES = {"/api/v1/forward-auth/": DirectEndpoint(forward_auth_below, fail_forwarded, headers_of(ForwardAuth))}
