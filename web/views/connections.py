"""The user's connections: what they allowed, narrowing it and revoking it."""

from dataclasses import dataclass
from datetime import datetime

from django.contrib import messages
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from audit.readers.uses import ScopeUse
from consent.models import Consent
from consent.narrowing import Narrowing, narrow_consent
from consent.pausing import paused_all_since
from consent.selectors import agreed_scopes, consents_for_user, current_consent
from consent.services import revoke_consent
from consent.terms import ASK, DATA_FLOW, GivenTerms, Terms
from consent.usage import Usage, usage_of
from core import clock
from core.errors import Invalid
from core.http import SeeOther
from core.text import plain_text
from resources.catalogue import Scope
from web.access import posted_from, signed_in, user_actor, user_page
from web.display import highest_risk
from web.limit_words import limits_in_words
from web.paging import paginate
from web.targets import GrantedTarget, granted_targets

LIVE = Consent.Status.APPROVED
# A replaced consent is part of the connection that replaced it.
NOT_LISTED = (Consent.Status.PENDING, Consent.Status.REPLACED)


@dataclass(frozen=True, slots=True)
class BoundedScope:
    """A granted scope as the page shows it. `use` is None if it was never used, `limits` are in words."""

    scope: Scope
    use: ScopeUse | None
    asks: bool
    limits: list[str]
    can_ask: bool
    can_remove: bool


@dataclass(frozen=True, slots=True)
class Connection:
    """A consent as the page shows it. `withdrawn` are granted scopes that the agent may no longer use.

    `targets` bound the other scopes.
    """

    consent: Consent
    status: str
    scopes: list[Scope]
    withdrawn: list[Scope]
    targets: list[GrantedTarget]
    usage: Usage

    @property
    def risk(self) -> str | None:
        return highest_risk(scope.risk_level for scope in self.scopes)

    @property
    def last_used(self) -> datetime | None:
        return self.usage.uses.last_at

    @property
    def bounded_scopes(self) -> list[BoundedScope]:
        """Return the scopes, each with its uses and its terms."""
        return [self._bounded(scope) for scope in self.scopes]

    @property
    def guard(self) -> str | None:
        """Return the mode of the guard against data flows, or None if there is none."""
        return Terms.read(self.consent.terms).guards.get(DATA_FLOW)

    @property
    def unused(self) -> list[Scope]:
        """Return the scopes that the user could remove because the agent does not use them."""
        return [scope for scope in self.scopes if scope.id in self.usage.suggested_removals]

    def _bounded(self, scope: Scope) -> BoundedScope:
        terms = Terms.read(self.consent.terms)
        asks = terms.modes.get(scope.id) == ASK
        return BoundedScope(
            scope,
            self.usage.uses.scopes.get(scope.id),
            asks=asks,
            limits=limits_in_words(terms.limits.get(scope.id, ())),
            can_ask=self.is_live and not asks,
            can_remove=self.is_live and len(self.consent.granted_scopes) > 1,
        )

    @property
    def is_live(self) -> bool:
        return self.status == LIVE

    @property
    def is_suspended(self) -> bool:
        """Whether all of the agent's requests are denied because it or its organization is suspended."""
        return not self.consent.agent.may_act

    @property
    def is_paused(self) -> bool:
        """Whether the user pauses this agent. The pause of all agents is another one."""
        return self.is_live and self.consent.paused_at is not None


@require_safe
@user_page
def dashboard(request: HttpRequest) -> HttpResponse:
    return redirect("web:connections")


@require_safe
@user_page
def connections(request: HttpRequest) -> HttpResponse:
    is_ended = request.GET.get("show") == "ended"
    live = Q(status=LIVE, expires_at__gt=clock.now())
    consents = consents_for_user(signed_in(request)).exclude(status__in=NOT_LISTED)
    page = paginate(request, consents.exclude(live) if is_ended else consents.filter(live))
    context = {"page": page, "connections": _describe(page.items), "is_ended": is_ended, **_pause_of_all(request)}
    return render(request, "web/connections.html", context)


@require_safe
@user_page
def connection(request: HttpRequest, consent_id: str) -> HttpResponse:
    consent = current_consent(signed_in(request), consent_id)
    if consent.id != consent_id:
        return redirect("web:connection", consent.id)
    context = {"connection": _describe([consent])[0], **_pause_of_all(request)}
    return render(request, "web/connection.html", context)


@posted_from("web:connection", "consent_id")
@user_page
def narrow(request: HttpRequest, consent_id: str) -> HttpResponse:
    """Ask the user about each use of a scope from now on, or remove the scope."""
    consent = current_consent(signed_in(request), consent_id)
    scope, change = request.POST.get("scope", ""), request.POST.get("change")
    title = plain_text(_agreed_title(consent, scope))
    if change == "remove":
        narrowing, message = Narrowing(remove_scopes=[scope]), _("Removed: %(scope)s.")
    elif change == "ask":
        narrowing = Narrowing(terms=GivenTerms(modes={scope: ASK}))
        message = _("You are now asked every time: %(scope)s.")
    else:
        raise Invalid(_("Choose one of the buttons."))
    narrow_consent(actor=user_actor(request), user=signed_in(request), consent=consent, narrowing=narrowing)
    messages.success(request, message % {"scope": title})
    return SeeOther(reverse("web:connection", args=[consent.id]))


@require_http_methods(["GET", "HEAD", "POST"])
@user_page
def revoke(request: HttpRequest, consent_id: str) -> HttpResponse:
    consent = current_consent(signed_in(request), consent_id)
    if request.method == "POST":
        revoke_consent(actor=user_actor(request), consent=consent)
        message = _("Access revoked. %(agent)s can no longer act for you.")
        messages.success(request, message % {"agent": plain_text(consent.agent.name)})
        return SeeOther(reverse("web:connections"))
    context = {
        "connection": _describe([consent])[0],
        "title": _("Revoke access for %(agent)s?") % {"agent": plain_text(consent.agent.name)},
        "confirm_label": _("Revoke access"),
        "back_url": reverse("web:connection", args=[consent.id]),
    }
    return render(request, "web/revoke.html", context)


def _pause_of_all(request: HttpRequest) -> dict[str, datetime | None]:
    return {"all_paused_at": paused_all_since(signed_in(request))}


def _agreed_title(consent: Consent, scope_id: str) -> str:
    """Return the title that the user agreed to. Raises `Invalid` if the scope is not granted."""
    for scope in agreed_scopes(consent):
        if scope.id == scope_id:
            return scope.title
    raise Invalid(_("This scope is not granted."))


def _describe(consents: list[Consent]) -> list[Connection]:
    now = clock.now()
    usage = usage_of(consents, now)
    return [_connection(consent, usage[consent.id], now) for consent in consents]


def _connection(consent: Consent, usage: Usage, now: datetime) -> Connection:
    live = consent.live_scopes()
    granted = agreed_scopes(consent)
    scopes = [scope for scope in granted if scope.id in live]
    return Connection(
        consent=consent,
        status=consent.status_at(now),
        scopes=scopes,
        targets=granted_targets(consent, scopes),
        withdrawn=[scope for scope in granted if scope.id not in live],
        usage=usage,
    )
