"""Receipts: signed statements of decisions. A service keeps them and can compare them with the log later."""

from collections.abc import Mapping
from typing import Any

import jwt

from audit.signing.log_keys import Signer
from core import secrets
from core.canonical import canonical_json, sha256
from core.clock import rfc3339
from decisions.requests import Decision

TYPE = "agentgate-receipt+jwt"
VERSION = 1


def sign_receipt(signer: Signer, decision: Decision, sent: Mapping[str, Any]) -> str | None:
    """Return the receipt of a decision as a JWS (RFC 7515), or None if the log has no entry of it.

    `sent` is the question as the service sent it, valid JSON with a token and scopes.
    """
    if decision.audit_id is None or decision.decided_at is None:
        return None
    payload = {
        "v": VERSION,
        "iss": signer.origin,
        "iat": int(decision.decided_at.timestamp()),
        "timestamp": rfc3339(decision.decided_at),
        "auditId": decision.audit_id,
        "question": digest_question(sent),
        "decision": {
            "allowed": decision.allowed,
            "reason": decision.reason,
            "userId": decision.user_id,
            "agentId": decision.agent_id,
            "consentId": decision.consent_id,
        },
    }
    headers = {"typ": TYPE, "kid": signer.key_id.hex()}
    return jwt.encode(payload, signer.private, algorithm="EdDSA", headers=headers)


def digest_question(sent: Mapping[str, Any]) -> str:
    """Return the digest that names a question without disclosing it, except to those who have its token."""
    question = {
        "action": sent.get("action"),
        "context": sent.get("context", {}),
        "requiredScopes": sent["requiredScopes"],
        "resource": sent.get("resource"),
        "token": secrets.digest(sent["token"]),
    }
    return sha256(canonical_json(question))
