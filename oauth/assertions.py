"""Client authentication with signed assertions: `private_key_jwt` (RFC 7521, RFC 7523).

PyJWT's `PyJWKSet` would parse every key of a client's set and return the first one with the id, even if it is for
encryption or for another algorithm.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from django.conf import settings
from jwt import PyJWK

from agents.errors import InvalidClient
from agents.models import Agent
from agents.registration import save_client_keys, use_assertion
from agents.selectors import agent_for_client_id
from agents.services import client_auth_attempt
from core import clock
from core.actor import Actor
from core.strict_json import MAX_DEPTH, is_jwt_too_deep
from oauth.client_metadata import public_jwks
from oauth.documents import DocumentUnavailable, fetch_document
from oauth.errors import OAuthError
from oauth.metadata import SIGNING_ALGORITHMS
from oauth.parameters import is_clean

CLIENT_KEYS_LIFETIME = timedelta(hours=1)

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
MAX_LENGTH = 8192
MAX_LIFETIME = timedelta(hours=1)
# An unknown kid may be a new key. Refetch at most this often, so that callers cannot make us flood the host.
MIN_REFETCH = timedelta(minutes=1)
# The allowed clock skew. A used assertion is remembered for as long as it would be accepted.
LEEWAY = timedelta(seconds=30)
LATEST = datetime(9999, 12, 31, tzinfo=UTC).timestamp()
UNREADABLE = (ValueError, TypeError, KeyError, OverflowError)


def stated_client_id(assertion: str) -> str:
    """Return the client that the assertion names, unverified. Empty if the assertion cannot be read."""
    if is_jwt_too_deep(assertion[:MAX_LENGTH]):
        return ""
    try:
        subject = jwt.decode(assertion[:MAX_LENGTH], options={"verify_signature": False}).get("sub")
    except (jwt.PyJWTError, *UNREADABLE):
        return ""
    return subject if isinstance(subject, str) and is_clean([subject]) else ""


def authenticate_by_assertion(*, actor: Actor, client_id: str, assertion: str) -> Agent:
    """Return the client that signed the assertion. Each assertion works only once.

    Raises `InvalidClient`, `Throttled`, and `OAuthError` if the assertion is malformed.
    """
    with client_auth_attempt(actor=actor, client_id=client_id):
        agent = agent_for_client_id(client_id)
        if agent is None or agent.token_endpoint_auth_method != Agent.AuthMethod.PRIVATE_KEY_JWT:
            raise InvalidClient("The client is unknown, or is not registered for private_key_jwt.")
        claims = _check(agent, assertion, actor)
        expires_at = _check_times(claims, clock.now())
        use_assertion(agent=agent, token_id=_token_id(claims), expires_at=expires_at + LEEWAY)
        return agent


def _check(agent: Agent, assertion: str, actor: Actor) -> dict[str, Any]:
    """Return the claims after checking signature, issuer and audience, but not times (RFC 7523 section 3)."""
    own = (settings.JWT_ISSUER, f"{settings.JWT_ISSUER}/token")
    if is_jwt_too_deep(assertion):
        raise _malformed(f"The assertion is nested deeper than {MAX_DEPTH} levels.")
    try:
        header = jwt.get_unverified_header(assertion[:MAX_LENGTH])
        key = _key(agent, header, actor)
        claims: dict[str, Any] = jwt.decode(
            assertion,
            key.key,
            algorithms=[header["alg"]],
            audience=own,
            issuer=agent.client_id,
            subject=agent.client_id,
            options={
                "require": ["iss", "sub", "aud"],
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
                "verify_jti": False,
            },
        )
    except (jwt.InvalidSignatureError, jwt.InvalidKeyError) as error:
        raise InvalidClient("The assertion's signature or claims are not valid.") from error
    except (jwt.DecodeError, *UNREADABLE) as error:
        raise _malformed("The assertion is not a valid JWT.") from error
    except jwt.PyJWTError as error:
        raise InvalidClient("The assertion's signature or claims are not valid.") from error
    # Another server that is named, too, could use the assertion here (draft-ietf-oauth-rfc7523bis).
    if isinstance(claims["aud"], list) and not set(claims["aud"]) <= set(own):
        raise InvalidClient("The assertion's aud names another server, too. Sign one for each server.")
    return claims


def _check_times(claims: Mapping[str, Any], now: datetime) -> datetime:
    """Return when the assertion expires. Raises `InvalidClient` unless it is current and its lifetime is bounded."""
    expires_at, earliest = _moment(claims, "exp"), now + LEEWAY
    if expires_at is None:
        raise InvalidClient("The assertion has no exp claim.")
    if expires_at <= now - LEEWAY:
        raise InvalidClient("The assertion has expired.")
    if expires_at > now + MAX_LIFETIME:
        raise InvalidClient("The assertion's exp is more than one hour ahead.")
    if any(moment > earliest for name in ("iat", "nbf") if (moment := _moment(claims, name))):
        raise InvalidClient("The assertion is not valid yet.")
    return expires_at


def _moment(claims: Mapping[str, Any], name: str) -> datetime | None:
    """Return a NumericDate claim (RFC 7519 section 2), or None if absent. Raises `OAuthError` if invalid."""
    if name not in claims:
        return None
    value = claims[name]
    # Comparisons with NaN are false, so the range check refuses it too.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= LATEST:
        raise _malformed(f"{name} must be a number of seconds since 1970.")
    return datetime.fromtimestamp(value, tz=UTC)


def _token_id(claims: Mapping[str, Any]) -> str:
    if "jti" not in claims:
        raise InvalidClient("The assertion has no jti claim.")
    token_id = claims["jti"]
    if not isinstance(token_id, str) or not token_id or not is_clean([token_id]):
        raise _malformed("jti must be a string without control characters.")
    return token_id


def _malformed(description: str) -> OAuthError:
    return OAuthError("invalid_client", description)


def _key(agent: Agent, header: dict[str, Any], actor: Actor) -> PyJWK:
    """Return the client's key that the header names. Raises `InvalidClient` or `KeyError`."""
    if header["alg"] not in SIGNING_ALGORITHMS or "crit" in header:
        raise InvalidClient("The assertion's algorithm is not supported.")
    key = _find(_keys(agent, header, actor), header)
    if key is None:
        raise InvalidClient("The client has no matching key. Check the assertion's kid and alg.")
    return key


def _find(jwks: Any, header: dict[str, Any]) -> PyJWK | None:
    """Return the key that matches the header's `kid` and algorithm. Without a `kid`, exactly one key must match."""
    keys = [key for key in jwks.get("keys", ()) if isinstance(key, dict) and key.get("use", "sig") == "sig"]
    named = [key for key in keys if key.get("kid") == header["kid"]] if "kid" in header else keys
    # RSA keys work with RS256 and PS256. Other keys have one algorithm each, which PyJWK reads from the key.
    fitting = [PyJWK({**key, "alg": header["alg"]}) for key in named if _fits(key, header["alg"])]
    return fitting[0] if len(fitting) == 1 else None


def _fits(key: dict[str, Any], algorithm: str) -> bool:
    kinds = {"ES256": ("EC", "P-256"), "EdDSA": ("OKP", "Ed25519"), "RS256": ("RSA", None), "PS256": ("RSA", None)}
    return key.get("alg", algorithm) == algorithm and kinds[algorithm] == (key.get("kty"), key.get("crv"))


def _keys(agent: Agent, header: dict[str, Any], actor: Actor) -> Any:
    """Return the client's JWK set. Fetch it again if it is old or lacks the key that the header names."""
    if not agent.jwks_uri:
        return agent.jwks or {}
    age = clock.now() - agent.jwks_fetched_at if agent.jwks_fetched_at else None
    is_old = age is None or age > CLIENT_KEYS_LIFETIME
    if is_old or (age is not None and age > MIN_REFETCH and _find(agent.jwks or {}, header) is None):
        try:
            document, _ = fetch_document(agent.jwks_uri, actor)
            save_client_keys(agent=agent, jwks=public_jwks(document))
        except (DocumentUnavailable, OAuthError) as error:
            raise InvalidClient("The client's keys could not be fetched from its jwks_uri.") from error
    return agent.jwks or {}
