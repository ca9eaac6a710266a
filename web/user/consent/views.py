"""The consent screen: show exactly what the agent asked for, and take one decision."""

from collections.abc import Sequence
from functools import wraps
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils.csp import CSP
from django.views.decorators.cache import never_cache
from django.views.decorators.csp import csp_override
from django.views.decorators.http import require_http_methods

from accounts.errors import EmailUnverified, ReauthenticationRequired
from accounts.recent import ask_for_password, time_of_sign_in
from agents.errors import AgentSuspended, EverythingStopped, InvalidRedirectUri
from agents.redirects import is_private_use
from agents.selectors import document_host
from consent.connections import Choice as Decision
from consent.delegation import DELEGATE
from consent.errors import (
    ConnectionChanged,
    ConsentAlreadyDecided,
    ConsentExpired,
    NothingPicked,
    OtherBrowser,
    TooManyScopes,
)
from consent.granting import approve_consent, deny_consent, repeat_decision, require_grantable
from consent.models import Consent
from consent.redirects import denial_url
from consent.selectors import connection_state, find_consent, require_decider
from consent.services import require_same_browser
from consent.shown_services import earlier_services
from core import clock
from core.browser import browser_digest
from core.errors import DomainError, Invalid, NotFound
from core.http import LeaveTo
from developers.errors import OrganizationStopped, OrganizationSuspended
from resources.errors import ServiceSuspended
from web.display.labels import csp_source
from web.requests.access import View, for_users, signed_in, user_actor
from web.user.consent.decision import (
    forget_decision,
    is_about_limits,
    keep_decision,
    kept_decision,
    lifetimes,
    read_decision,
    with_limits,
)
from web.user.consent.facts import facts_of
from web.user.consent.form import Given, Screen, ticked_at_first
from web.user.consent.sections import sections, summarize
from web.user.consent.targets import target_choices

PAGES: dict[type[DomainError], str] = {
    NotFound: "web/user/consent/absent.html",
    OtherBrowser: "web/user/consent/elsewhere.html",
    AgentSuspended: "web/user/consent/suspended.html",
    EverythingStopped: "web/user/consent/suspended.html",
    OrganizationSuspended: "web/user/consent/suspended.html",
    OrganizationStopped: "web/user/consent/suspended.html",
    ServiceSuspended: "web/user/consent/suspended.html",
    InvalidRedirectUri: "web/user/consent/withdrawn.html",
    ConsentExpired: "web/user/consent/expired.html",
    ConsentAlreadyDecided: "web/user/consent/decided.html",
}


# What the page says about a decision that the user can correct there.
PROBLEMS: dict[type[DomainError], str] = {NothingPicked: "unpicked", TooManyScopes: "many"}


def consent_page(view: View) -> View:
    """Pass the consent request to the view if the user may decide it.

    If it cannot be decided, show a page with the reason, and respond with the error's status.
    """

    @wraps(view)
    def wrapped(request: HttpRequest, consent_id: str, asked: Consent | None) -> HttpResponseBase:
        try:
            if asked is None:
                raise NotFound("No such consent.")
            require_decider(asked, signed_in(request))
            return view(request, asked)
        except EmailUnverified:
            raise  # `page` redirects to another page, which then redirects back
        except ReauthenticationRequired:
            return ask_for_password(request, is_undone=False)  # the screen keeps the choices and says so
        except DomainError as error:
            return _cannot_decide(request, error, consent_id, asked)

    return _only_in_its_browser(for_users(wrapped))


def _only_in_its_browser(view: View) -> View:
    """Refuse other browsers before asking the user to sign in, because they cannot decide this request."""

    @wraps(view)
    def wrapped(request: HttpRequest, consent_id: str) -> HttpResponseBase:
        asked = find_consent(consent_id)
        if asked is not None and _is_elsewhere(asked, browser_digest(request)):
            return _cannot_decide(request, OtherBrowser(), consent_id)
        return view(request, consent_id, asked)

    return never_cache(wrapped)


def _is_elsewhere(asked: Consent, digest: str) -> bool:
    """Return whether another browser must decide the pending request."""
    return asked.status == Consent.Status.PENDING and not asked.is_open_in(digest)


def _cannot_decide(
    request: HttpRequest, error: DomainError, consent_id: str, asked: Consent | None = None
) -> HttpResponse:
    """Return the page for a request that cannot be decided now, in the layout of the consent screen."""
    context = {"error": error, "consent_id": consent_id, "asked": asked, "layout": "layouts/flow.html"}
    response = render(request, PAGES.get(type(error), "web/refused.html"), context, status=error.status)
    if error.retry_after is not None:
        response["Retry-After"] = str(error.retry_after)
    return response


@require_http_methods(["GET", "HEAD", "POST"])
@consent_page
def consent(request: HttpRequest, asked: Consent) -> HttpResponse:
    if asked.decided_at is None and asked.status_at(clock.now()) == Consent.Status.PENDING:
        require_grantable(asked)
    if request.method == "POST":
        require_same_browser(asked, browser_digest(request))
    decision = request.POST.get("decision")
    scopes = request.POST.getlist("scopes") if decision == "allow" else []
    if decision == "deny" or scopes:
        try:
            return _leave(request, asked, _decide_once(request, asked, scopes), is_allowed=bool(scopes))
        except ConnectionChanged as error:
            _require_open(asked)
            return _show(request, _screen(request, asked), Given(), problem="changed", status=error.status)
        except (Invalid, TooManyScopes) as error:
            if not (isinstance(error, (NothingPicked, TooManyScopes)) or is_about_limits(error)):
                raise
            _require_open(asked)
            return _show_again(request, asked, scopes, error)
    _require_open(asked)
    if "limits" in request.POST:
        return _show_limits(request, asked, request.POST["limits"])
    return _show_again(request, asked, (), None) if request.method == "POST" else _show_first(request, asked)


def _decide_once(request: HttpRequest, asked: Consent, scopes: Sequence[str]) -> str:
    """Allow exactly these scopes, or deny if there are none. Return where to redirect the user.

    A double click is one decision: both clicks get the same URL.
    """
    user = signed_in(request)
    choice = _read(request, _screen(request, asked), scopes) if scopes else None
    try:
        return _decide(request, asked, choice)
    except DomainError:
        asked.refresh_from_db()
        url = repeat_decision(consent=asked, user=user, choice=choice)
        if url is None:
            raise
        return url


def _leave(request: HttpRequest, asked: Consent, url: str, *, is_allowed: bool) -> HttpResponse:
    """Redirect the user to the agent, or show the page that links to its app.

    A browser that opens an app keeps the page that it shows, so a redirect would leave the undecided form there.
    """
    if not is_private_use(asked.redirect_uri):
        return LeaveTo(url)
    context = {"consent": asked, "agent": asked.agent, "is_allowed": is_allowed, "url": url}
    return render(request, "web/user/consent/done.html", context)


def _read(request: HttpRequest, screen: Screen, scopes: Sequence[str]) -> Decision:
    return with_limits(read_decision(request.POST, screen, scopes), request.POST, screen)


def _decide(request: HttpRequest, asked: Consent, choice: Decision | None) -> str:
    actor, user = user_actor(request), signed_in(request)
    if choice is None:
        return denial_url(deny_consent(actor=actor, consent=asked, user=user))
    try:
        signed_in_at = time_of_sign_in(request)
        granted = approve_consent(actor=actor, consent=asked, user=user, choice=choice, signed_in_at=signed_in_at)
    except ReauthenticationRequired:
        keep_decision(request, asked, choice)
        raise
    forget_decision(request)
    return granted.redirect_url


def _require_open(asked: Consent) -> None:
    """Raise the error that a decision would raise now, before showing the page."""
    status = asked.status_at(clock.now())
    if status == Consent.Status.EXPIRED and asked.decided_at is None:
        raise ConsentExpired
    if status != Consent.Status.PENDING:
        raise ConsentAlreadyDecided


def _screen(request: HttpRequest, asked: Consent) -> Screen:
    return Screen.of(signed_in(request), asked)


def _show_first(request: HttpRequest, asked: Consent) -> HttpResponse:
    """Return the initial page, or the page with what the user chose before entering their password."""
    screen = _screen(request, asked)
    kept = kept_decision(request, screen)
    return _show(request, screen, Given(kept), problem="kept" if kept else "")


def _show_again(
    request: HttpRequest, asked: Consent, scopes: Sequence[str], error: Invalid | TooManyScopes | None
) -> HttpResponse:
    """Return the page with what the user chose and what is wrong. Without an error, that nothing is ticked."""
    screen = _screen(request, asked)
    given = Given(read_decision(request.POST, screen, scopes), request.POST, error.errors if error else ())
    problem = "nothing" if error is None else PROBLEMS.get(type(error), "limits")
    return _show(request, screen, given, problem=problem, status=422)


def _show_limits(request: HttpRequest, asked: Consent, scope: str) -> HttpResponse:
    """Return the page with what the user has chosen so far and the limit fields of the scope."""
    screen = _screen(request, asked)
    chosen = read_decision(request.POST, screen, request.POST.getlist("scopes"))
    return _show(request, screen, Given(chosen, request.POST, opened=scope), problem="")


def _show(request: HttpRequest, screen: Screen, given: Given, *, problem: str, status: int = 200) -> HttpResponse:
    """Render the screen with new and already allowed scopes, because "Allow" grants exactly what is ticked."""
    asked, chosen = screen.asked, given.decision
    required = screen.choices(
        [one for one in screen.new if one not in asked.optional_scopes], ticked_at_first(screen), given
    )
    optional = screen.choices([one for one in screen.new if one in asked.optional_scopes], (), given)
    known = screen.choices(screen.known, screen.known, given)
    context = {
        "consent": asked,
        **facts_of(screen),
        "earlier_services": earlier_services(asked, screen.live),
        "document_host": document_host(asked.agent),
        "sections": sections(required, optional, known),
        "summary": summarize([*required, *optional], known),
        "is_again": bool(known),
        "withdrawn": screen.withdrawn,
        "targets": target_choices(asked, screen.live, screen.words, chosen.targets if chosen else None),
        "guard": screen.guard(chosen),
        "receivers": None if DELEGATE in screen.shown else screen.receivers(given),
        "lifetimes": lifetimes(clock.now(), screen.live, chosen),
        "connection_state": connection_state(screen.live),
        "problem": problem,
        "errors": given.errors,
    }
    return _allow_leaving_to(asked.redirect_uri)(render)(
        request, "web/user/consent/screen.html", context, status=status
    )


def _allow_leaving_to(redirect_uri: str) -> Any:
    """Return a decorator that adds a web redirect URI to `form-action`, which Chromium also applies to redirects."""
    form_action = [CSP.SELF, *([] if is_private_use(redirect_uri) else [csp_source(redirect_uri)])]
    return csp_override({**settings.SECURE_CSP, "form-action": form_action})
