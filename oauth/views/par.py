"""Pushed authorization requests (RFC 9126). Pushing is the same act as `POST /api/v1/consent/initiate`."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse

from agents.errors import InvalidRedirectUri
from core.actor import visitor
from limits.throttle import Throttle, address_subjects
from oauth.assertions import stated_client_id
from oauth.authentication import authenticate
from oauth.authorization import find_client_and_return, make_consent
from oauth.clients import find_client, is_document_address
from oauth.errors import OAuthError, answers_errors
from oauth.parameters import read_form
from oauth.pushed import request_uri
from oauth.responses import endpoint, uncached


@endpoint("POST")
@answers_errors
def par(request: HttpRequest) -> HttpResponse:
    form = read_form(request)
    client_id = form.get("client_id") or stated_client_id(form.get("client_assertion"))
    if is_document_address(client_id):
        # Pushing may be the first that we hear of it.
        find_client(client_id, visitor(request))
    agent, actor = authenticate(request, form)
    if form.get("request_uri"):
        raise OAuthError("invalid_request", "request_uri is not allowed here (RFC 9126 section 2.1).")
    if "none" in form.words("prompt"):
        raise OAuthError("invalid_request", "prompt=none is not supported: the user is always asked.")
    Throttle("initiate", settings.THROTTLE_INITIATE).hit(*address_subjects(actor.ip or ""))
    try:
        target = find_client_and_return(form.naming(agent.client_id), actor)
    except InvalidRedirectUri as error:
        raise OAuthError("invalid_request", error.detail) from error
    consent = make_consent(target, form, actor)
    body = {
        "request_uri": request_uri(consent),
        "expires_in": int(settings.CONSENT_REQUEST_LIFETIME.total_seconds()),
    }
    return uncached(JsonResponse(body, status=201))
