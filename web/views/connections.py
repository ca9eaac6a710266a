"""The user's connections: what they allowed, and revoking it."""

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
from consent.pausing import paused_all_since
from consent.selectors import agreed_scopes, consents_for_user, current_consent
from consent.services import revoke_consent
from consent.usage import Usage, usage_of
from core import clock
from core.http import SeeOther
from core.text import plain_text
from resources.catalogue import Scope
from web.access import signed_in, user_actor, user_page
from web.display import highest_risk
from web.paging import paginate
from web.targets import GrantedTarget, granted_targets

LIVE = Consent.Status.APPROVED
# A replaced consent is part of the connection that replaced it.
NOT_LISTED = (Consent.Status.PENDING, Consent.Status.REPLACED)


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
    def used_scopes(self) -> list[tuple[Scope, ScopeUse | None]]:
        """Return the scopes, each with its uses, or None if it was never used."""
        return [(scope, self.usage.uses.scopes.get(scope.id)) for scope in self.scopes]

    @property
    def unused(self) -> list[Scope]:
        """Return the scopes that the user could remove because the agent does not use them."""
        return [scope for scope in self.scopes if scope.id in self.usage.suggested_removals]

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
