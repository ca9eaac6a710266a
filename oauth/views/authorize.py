"""The authorization endpoint (RFC 6749 section 3.1): everything is checked here, the consent page asks the person."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from agents.errors import InvalidRedirectUri, UnknownClient
from consent.models import Consent
from consent.services import open_in_browser
from core.actor import visitor
from core.browser import browser_secret, remember_browser
from core.errors import DomainError, Throttled
from core.secrets import digest
from limits.throttle import Throttle, address_subjects
from oauth.authorization import find_client_and_return, make_consent
from oauth.errors import OAuthError, retry_after
from oauth.parameters import Parameters
from oauth.pushed import pushed_consent
from oauth.responses import SeeOther

TITLES = {
    UnknownClient: "We do not know this agent",
    InvalidRedirectUri: "This address is not the agent's",
    Throttled: "Too many requests",
}


@require_http_methods(["GET", "HEAD"])
@never_cache
def authorize(request: HttpRequest) -> HttpResponse:
    """Lead to the consent page, or back to the client with what is wrong, or, where neither is safe, nowhere."""
    browser = browser_secret(request)
    try:
        response: HttpResponse = SeeOther(_next_stop(request, digest(browser)))
        remember_browser(response, browser)
    except DomainError as error:
        title = TITLES.get(type(error), error.title)
        response = render(request, "oauth/refused.html", {"title": title, "error": error}, status=error.status)
        wait = retry_after(error)
        if wait is not None:
            response["Retry-After"] = str(wait)
    return response


def _next_stop(request: HttpRequest, browser_digest: str) -> str:
    parameters, actor = Parameters(request.GET), visitor(request)
    if parameters.get("request_uri"):
        consent = pushed_consent(parameters)
        open_in_browser(consent=consent, browser_digest=browser_digest)
        return _consent_page(consent)
    target = find_client_and_return(parameters, actor)
    try:
        _check_prompt(request, parameters)
        Throttle("initiate", settings.THROTTLE_INITIATE).hit(*address_subjects(actor.ip or ""))
        return _consent_page(make_consent(target, parameters, actor, browser_digest=browser_digest))
    except OAuthError as error:
        return target.refusal_url(error)


def _check_prompt(request: HttpRequest, parameters: Parameters) -> None:
    """Refuse `prompt=none`: a person always sees what is granted, so there is no way without one."""
    prompts = parameters.words("prompt")
    if "none" not in prompts:
        return
    if len(prompts) > 1:
        raise OAuthError("invalid_request", "prompt=none cannot be combined with other values.")
    if not request.user.is_authenticated:
        raise OAuthError("login_required", "The user is not signed in.")
    raise OAuthError("consent_required", "The user must be asked for consent.")


def _consent_page(consent: Consent) -> str:
    return reverse("web:consent", args=[consent.id])
