"""The OAuth endpoints, in the order in which a client uses them. Each one parses, calls one service and responds."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext_noop
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.throttles import throttle_registration
from agents.destinations import destination
from agents.errors import InvalidRedirectUri, UnknownClient
from agents.models import Agent
from agents.registration import register_stock_client
from agents.services import RegisteredAgent
from consent.models import Consent
from consent.services import open_in_browser, throttle_request
from core import clock
from core.browser import CONSENT_REQUEST_LIFETIME, browser_secret, remember_browser
from core.errors import DomainError, Throttled
from core.http import LeaveTo, django_response, visitor
from core.messages import DECIDE
from core.secrets import digest
from core.strict_json import NotStrict, parse_strictly
from decisions.inquiries import answer
from oauth.assertions import stated_client_id
from oauth.authentication import authenticate
from oauth.authorization import RedirectTarget, find_redirect_target, make_consent
from oauth.client_metadata import parse_client_metadata
from oauth.clients import find_client, is_document_url
from oauth.errors import OAuthError, handle_errors
from oauth.grants import issue
from oauth.introspection import introspection_inquiry
from oauth.metadata import openid_metadata, server_metadata
from oauth.parameters import Parameters, read_form
from oauth.pushed import pushed_consent, request_uri
from oauth.responses import endpoint, uncached
from tokens.keys import PUBLISH_AHEAD, published_jwks
from tokens.services import revoke_token

METADATA_CACHE = "public, max-age=300"
# Half the time between publishing a key and signing with it, so a client that caches the set has the key in time.
JWKS_CACHE = f"public, max-age={int(PUBLISH_AHEAD.total_seconds()) // 2}"
MAX_REGISTRATION_BODY = 32 * 1024
REFUSAL_TITLES = {
    UnknownClient: gettext_noop("Unknown agent"),
    InvalidRedirectUri: gettext_noop("Redirect address not registered"),
    Throttled: gettext_noop("Too many requests"),
}


@endpoint("GET", "HEAD")
def oauth_metadata(request: HttpRequest) -> HttpResponse:
    """Return the server metadata (RFC 8414 section 3)."""
    return JsonResponse(server_metadata(), headers={"Cache-Control": METADATA_CACHE})


@endpoint("GET", "HEAD")
def openid_configuration(request: HttpRequest) -> HttpResponse:
    """Return the server metadata (OpenID Connect Discovery 1.0 section 4)."""
    return JsonResponse(openid_metadata(), headers={"Cache-Control": METADATA_CACHE})


@endpoint("GET", "HEAD")
def jwks(request: HttpRequest) -> HttpResponse:
    """Return the public keys for access tokens (RFC 7517)."""
    return JsonResponse(published_jwks(clock.now()), headers={"Cache-Control": JWKS_CACHE})


@endpoint("POST")
@handle_errors
def register(request: HttpRequest) -> HttpResponse:
    """Register a stock client (RFC 7591). Its metadata is not verified."""
    if not settings.OAUTH_DYNAMIC_REGISTRATION:
        raise OAuthError("access_denied", "Registration is turned off. Ask the administrator for a client id.", 403)
    document = _read_client_metadata(request)
    metadata = parse_client_metadata(document, Agent.AuthMethod.values, Agent.AuthMethod.BASIC)
    actor = visitor(request)
    throttle_registration(actor)
    registered = register_stock_client(actor=actor, metadata=metadata)
    return uncached(JsonResponse(_describe_client(registered), status=201))


@endpoint("POST")
@handle_errors
def par(request: HttpRequest) -> HttpResponse:
    """Take a pushed authorization request (RFC 9126), like `POST /api/v1/consent/initiate`."""
    form = read_form(request)
    client_id = form.get("client_id") or stated_client_id(form.get("client_assertion"))
    if is_document_url(client_id):
        # This may be the client's first request.
        find_client(client_id, visitor(request))
    agent, actor = authenticate(request.headers, form, visitor(request))
    if form.get("request_uri"):
        raise OAuthError("invalid_request", "request_uri is not allowed in a pushed request (RFC 9126 section 2.1).")
    if "none" in form.words("prompt"):
        raise OAuthError("invalid_request", "prompt=none is not supported: the user is always asked.")
    throttle_request(actor)
    try:
        target = find_redirect_target(form.with_client_id(agent.client_id), actor)
    except InvalidRedirectUri as error:
        raise OAuthError("invalid_request", error.detail) from error
    consent = make_consent(target, form, actor)
    lifetime = int(CONSENT_REQUEST_LIFETIME.total_seconds())
    return uncached(JsonResponse({"request_uri": request_uri(consent), "expires_in": lifetime}, status=201))


@require_http_methods(["GET", "HEAD"])
@never_cache
def authorize(request: HttpRequest) -> HttpResponse:
    """Redirect to the consent page, or to the client with an error (RFC 6749 section 3.1).

    If neither redirect is safe, show an error page.
    """
    browser = browser_secret(request)
    try:
        response = _next_step(request, digest(browser))
        remember_browser(response, browser)
    except DomainError as error:
        title = REFUSAL_TITLES.get(type(error), error.title)
        response = render(request, "oauth/refused.html", {"title": title, "error": error}, status=error.status)
        if error.retry_after is not None:
            response["Retry-After"] = str(error.retry_after)
    return response


@endpoint("POST")
@handle_errors
def token(request: HttpRequest) -> HttpResponse:
    """Redeem a grant for tokens (RFC 6749 section 3.2)."""
    return django_response(issue(read_form(request), request.headers, visitor(request)))


@endpoint("POST")
@handle_errors
def revoke(request: HttpRequest) -> HttpResponse:
    """Revoke a token and its family (RFC 7009). An unknown token counts as revoked."""
    form = read_form(request)
    agent, actor = authenticate(request.headers, form, visitor(request))
    revoke_token(actor=actor, token=form.require("token"), agent=agent)
    return uncached(HttpResponse(status=200))


@endpoint("POST")
@handle_errors
def introspect(request: HttpRequest) -> HttpResponse:
    """Return the live state of a token to the resource server for which it is meant (RFC 7662)."""
    form = read_form(request)
    inquiry = introspection_inquiry(form, request.headers, visitor(request))
    return django_response(answer(inquiry, request.META.get(DECIDE)))


def _read_client_metadata(request: HttpRequest) -> dict[str, Any]:
    """Return the JSON object in the body. Raises `invalid_client_metadata`."""
    if request.content_type != "application/json":
        raise OAuthError("invalid_client_metadata", "The body must be application/json.")
    body = request.read(MAX_REGISTRATION_BODY + 1)
    if len(body) > MAX_REGISTRATION_BODY:
        raise OAuthError("invalid_client_metadata", "The body must have at most 32 KiB.")
    try:
        document = parse_strictly(body.decode())
    except UnicodeDecodeError as error:
        raise OAuthError("invalid_client_metadata", "The body must be UTF-8.") from error
    except NotStrict as error:
        raise OAuthError("invalid_client_metadata", f"The body must be valid JSON. {error}") from error
    if not isinstance(document, dict):
        raise OAuthError("invalid_client_metadata", "The body must be a JSON object.")
    return document


def _describe_client(registered: RegisteredAgent) -> dict[str, Any]:
    """Return what was registered (RFC 7591 section 3.2.1), which can differ from the request."""
    agent = registered.agent
    secret = {"client_secret": registered.client_secret, "client_secret_expires_at": 0}
    keys: dict[str, Any] = {"jwks_uri": agent.jwks_uri} if agent.jwks_uri else {"jwks": agent.jwks}
    return {
        "client_id": agent.client_id,
        "client_id_issued_at": int(agent.created.timestamp()),
        **(secret if registered.client_secret else {}),
        "client_name": agent.name,
        "redirect_uris": agent.redirect_uri_list,
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": agent.token_endpoint_auth_method,
        **(keys if agent.jwks_uri or agent.jwks else {}),
    }


def _next_step(request: HttpRequest, browser_digest: str) -> HttpResponse:
    """Return the redirect, or a page with a link. Raises `DomainError` if nothing can lead back to the client."""
    parameters, actor = Parameters(request.GET), visitor(request)
    if parameters.get("request_uri"):
        consent = pushed_consent(parameters)
        open_in_browser(consent=consent, browser_digest=browser_digest)
        return _consent_page(consent)
    target = find_redirect_target(parameters, actor)
    try:
        _check_prompt(parameters)
        throttle_request(actor)
        return _consent_page(make_consent(target, parameters, actor, browser_digest=browser_digest))
    except OAuthError as error:
        return _send_back(request, target, error)


def _check_prompt(parameters: Parameters) -> None:
    """Refuse `prompt=none`, because the user is always asked. The error does not tell who is signed in."""
    prompts = parameters.words("prompt")
    if "none" not in prompts:
        return
    if len(prompts) > 1:
        raise OAuthError("invalid_request", "prompt=none cannot be combined with other values.")
    raise OAuthError("login_required", "The user is always asked. Leave out prompt=none.")


def _send_back(request: HttpRequest, target: RedirectTarget, error: OAuthError) -> HttpResponse:
    """Redirect to the client with the error, or let the user decide on a page whether to go there."""
    url = target.refusal_url(error)
    if target.may_redirect(request.user if request.user.is_authenticated else None):
        return LeaveTo(url)
    # The description is not shown, because it quotes the request.
    shown = {"code": error.code, "url": url, "destination": destination(target.redirect_uri)}
    return render(request, "oauth/not_redirected.html", shown, status=400)


def _consent_page(consent: Consent) -> HttpResponse:
    return LeaveTo(reverse("web:consent", args=[consent.id]))
