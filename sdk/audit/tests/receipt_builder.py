"""Receipts, made as their format says, without the package."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from log_builder import ORIGIN, Signer, canonical, moment

QUESTION = {
    "action": "email:send",
    "context": {"amount": {"currency": "EUR", "value": "12.50"}, "ip": "203.0.113.9", "weight": 1.50},
    "requiredScopes": ["email:send"],
    "resource": None,
    "token": hashlib.sha256(b"eyJ.token").hexdigest(),
}
# With the numbers as RFC 8785 spells them.
DIGEST = hashlib.sha256(canonical(QUESTION).encode()).hexdigest()


def payload(**changes: Any) -> dict[str, Any]:
    decision = {"allowed": True, "reason": None, "userId": "usr_1", "agentId": "agt_1", "consentId": "con_1"}
    return {
        "v": 1,
        "iss": ORIGIN,
        "iat": 1_767_225_600,
        "timestamp": moment(0),
        "auditId": "log_0",
        "question": DIGEST,
        "decision": {**decision, **changes.pop("decision", {})},
        **changes,
    }


def part(value: Any) -> str:
    data = value if isinstance(value, bytes) else canonical(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def sign(body: Any, signer: Signer | None = None, **header: Any) -> str:
    signer = signer or Signer()
    header = {"alg": "EdDSA", "kid": signer.id.hex(), "typ": "agentgate-receipt+jwt", **header}
    message = f"{part(header)}.{part(body)}"
    return f"{message}.{part(signer.private.sign(message.encode()))}"
