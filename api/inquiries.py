"""The inquiries of the verify endpoints, for Django's views and for the event loop."""

from collections.abc import Sequence
from typing import Any

import orjson

from api.v1.schemas.tokens import VerifyBatchBody, VerifyRequestBody, show_decision
from core.actor import Actor
from core.messages import Reply
from decisions.inquiries import Inquiry
from decisions.requests import Credential, Decision, VerifyRequest

HEADERS = (("Content-Type", "application/json"), ("Cache-Control", "no-store"))


def verify_inquiry(body: VerifyRequestBody, actor: Actor, credential: Credential | None) -> Inquiry:
    """Return the inquiry of `POST /tokens/verify`."""
    return Inquiry([_request(body, actor, credential)], _show_one)


def batch_inquiry(body: VerifyBatchBody, actor: Actor, credential: Credential | None) -> Inquiry:
    """Return the inquiry of `POST /tokens/verify/batch`."""
    return Inquiry([_request(each, actor, credential) for each in body.requests], _show_all)


def json_reply(value: Any) -> Reply:
    """Return a 200 with this JSON, which no cache may store."""
    return Reply(200, HEADERS, orjson.dumps(value))


def _request(body: VerifyRequestBody, actor: Actor, credential: Credential | None) -> VerifyRequest:
    return VerifyRequest(
        token=body.token,
        required_scopes=body.required_scopes,
        actor=actor,
        credential=credential,
        action=body.action,
        resource=body.resource,
        context=body.context,
    )


def _show_one(decisions: Sequence[Decision]) -> Reply:
    (decision,) = decisions
    return json_reply(show_decision(decision))


def _show_all(decisions: Sequence[Decision]) -> Reply:
    return json_reply({"decisions": [show_decision(decision) for decision in decisions]})
