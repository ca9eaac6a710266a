"""The usual body of `POST /tokens/verify`, read without the model, which would take four times as long.

A body is usual if it is short and has only the fields below, in the form that most have. For any other, or if it is
doubtful whether it is valid, `read_usual` returns None. Then the parser and the model read it or refuse it.
Danger: what is returned must be what they would read. `tests/api/test_usual_bodies.py` compares both.
"""

from collections.abc import Mapping
from typing import Any, TypeGuard

import orjson

from api.parsers import parse_object
from api.v1.schemas.tokens import MAX_ACTION, MAX_RESOURCE, MAX_SCOPES
from core.actor import Actor
from core.canonical import encode_common
from core.errors import DomainError
from core.net import canonical_address
from decisions.requests import Credential, VerifyRequest
from resources.catalogue import SCOPE_ID

# So short that no limit on the number of values, or on the size of the context, can be exceeded.
MAX_USUAL = 4 * 1024
FIELDS = frozenset(("token", "requiredScopes", "action", "resource", "context"))
SCALARS = frozenset((str, int, bool, type(None)))
NUL = rb"\u0000"


def read_usual(body: bytes, actor: Actor, credential: Credential | None) -> VerifyRequest | None:
    """Return the request of a usual body, or None."""
    sent = _load(body) if len(body) <= MAX_USUAL else None
    if sent is None or not sent.keys() <= FIELDS:
        return None
    token, scopes, context = sent.get("token"), sent.get("requiredScopes"), sent.get("context", {})
    if type(token) is not str or not token or not _are_scopes(scopes) or not _is_context(context):
        return None
    if not (_has_line(sent, "action", MAX_ACTION) and _has_line(sent, "resource", MAX_RESOURCE)):
        return None
    encoded = encode_common(context) if context else b""
    return VerifyRequest(token, scopes, actor, credential, sent.get("action"), sent.get("resource"), context, encoded)


def _load(body: bytes) -> dict[str, Any] | None:
    """Return the object in `body` if every parser reads it the same way and it contains no NUL.

    So they do if it is exactly what orjson would write, and has no floats and no deep nesting, which are refused below.
    orjson itself stops at 1,024 levels, for which a small stack has room. The strict parser, which takes longer, reads
    bodies with spaces or with escapes that are not needed.
    """
    if NUL in body:
        return None
    try:
        sent = orjson.loads(body)
        is_exact = orjson.dumps(sent, option=orjson.OPT_STRICT_INTEGER) == body
        sent = sent if is_exact else parse_object(body)
    except (ValueError, TypeError, DomainError):
        return None
    return sent if type(sent) is dict else None


def _are_scopes(scopes: Any) -> TypeGuard[list[str]]:
    if type(scopes) is not list or not 0 < len(scopes) <= MAX_SCOPES:
        return False
    # A loop, because most requests have one.
    for scope in scopes:  # noqa: SIM110
        if type(scope) is not str or not SCOPE_ID.fullmatch(scope):
            return False
    return True


def _has_line(sent: Mapping[str, Any], name: str, most: int) -> bool:
    """Return whether the field is missing, or a line of ASCII that the model would not change."""
    if name not in sent:
        return True
    line = sent[name]
    if type(line) is not str or not 0 < len(line) <= most:
        return False
    return line.isascii() and line.isprintable() and " ".join(line.split()) == line


def _is_context(context: Any) -> bool:
    """Return whether this is an object with scalars, and lists and objects of scalars, but no floats.

    Its names are in ASCII, so `encode_common` may encode it. Its address, if it has one, is in the canonical form.
    """
    if type(context) is not dict or not "".join(context).isascii():
        return False
    if not SCALARS.issuperset(map(type, context.values())) and not all(map(_is_flat, context.values())):
        return False
    return "ip" not in context or _is_canonical(context["ip"])


def _is_flat(value: Any) -> bool:
    kind = type(value)
    if kind is dict:
        return "".join(value).isascii() and SCALARS.issuperset(map(type, value.values()))
    return kind in SCALARS or (kind is list and SCALARS.issuperset(map(type, value)))


def _is_canonical(address: Any) -> bool:
    return type(address) is str and canonical_address(address) == address
