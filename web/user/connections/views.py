"""The user's connections: the list, one connection with the forms that narrow it, and revoking it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _

from approvals.selectors import standing_among
from audit.selectors import Filters, entries_for_user
from consent.errors import NothingPicked, WouldWiden
from consent.models import Consent
from consent.narrowing import Narrowing, narrow_consent
from consent.selectors import connection_of, consents_for_user, current_consent
from consent.services import revoke_consent
from consent.shown_services import services_of
from core import clock
from core.errors import DomainError, Invalid
from core.http import MAX_URL_LENGTH, SeeOther
from core.text import plain_text
from resources.catalogue import Scope
from web.requests.access import signed_in, user_actor, user_form, user_page
from web.requests.paging import paginate
from web.user.activity.days import Line, lay_out
from web.user.activity.items import read_items
from web.user.activity.kinds import ROUTINE
from web.user.approvals.asked import Outline, outlines
from web.user.connections.cards import LIVE, Connection, describe_connections
from web.user.connections.handed import tree_of, what_ends_with
from web.user.connections.limits.form import LimitFields
from web.user.connections.narrowing_form import read_change, shorter_lifetimes
from web.user.consent.receivers import receivers_left
from web.user.consent.targets import granted_targets

# A replaced consent is part of the connection that replaced it.
NOT_LISTED = (Consent.Status.PENDING, Consent.Status.REPLACED)
PAGE_SIZE = 20
# The number of log entries on the page of a connection.
RECENT = 10
MAX_STANDING = 50
MAX_QUERY = 100
# With more agents than this, the list has a search box.
SEARCH_ABOVE = 6
# With more permissions, the groups are initially closed, and only one permission can be changed at a time.
MAX_OPEN = 8
# The errors for which a form of the page can be refused.
REFUSALS = (Invalid, NothingPicked, WouldWiden)


@user_page
def dashboard(request: HttpRequest) -> HttpResponse:
    return redirect("web:connections")


@user_page
def connections(request: HttpRequest) -> HttpResponse:
    is_ended, query = request.GET.get("show") == "ended", plain_text(request.GET.get("q", "")[:MAX_QUERY])
    rows = _listed(request, is_ended=is_ended)
    total = rows.count()
    page = paginate(request, _search(rows, query), PAGE_SIZE)
    shown = describe_connections(page.items)
    context = {
        "page": page,
        "connections": _sorted(shown, is_ended=is_ended, is_whole=not (page.cursor or page.next_cursor)),
        "is_ended": is_ended,
        "query": query,
        "total": total,
        "has_past": bool(not total and _listed(request, is_ended=not is_ended).exists()),
        "has_search": total > SEARCH_ABOVE or query,
        "all_paused_at": signed_in(request).agents_paused_at,
    }
    return render(request, "web/user/connections/connections.html", context)


@user_form
def connection(request: HttpRequest, consent_id: str) -> HttpResponse:
    """Show a connection, or narrow it with one of the forms of its page or its card."""
    if request.method == "POST":
        return _narrow(request, current_consent(signed_in(request), consent_id))
    consent, replaced = connection_of(signed_in(request), consent_id)
    if consent.replaced_by_id:
        return redirect("web:connection", consent.replaced_by_id)
    return _show(request, consent, replaced)


@user_form
def revoke(request: HttpRequest, consent_id: str) -> HttpResponse:
    consent = current_consent(signed_in(request), consent_id)
    if request.method == "POST":
        revoke_consent(actor=user_actor(request), consent=consent)
        message = _("Access revoked. %(agent)s can no longer act for you.")
        messages.success(request, message % {"agent": plain_text(consent.agent.name)})
        return SeeOther(reverse("web:connection", args=[consent.id]))
    (shown,) = describe_connections([consent])
    names, further = what_ends_with(consent, clock.now())
    context = {
        "connection": shown,
        "names": names,
        "further": further,
        "title": _("Revoke access for %(agent)s?") % {"agent": plain_text(consent.agent.name)},
        "confirm_label": _("Revoke access"),
        "back_url": reverse("web:connection", args=[consent.id]),
    }
    return render(request, "web/user/connections/revoke.html", context)


def after_change(request: HttpRequest, consent: Consent) -> HttpResponse:
    """Redirect to where the form was: the list, on the page in `next`, or the connection.

    A scope's form stays open, so that its button can keep the focus.
    """
    url, wanted = reverse("web:connections"), request.POST.get("next", "")
    path, _mark, query = wanted.partition("#")[0].partition("?")
    if path == url and len(wanted) <= MAX_URL_LENGTH:
        return SeeOther(f"{url}?{query}" if query else url)
    kept = urlencode({"change": request.POST["scope"]}) if request.POST.get("change") == "scope" else ""
    return SeeOther(f"{reverse('web:connection', args=[consent.id])}{kept and f'?{kept}'}")


def _narrow(request: HttpRequest, consent: Consent) -> HttpResponse:
    (shown,) = describe_connections([consent])
    try:
        change = read_change(request.POST, shown)
        if change.narrowing != Narrowing():
            user, actor = signed_in(request), user_actor(request)
            narrow_consent(actor=actor, user=user, consent=consent, narrowing=change.narrowing)
    except REFUSALS as error:
        return _show(request, *connection_of(signed_in(request), shown.consent.id), error)
    messages.success(request, change.message)
    return after_change(request, consent)


def _show(
    request: HttpRequest, consent: Consent, replaced: list[Consent], error: DomainError | None = None
) -> HttpResponse:
    """Render the page. With an error it says what is wrong, and has what the user sent in the fields."""
    (shown,) = describe_connections([consent], replaced)
    now, targets = clock.now(), granted_targets(consent, shown.granted)
    chosen = request.POST.get("scope") if error else request.GET.get("change")
    kept = {"posted": request.POST, "errors": error.errors} if error else {}
    context = {
        "connection": shown,
        "siblings": shown.scopes,
        # Two identifiers of the developer's own services read the same.
        "services": {(one.name, one.host, one.organization): one for one in services_of(consent)}.values(),
        "groups": _with_editors(shown, chosen, kept),
        "targets": targets,
        "receivers": receivers_left(consent) if shown.is_live else None,
        "can_untick": shown.is_live and any(len(target.candidates) > 1 for target in targets),
        "handed": tree_of(consent, now),
        "recent": _recent(request, shown),
        "standing": _standing(consent, now) if shown.is_live else [],
        "lifetimes": shorter_lifetimes(consent.expires_at, now) if shown.is_live else [],
        "error": error,
        "chosen": chosen,
        "all_paused_at": signed_in(request).agents_paused_at,
    }
    return render(request, "web/user/connections/connection.html", context, status=error.status if error else 200)


def _recent(request: HttpRequest, shown: Connection) -> list[Line]:
    """Return the last entries about the agent, and those through which it acted, in the lines of the ledger."""
    user, agent = signed_in(request), shown.consent.agent
    rows, _older = entries_for_user(user.id, Filters(chain=agent.id), hidden=ROUTINE).page("", RECENT)
    items = read_items(rows, user.id, agent_names={agent.id: plain_text(agent.name)}, with_services=False)
    return [line for day in lay_out(items, {})[0] for line in day.lines]


def _standing(consent: Consent, now: datetime) -> list[Outline]:
    """Return what the user approved for a time or as a rule, as the agent asked for it."""
    return outlines(standing_among(consent.approvals.all(), now)[:MAX_STANDING], now)


def _with_editors(shown: Connection, chosen: str | None, kept: Mapping[str, Any]) -> list[Any]:
    """Return each group with its scopes, their limit fields, and whether the group is open.

    Only live connections have fields, and in a long one only the chosen scope does. `kept` is what a refused form sent
    for that scope, with the errors.
    """
    is_short = len(shown.scopes) <= MAX_OPEN

    def fields(scope: Scope) -> LimitFields | None:
        if not shown.is_live or not (is_short or scope.id == chosen):
            return None
        return shown.editor(scope, **(kept if scope.id == chosen else {}))

    return [
        (group, [(one, fields(one.scope)) for one in group.scopes], is_short or chosen in group.ids)
        for group in shown.groups
    ]


def _sorted(shown: list[Connection], *, is_ended: bool, is_whole: bool) -> list[Connection]:
    """Return the connections of a page: the last that ended first, or if it has all, the last used."""
    if is_ended:
        return sorted(shown, key=lambda one: one.ended_at or one.consent.created_at, reverse=True)
    return sorted(shown, key=_last_used_first) if is_whole else shown


def _last_used_first(connection: Connection) -> float:
    """Return the key that sorts connections by last use. Unused ones come last, in their original order."""
    return -connection.last_used.timestamp() if connection.last_used else 0.0


def _listed(request: HttpRequest, *, is_ended: bool) -> QuerySet[Consent]:
    live = Q(status=LIVE, expires_at__gt=clock.now())
    consents = consents_for_user(signed_in(request)).exclude(status__in=NOT_LISTED)
    return consents.exclude(live) if is_ended else consents.filter(live)


def _search(rows: QuerySet[Consent], query: str) -> QuerySet[Consent]:
    """Return the connections whose agent or developer has this text in its name."""
    found = Q(agent__name__icontains=query) | Q(agent__organization__name__icontains=query)
    return rows.filter(found) if query else rows
