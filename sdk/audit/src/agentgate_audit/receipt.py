"""Verify a receipt: a decision, signed by the log's key (RFC 7515) when the service asked."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from .canonical import canonicalize
from .encoding import decode_base64url
from .entries import Entry
from .errors import Broken, Unusable, quote
from .note import VerifierKey
from .strict_json import parse_json, read_integer, read_object, read_text
from .times import parse_time

TYPE = "agentgate-receipt+jwt"
_COMPACT = re.compile(r"[\w-]+\.[\w-]+\.[\w-]*", re.ASCII)
_MEMBERS = {"v", "iss", "iat", "timestamp", "auditId", "question", "decision"}
_DECISION = {"allowed", "reason", "userId", "agentId", "consentId"}
_DIGEST = re.compile(r"[0-9a-f]{64}")
_QUESTION = {"token", "requiredScopes"}
_OPTIONAL = frozenset({"action", "context", "resource", "receipt"})


def verify_receipt(text: str, key: VerifierKey) -> dict[str, Any]:
    """Return what a receipt says. Raises `Broken`, and `Unusable` if it is not a receipt."""
    if not _COMPACT.fullmatch(text.strip()):
        raise Unusable("not a receipt: a receipt is a JWS in compact form")
    parts = text.strip().split(".")
    header, payload, signature = (
        decode_base64url(part, f"the receipt's {name}")
        for part, name in zip(parts, ("header", "payload", "signature"), strict=True)
    )
    expected = {"alg": "EdDSA", "kid": key.id.hex(), "typ": TYPE}
    if (found := parse_json(header)) != expected:
        raise Broken(f"the receipt's header is not that of a receipt by {key.name}: {quote(found)}")
    if not key.verifies(".".join(parts[:2]).encode(), signature):
        raise Broken("the receipt's signature is not valid")
    return _read_payload(parse_json(payload), key)


def read_decision(text: str) -> dict[str, Any]:
    """Return a decision in JSON, with its `receipt`. A JWS alone becomes that member. Raises `Unusable`."""
    if not text.lstrip().startswith("{"):
        return {"receipt": text}
    try:
        decision: dict[str, Any] = parse_json(text)
    except Broken as error:
        raise Unusable(f"the decision {error}") from None
    if not isinstance(decision.get("receipt"), str):
        raise Unusable("the decision has no receipt")
    if "allowed" not in decision:
        raise Unusable("the decision has no 'allowed'")
    return decision


def match_decision(receipt: dict[str, Any], decision: dict[str, Any]) -> None:
    """Check that the members of the decision are those of its receipt. Raises `Broken`."""
    signed = {"auditId": receipt["auditId"], **receipt["decision"]}
    for name in sorted(signed.keys() & decision.keys()):
        # 1 is not true, though Python says that they are equal.
        if type(decision[name]) is not type(signed[name]) or decision[name] != signed[name]:
            raise Broken(f"{name} is {quote(decision[name])} in the decision and {quote(signed[name])} in its receipt")


def match_question(receipt: dict[str, Any], question: Any) -> None:
    """Check that the receipt is about this question: the body that the service sent. Raises `Broken`."""
    if digest_question(question) != receipt["question"]:
        raise Broken("the receipt is about another question")


def digest_question(question: Any) -> str:
    """Return the digest of a question. Its `token` is the access token, or the SHA-256 of it in hexadecimal."""
    try:
        members = read_object(question, "the question", _QUESTION, _OPTIONAL)
        token = read_text(members["token"], "token")
    except Broken as error:
        raise Unusable(str(error)) from None
    canonical = {
        "action": members.get("action"),
        "context": members.get("context") or {},
        "requiredScopes": members["requiredScopes"],
        "resource": members.get("resource"),
        "token": token if _DIGEST.fullmatch(token) else hashlib.sha256(token.encode()).hexdigest(),
    }
    return hashlib.sha256(canonicalize(canonical).encode()).hexdigest()


def match_entry(receipt: dict[str, Any], entry: Entry) -> None:
    """Check that the entry of the log is about the same decision. Raises `Broken`."""
    decision = receipt["decision"]
    expected = {
        "id": receipt["auditId"],
        "event": "token.verify",
        "timestamp": receipt["timestamp"],
        "outcome": "allowed" if decision["allowed"] else "denied",
        **{name: decision[name] for name in ("reason", "userId", "agentId", "consentId")},
    }
    for name, value in expected.items():
        if entry.record[name] != value:
            found = quote(entry.record[name])
            raise Broken(f"index {entry.index}: {name} is {found} in the log and {quote(value)} in the receipt")


def _read_payload(payload: Any, key: VerifierKey) -> dict[str, Any]:
    found = read_object(payload, "the receipt", _MEMBERS)
    decision = read_object(found["decision"], "the receipt's decision", _DECISION)
    if found["v"] != 1 or found["iss"] != key.name:
        raise Broken(f"the receipt is of another version or log: {quote([found['v'], found['iss']])}")
    read_integer(found["iat"], "iat")
    parse_time(found["timestamp"], "the receipt's timestamp")
    read_text(found["auditId"], "auditId")
    if not _DIGEST.fullmatch(read_text(found["question"], "question")) or type(decision["allowed"]) is not bool:
        raise Broken("the receipt has no question or decision")
    return found
