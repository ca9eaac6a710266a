"""Revocation (RFC 7009): any token of a family ends the family. An unknown token is as good as revoked."""

from django.http import HttpRequest, HttpResponse

from oauth.authentication import authenticate
from oauth.errors import answers_errors
from oauth.parameters import read_form
from oauth.responses import endpoint, uncached
from tokens.services import revoke_token


@endpoint("POST")
@answers_errors
def revoke(request: HttpRequest) -> HttpResponse:
    form = read_form(request)
    agent, actor = authenticate(request, form)
    revoke_token(actor=actor, token=form.require("token"), agent=agent)
    return uncached(HttpResponse(status=200))
