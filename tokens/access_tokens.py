"""Access tokens as signed JWTs (RFC 9068). Reading one needs no I/O except to load its key.

A token's claims prove nothing until the row of its `jti` has been read, which `decisions` does.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import jwt
from django.conf import settings

from consent.targets import Details, granted_details
from tokens.chains import Handover, narrow_targets
from tokens.keys import VerifyingKey, current_key, verification_key
from tokens.models import AccessToken, TokenFamily

TOKEN_TYPE = "at+jwt"
ALLOWED_HEADERS = frozenset({"alg", "kid", "typ"})
# Our tokens are usually below 2 KB. The limits of claims (`resources.audiences`, `consent.targets`) keep all below
# this. Longer input is rejected before it is parsed.
MAX_TOKEN_LENGTH = 16 * 1024
# The header is parsed before the signature is checked. Ours has about 120 characters, so strangers cannot nest deeply.
MAX_HEADER_LENGTH = 512
# Returns the key with an ID, or None.
FindKey = Callable[[object], VerifyingKey | None]
# Decoders ignore padding and whitespace, which would make another spelling of the same token (RFC 7515 section 2).
COMPACT_JWS = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of a token that we signed. `user_id` and `consent_id` are None for client credentials."""

    token_id: str
    client_id: str
    user_id: str | None
    consent_id: str | None
    scopes: tuple[str, ...]
    audience: tuple[str, ...]
    expires_at: datetime
    delegations: tuple[str, ...] = ()
    """The path of the delegation by which the client acts, if another agent handed it the work."""


def sign_access_token(token: AccessToken, *, issued_at: datetime, chain: Sequence[Handover] = ()) -> str:
    """Return the JWT for a stored token (RFC 9068 section 2.2), signed with the current key.

    Its claim `authorization_details` is what the user grants now (RFC 9396 section 9.1). Verify reads the live terms.
    By `sid`, the family, and `org_id`, the agent's organization, services that check tokens offline know that one has
    ended (`events.revocations`). What they do not learn otherwise is in the token: it ends with its consent at the
    latest, and is `paused` if the user was pausing the agent when it was issued.
    For the same reason, each agent of a `chain` that handed the work over is in the claim `act` (RFC 8693 section 4.1)
    with its `sid` and `org_id`, from the client to the first agent. `delegations` are their ids in the other order.
    """
    key = current_key()
    agent, family = token.application, token.family
    consent = family.consent
    expires = min(token.expires, consent.expires_at) if consent else token.expires
    claims: dict[str, Any] = {
        "iss": settings.JWT_ISSUER,
        "sub": token.user_id or agent.client_id,
        "aud": token.resource[0] if len(token.resource) == 1 else token.resource,
        "client_id": agent.client_id,
        "scope": token.scope,
        "jti": token.id,
        "iat": int(issued_at.timestamp()),
        "exp": int(expires.timestamp()),
        "sid": family.id,
    }
    if agent.organization_id:
        claims["org_id"] = agent.organization_id
    if consent:
        claims["consent_id"] = consent.id
        if consent.is_paused:
            claims["paused"] = True
    if chain:
        claims["act"] = _actors(agent.client_id, chain)
        claims["delegations"] = [each.delegation_id for each in chain]
    details = details_of(family, token.scope.split(), chain)
    if details:
        claims["authorization_details"] = details
    return jwt.encode(claims, key.key, algorithm=key.algorithm, headers={"typ": TOKEN_TYPE, "kid": key.kid})


def details_of(family: TokenFamily, scopes: Sequence[str], chain: Sequence[Handover] = ()) -> Details:
    """Return the authorization details of the scopes that the user and the chain allow the family (RFC 9396)."""
    if family.consent is None:
        return []
    return granted_details(narrow_targets(chain, family.consent.targets, scopes), scopes)


def _actors(client_id: str, chain: Sequence[Handover]) -> dict[str, Any]:
    """Return the claim `act`: the client, and within it those who acted before (RFC 8693 section 4.1)."""
    actors: dict[str, Any] = {}
    for each in chain:
        earlier = {"act": actors} if actors else {}
        actors = {"sub": each.client_id, "sid": each.family_id, "org_id": each.organization_id, **earlier}
    return {"sub": client_id, "act": actors}


def read_access_token(token: str, find_key: FindKey = verification_key) -> Claims | None:
    """Return the claims of a token that we signed, expired or not. None for anything else.

    Raises only what `find_key` raises.
    """
    if len(token) > MAX_TOKEN_LENGTH or not COMPACT_JWS.fullmatch(token) or token.index(".") > MAX_HEADER_LENGTH:
        return None
    try:
        return _read(token, find_key)
    except (jwt.InvalidTokenError, ValueError, TypeError, KeyError, OverflowError):
        return None


def _read(token: str, find_key: FindKey) -> Claims | None:
    header = jwt.get_unverified_header(token)
    if set(header) != ALLOWED_HEADERS or header["typ"] != TOKEN_TYPE:
        return None
    key = find_key(header["kid"])
    if key is None or header["alg"] != key.algorithm:
        return None
    claims = jwt.decode(
        token,
        key.key,
        algorithms=[key.algorithm],
        issuer=settings.JWT_ISSUER,
        options={
            "require": ["iss", "sub", "aud", "client_id", "scope", "jti", "iat", "exp"],
            "verify_aud": False,
            "verify_exp": False,
            "verify_iat": False,
        },
    )
    return _parse(claims)


def _parse(claims: dict[str, Any]) -> Claims:
    consent_id = claims.get("consent_id")
    audience = claims["aud"]
    return Claims(
        token_id=claims["jti"],
        client_id=claims["client_id"],
        user_id=claims["sub"] if consent_id else None,
        consent_id=consent_id,
        scopes=tuple(claims["scope"].split()),
        audience=(audience,) if isinstance(audience, str) else tuple(audience),
        expires_at=datetime.fromtimestamp(claims["exp"], tz=UTC),
        delegations=tuple(claims.get("delegations", ())),
    )


def create_access_token(
    *,
    family: TokenFamily,
    scopes: Sequence[str],
    now: datetime,
    resource: Sequence[str] = (),
    chain: Sequence[Handover] = (),
) -> tuple[AccessToken, str]:
    """Return an access token of the family, which is not stored yet, and its JWT.

    It is valid for 15 minutes, from a whole second, or until its delegation ends. Its audience is `resource` or, if
    that is empty, the family's. `chain` are the delegations by which its agent acts.

    Raises `ValueError` for the family of a delegation without its chain: verify would not see what bounds the token.
    """
    if (family.delegation_id or None) != (chain[-1].delegation_id if chain else None):
        raise ValueError("A token says by which delegation its agent acts.")
    issued_at = now.replace(microsecond=0)
    audience = list(resource) or family.resource
    token = AccessToken(
        family=family,
        application=family.application,
        user_id=family.user_id,
        scope=" ".join(scopes),
        resource=audience,
        resource_owners={name: owner for name, owner in family.resource_owners.items() if name in audience},
        expires=min([issued_at + settings.ACCESS_TOKEN_LIFETIME, *(each.expires_at for each in chain)]),
    )
    return token, sign_access_token(token, issued_at=now, chain=chain)
