"""Client metadata (RFC 7591 section 2), from a registration or from the document at the client's URL."""

from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

from agents.models import Agent
from agents.redirects import MAX_REDIRECT_URIS, is_loopback, problem_with, web_host
from agents.registration import ClientMetadata
from core.names import CHECK_MARKS
from core.text import plain_text
from oauth.errors import OAuthError
from oauth.parameters import is_clean

MAX_NAME_LENGTH = 200
MAX_KEYS = 20
PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "k"})
PUBLIC_MEMBERS = ("kty", "kid", "use", "alg", "crv", "x", "y", "n", "e")
UNNAMED = "Unnamed client"
STRONGEST_FIRST = (
    Agent.AuthMethod.PRIVATE_KEY_JWT,
    Agent.AuthMethod.BASIC,
    Agent.AuthMethod.POST,
    Agent.AuthMethod.NONE,
)


def parse_client_metadata(document: Mapping[str, Any], methods: Collection[str], default_method: str) -> ClientMetadata:
    """Return the supported metadata. The rest is ignored, as RFC 7591 section 2 allows.

    `methods` are the authentication methods that it may use. Raises `OAuthError` with the codes of section 3.2.2.
    """
    uris = _redirect_uris(document)
    _check_grants(document)
    method = _auth_method(document, methods, default_method)
    name = plain_text(_text(document, "client_name"))
    if len(name) > MAX_NAME_LENGTH:
        raise _invalid(f"client_name must be at most {MAX_NAME_LENGTH} characters")
    if CHECK_MARKS.search(name):
        raise _invalid("client_name must not contain check marks")
    jwks, jwks_uri = _keys(document) if method == Agent.AuthMethod.PRIVATE_KEY_JWT else (None, "")
    return ClientMetadata(
        name=name or _name_by_host(uris),
        redirect_uris=uris,
        auth_method=method,
        jwks=jwks,
        jwks_uri=jwks_uri,
    )


def _redirect_uris(document: Mapping[str, Any]) -> list[str]:
    uris = document.get("redirect_uris")
    if not isinstance(uris, list) or not 1 <= len(uris) <= MAX_REDIRECT_URIS:
        raise OAuthError("invalid_redirect_uri", f"redirect_uris must be a list of 1 to {MAX_REDIRECT_URIS} URIs.")
    for uri in uris:
        problem = problem_with(uri) if isinstance(uri, str) else "Must be a string."
        if problem:
            raise OAuthError("invalid_redirect_uri", f"A redirect URI is not valid. {problem}")
    return list(dict.fromkeys(uris))


def _check_grants(document: Mapping[str, Any]) -> None:
    if "authorization_code" not in _texts(document, "grant_types", ["authorization_code"]):
        raise _invalid("grant_types must include authorization_code")
    if "code" not in _texts(document, "response_types", ["code"]):
        raise _invalid("response_types must include code")


def _auth_method(document: Mapping[str, Any], methods: Collection[str], default: str) -> Agent.AuthMethod:
    """Return the method that the client names or, if we do not support that one, the strongest that both sides do.

    The list is that of OpenID Connect Relying Party Metadata Choices, which ChatGPT publishes.
    """
    named = _text(document, "token_endpoint_auth_method")
    listed = _texts(document, "token_endpoint_auth_methods_supported", [])
    wanted = [named] if named in methods else listed or [named or default]
    for method in STRONGEST_FIRST:
        if method in methods and method in wanted:
            return method
    member = "token_endpoint_auth_methods_supported must include" if listed else "token_endpoint_auth_method must be"
    raise _invalid(f"{member} one of {', '.join(methods)}")


def _keys(document: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, str]:
    """Return the client's JWK set or its URL, exactly one of the two (RFC 7591 section 2)."""
    jwks, uri = document.get("jwks"), _text(document, "jwks_uri")
    if (jwks is None) == (not uri):
        raise _invalid("private_key_jwt requires either jwks or jwks_uri")
    if uri and (urlsplit(uri).scheme != "https" or problem_with(uri)):
        raise _invalid("jwks_uri must be an https URL")
    return (None if jwks is None else public_jwks(jwks)), uri


def public_jwks(jwks: Any) -> dict[str, list[dict[str, str]]]:
    """Return the members that we use (RFC 7517). Raises `OAuthError` unless it is a set of public keys."""
    keys = jwks.get("keys") if isinstance(jwks, dict) else None
    if not isinstance(keys, list) or not 1 <= len(keys) <= MAX_KEYS:
        raise _invalid(f"jwks must contain 1 to {MAX_KEYS} keys")
    if not all(isinstance(key, dict) and not PRIVATE_MEMBERS & set(key) for key in keys):
        raise _invalid("jwks must contain only public keys")
    return {"keys": [_public_key(key) for key in keys]}


def _public_key(key: Mapping[str, Any]) -> dict[str, str]:
    return {name: _text(key, name) for name in PUBLIC_MEMBERS if name in key}


def _name_by_host(uris: Collection[str]) -> str:
    """Return a name for a client without one."""
    hosts = [web_host(uri) for uri in uris if not is_loopback(uri)]
    return next((host for host in hosts if host), UNNAMED)


def _text(document: Mapping[str, Any], field: str) -> str:
    value = document.get(field, "")
    if not isinstance(value, str) or not is_clean([value]):
        raise _invalid(f"{field} must be a string without control characters")
    return value.strip()


def _texts(document: Mapping[str, Any], field: str, default: list[str]) -> list[str]:
    values = document.get(field, default)
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise _invalid(f"{field} must be an array of strings")
    return values


def _invalid(description: str) -> OAuthError:
    return OAuthError("invalid_client_metadata", f"{description}.")
