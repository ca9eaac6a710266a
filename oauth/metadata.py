"""Authorization server metadata (RFC 8414). It lists only what the server supports."""

from typing import Any

from django.conf import settings

from consent.details import TYPES

SIGNING_ALGORITHMS = ["ES256", "RS256", "PS256", "EdDSA"]
TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
GRANT_TYPES = ["authorization_code", "refresh_token", "client_credentials", TOKEN_EXCHANGE]
SECRET_METHODS = ["client_secret_basic", "client_secret_post", "private_key_jwt"]


def server_metadata() -> dict[str, Any]:
    """Return the authorization server's metadata, without features that the settings turn off.

    It has no `scopes_supported`, because some clients ask for every scope that they see there. Each service lists its
    own in its metadata (RFC 9728).
    """
    issuer = settings.JWT_ISSUER
    registration = {"registration_endpoint": f"{issuer}/register"} if settings.OAUTH_DYNAMIC_REGISTRATION else {}
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{issuer}/token",
        "jwks_uri": f"{issuer}/jwks",
        **registration,
        "revocation_endpoint": f"{issuer}/revoke",
        "introspection_endpoint": f"{issuer}/introspect",
        "pushed_authorization_request_endpoint": f"{issuer}/par",
        "require_pushed_authorization_requests": False,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": GRANT_TYPES,
        "token_endpoint_auth_methods_supported": ["none", *SECRET_METHODS],
        "token_endpoint_auth_signing_alg_values_supported": SIGNING_ALGORITHMS,
        "revocation_endpoint_auth_methods_supported": ["none", *SECRET_METHODS],
        "revocation_endpoint_auth_signing_alg_values_supported": SIGNING_ALGORITHMS,
        "introspection_endpoint_auth_methods_supported": ["client_secret_basic"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "authorization_details_types_supported": list(TYPES),
        "client_id_metadata_document_supported": settings.OAUTH_CLIENT_METADATA_DOCUMENTS,
        "service_documentation": f"{settings.API_URL}/api/docs",
    }


def openid_metadata() -> dict[str, Any]:
    """Return the metadata with the members that OpenID discovery requires. We do not issue ID tokens."""
    return {
        **server_metadata(),
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
    }
