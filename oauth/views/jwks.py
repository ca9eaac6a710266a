"""The public keys of access tokens (RFC 7517)."""

from django.http import HttpRequest, HttpResponse, JsonResponse

from core import clock
from oauth.responses import endpoint
from tokens.keys import PUBLISH_AHEAD, published_jwks

# Half of what a new key is published ahead, so that whoever caches the set has it before it signs.
MAX_AGE = int(PUBLISH_AHEAD.total_seconds()) // 2


@endpoint("GET", "HEAD")
def jwks(request: HttpRequest) -> HttpResponse:
    return JsonResponse(published_jwks(clock.now()), headers={"Cache-Control": f"public, max-age={MAX_AGE}"})
