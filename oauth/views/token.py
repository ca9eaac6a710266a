"""The token endpoint (RFC 6749 section 3.2)."""

from django.http import HttpRequest, HttpResponse, JsonResponse

from oauth.authentication import authenticate
from oauth.errors import answers_errors
from oauth.grants import find_grant, redeem
from oauth.parameters import read_form
from oauth.responses import endpoint, uncached


@endpoint("POST")
@answers_errors
def token(request: HttpRequest) -> HttpResponse:
    form = read_form(request)
    grant = find_grant(form)
    agent, actor = authenticate(request, form)
    answer = redeem(grant, form, agent, actor, request.headers.get("Idempotency-Key"))
    return uncached(JsonResponse(answer.body, status=answer.status))
