"""Introspection (RFC 7662), for resource servers: the live state of a token that is meant for them."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse

from decisions.introspection import Introspection, introspect_token
from oauth.authentication import authenticate_service
from oauth.errors import answers_errors
from oauth.parameters import read_form
from oauth.responses import endpoint, uncached


@endpoint("POST")
@answers_errors
def introspect(request: HttpRequest) -> HttpResponse:
    form = read_form(request)
    server, actor = authenticate_service(request)
    found = introspect_token(actor=actor, server=server, token=form.require("token"))
    return uncached(JsonResponse(_active(found) if found else {"active": False}))


def _active(found: Introspection) -> dict[str, object]:
    """Return the members of RFC 7662 section 2.2, and the ids by which our log knows agent and consent."""
    consent = {"consent_id": found.consent_id} if found.consent_id else {}
    return {
        "active": True,
        "iss": settings.JWT_ISSUER,
        "sub": found.user_id or found.client_id,
        "aud": found.audience[0] if len(found.audience) == 1 else list(found.audience),
        "client_id": found.client_id,
        "scope": " ".join(found.scopes),
        "token_type": "Bearer",
        "jti": found.token_id,
        "iat": int(found.issued_at.timestamp()),
        "exp": int(found.expires_at.timestamp()),
        "agent_id": found.agent_id,
        **consent,
    }
