"""Discovery (RFC 8414 section 3, OpenID Connect Discovery 1.0 section 4)."""

from django.http import HttpRequest, HttpResponse, JsonResponse

from oauth.metadata import openid_metadata, server_metadata
from oauth.responses import endpoint

MAX_AGE = "public, max-age=300"


@endpoint("GET", "HEAD")
def oauth(request: HttpRequest) -> HttpResponse:
    return JsonResponse(server_metadata(), headers={"Cache-Control": MAX_AGE})


@endpoint("GET", "HEAD")
def openid(request: HttpRequest) -> HttpResponse:
    return JsonResponse(openid_metadata(), headers={"Cache-Control": MAX_AGE})
