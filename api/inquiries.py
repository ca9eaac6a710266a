"""The inquiries of the verify endpoints, for Django's views and for the event loop."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import orjson

from api.v1.schemas.tokens import VerifyBatchBody, VerifyRequestBody, encode_decision, show_decision
from audit.signing import log_keys
from core.actor import Actor
from core.errors import NotAuthenticated
from core.messages import Reply
from decisions.callers import read_credential
from decisions.inquiries import Inquiry
from decisions.receipts import sign_receipt
from decisions.repeats import repeat_of
from decisions.requests import Credential, Decision, VerifyRequest
from limits.counting import MAX_PER_REQUEST, Room

# Questions as they were sent, for the decisions that need a receipt.
Sent = Mapping[str, Any]
Receipts = Sequence[Sent | None]
Headers = Mapping[str, str]
HEADERS = (("Content-Type", "application/json"), ("Cache-Control", "no-store"))


def verify_inquiry(body: VerifyRequestBody, sent: Sent, actor: Actor, headers: Headers) -> Inquiry:
    """Return the inquiry of `POST /tokens/verify`. `sent` is the body before it was normalized.

    Raises `NotAuthenticated` for an unreadable or missing credential, and `Invalid` for an unusable `Idempotency-Key`.
    """
    show = partial(_show_signed, sent) if body.receipt else _show_one
    return Inquiry(_requests([body], "verify", sent, actor, headers), show)


def usual_inquiry(request: VerifyRequest) -> Inquiry:
    """Return the inquiry of a `POST /tokens/verify` that asks for no receipt."""
    return Inquiry([request], _show_one)


def batch_inquiry(body: VerifyBatchBody, sent: Sent, actor: Actor, headers: Headers) -> Inquiry:
    """Return the inquiry of `POST /tokens/verify/batch`, likewise."""
    receipts = [own if each.receipt else None for each, own in zip(body.requests, sent["requests"], strict=True)]
    return Inquiry(_requests(body.requests, "batch", sent, actor, headers), partial(_show_all, receipts))


def count_receipts(body: VerifyRequestBody | VerifyBatchBody) -> int:
    """Return how many decisions are to be signed, for which `audit.signing.log_keys` must have loaded the key."""
    return sum(each.receipt for each in (body.requests if isinstance(body, VerifyBatchBody) else [body]))


def json_reply(value: Any) -> Reply:
    """Return a 200 with this JSON, which no cache may store."""
    return Reply(200, HEADERS, orjson.dumps(value))


def _requests(
    bodies: Sequence[VerifyRequestBody], path: str, sent: Sent, actor: Actor, headers: Headers
) -> list[VerifyRequest]:
    credential, key = read_credential(headers), headers.get("idempotency-key")
    tokens = (body.token for body in bodies)
    repeat = None if key is None else repeat_of(key, path, sent, tokens, credential)
    requests = [_request(body, actor, credential) for body in bodies]
    if len(requests) > 1:
        room, shadow_room = Room(MAX_PER_REQUEST), Room(MAX_PER_REQUEST)
        requests = [request._replace(room=room, shadow_room=shadow_room) for request in requests]
    if repeat is None or not any(request.reserve_seconds for request in requests):
        return requests
    return [request._replace(repeat=repeat._replace(place=place)) for place, request in enumerate(requests)]


def _request(body: VerifyRequestBody, actor: Actor, credential: Credential | None) -> VerifyRequest:
    """Return the request of a body. Raises `NotAuthenticated` for `explain` without a credential."""
    if body.explain and credential is None:
        raise NotAuthenticated("Only a resource server may ask for a trace: send res_...:rs_... as HTTP Basic.")
    return VerifyRequest(
        token=body.token,
        required_scopes=body.required_scopes,
        actor=actor,
        credential=credential,
        action=body.action,
        resource=body.resource,
        context=body.context,
        explains=body.explain,
        reserve_seconds=body.reserve_seconds,
    )


def _show_one(decisions: Sequence[Decision]) -> Reply:
    (decision,) = decisions
    return Reply(200, HEADERS, encode_decision(decision))


def _show_signed(sent: Sent, decisions: Sequence[Decision]) -> Reply:
    (decision,) = decisions
    return json_reply(_show(decision, sent))


def _show_all(receipts: Receipts, decisions: Sequence[Decision]) -> Reply:
    return json_reply({"decisions": list(map(_show, decisions, receipts))})


def _show(decision: Decision, sent: Sent | None) -> dict[str, Any]:
    shown = show_decision(decision)
    if sent is not None:
        receipt = sign_receipt(log_keys.load(), decision, sent)
        shown |= {"receipt": receipt} if receipt else {}
    return shown
