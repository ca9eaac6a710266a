"""Downloads: the user's history, filtered like the page, and signed evidence, which the API sends."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse

from accounts.recent import require_recent_sign_in, time_of_sign_in
from audit.entries.drafts import SHORTENED, Draft
from audit.events import Event
from consent.selectors import consent_for_user
from core import clock
from core.http import SeeOther
from web.requests.access import for_users, posted_from, signed_in, user_actor, user_page
from web.requests.downloads import Download, send, up_to
from web.user.activity.items import Item
from web.user.activity.search import read_all
from web.user.activity.views import activity_form

COLUMNS: Mapping[str, Callable[[Item], Any]] = {
    "agent": lambda item: item.content["agentName"],
    "agentId": lambda item: item.agent_id,
    "event": lambda item: item.event,
    "outcome": lambda item: item.outcome,
    "summary": lambda item: item.words.text,
    "reason": lambda item: item.content["reason"],
    "scopes": lambda item: list(item.content["scopes"]),
    "action": lambda item: item.content["action"],
    "verb": lambda item: item.touched.verb,
    "recipient": lambda item: item.touched.recipient,
    "target": lambda item: item.touched.target,
    "resource": lambda item: item.touched.resource,
    "amount": lambda item: (item.touched.amount or {}).get("value"),
    "currency": lambda item: (item.touched.amount or {}).get("currency"),
    "context": lambda item: item.content["personal"].get("context"),
    "shortenedContext": lambda item: item.content["personal"].get(SHORTENED),
    "services": lambda item: list(item.services),
    "policy": lambda item: item.content["policyName"],
    "consentId": lambda item: item.content["consentId"],
}


@posted_from("web:activity")
@for_users
def export(request: HttpRequest, format_name: str) -> StreamingHttpResponse:
    """Send what the filters in the URL show, up to now. The download is logged, but does not include its own entry."""
    user, now, wanted = signed_in(request), clock.now(), activity_form(request).wanted()
    wanted = replace(wanted, filters=up_to(now, wanted.filters))
    download = Download("activity", wanted.listing(user.id).criteria, COLUMNS, read_all(user.id, wanted))
    draft = Draft(Event.AUDIT_EXPORTED, user_actor(request), user_id=user.id)
    return send(request, download, format_name, now, draft)


@user_page
def own_log(request: HttpRequest) -> HttpResponse:
    return _download(request, "users/me/audit-export")


@user_page
def connection(request: HttpRequest, consent_id: str) -> HttpResponse:
    consent_for_user(signed_in(request), consent_id)
    return _download(request, f"users/me/consents/{consent_id}/evidence")


def _download(request: HttpRequest, path: str) -> HttpResponse:
    """Redirect to the endpoint, which does all other checks. It would answer an old sign-in with bare JSON."""
    require_recent_sign_in(time_of_sign_in(request))
    return SeeOther(f"/api/v1/{path}")
