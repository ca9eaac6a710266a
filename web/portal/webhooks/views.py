"""Settings > Webhooks: the list, what is sent to each, and how its endpoint answered."""

from typing import Any, TypedDict, Unpack

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from core.errors import Conflict, Invalid, Throttled
from core.http import SeeOther
from developers.models import Developer
from developers.roles import Right
from events.models import Webhook
from events.selectors import webhook_of, webhooks_of
from events.services import (
    MAX_WEBHOOKS,
    OVERLAP_SECONDS,
    Changes,
    create_webhook,
    delete_webhook,
    replay,
    rotate_secret,
    send_test,
    throttle_test,
    update_webhook,
)
from web.forms.fields import show_in
from web.portal.agents.forms import RotateForm
from web.portal.webhooks.forms import ReplayForm, WebhookForm, initial_of
from web.portal.webhooks.rows import rows_of
from web.requests import once
from web.requests.access import developer_actor, developer_form, developer_page, for_developers, posted_from
from web.requests.kept_post import take_initial
from web.requests.paging import read_number
from web.requests.portal import portal_url

# As the API does it by default.
ROTATION = {"overlap_seconds": OVERLAP_SECONDS}


class Names(TypedDict):
    """What names a webhook to a service."""

    organization_id: str
    webhook_id: str


@developer_page(Right.READ)
def webhooks(request: HttpRequest, developer: Developer) -> HttpResponse:
    found = list(webhooks_of(developer.organization_id))
    context = {
        "rows": rows_of(developer.organization_id, found),
        "is_full": len(found) >= MAX_WEBHOOKS,
        "most": MAX_WEBHOOKS,
        "addresses": [str(one).removesuffix("/32").removesuffix("/128") for one in settings.WEBHOOK_ADDRESSES],
    }
    return render(request, "web/portal/webhooks/webhooks.html", context)


@developer_form(Right.ADMINISTER)
def create(request: HttpRequest, developer: Developer) -> HttpResponse:
    organization_id = developer.organization_id
    posted = request.POST if request.method == "POST" else None
    form = WebhookForm(posted, initial=take_initial(request, WebhookForm), organization_id=organization_id)
    if form.is_valid():
        try:
            actor = developer_actor(request, developer)
            made = create_webhook(actor=actor, organization_id=organization_id, **form.wanted())
        except Invalid as error:
            show_in(form, error, WebhookForm.PLACES)
        else:
            once.put(request, made.webhook.pk, made.secret)
            return SeeOther(url_of(made.webhook))
    back_url = portal_url(organization_id, "webhooks")
    return _form_page(request, form, {"title": _("Add webhook"), "back_url": back_url, "examples": "events/"})


@developer_form(Right.ADMINISTER)
def edit(request: HttpRequest, developer: Developer, webhook_id: str) -> HttpResponse:
    """Change the URL and the events. Another URL is a step-up, because it gets all events."""
    webhook = webhook_of(developer.organization_id, webhook_id)
    form = WebhookForm(
        request.POST if request.method == "POST" else None,
        initial=initial_of(webhook) | take_initial(request, WebhookForm),
        organization_id=developer.organization_id,
        kept=webhook,
    )
    if form.is_valid():
        try:
            _update(request, developer, webhook, **form.wanted())
        except Invalid as error:
            show_in(form, error, WebhookForm.PLACES)
        else:
            messages.success(request, _("Saved."))
            return SeeOther(url_of(webhook))
    context = {"title": _("Edit webhook"), "webhook": webhook, "back_url": url_of(webhook), "examples": "../events/"}
    return _form_page(request, form, context)


@for_developers(Right.ADMINISTER)
@posted_from("portal:webhook", "organization_id", "webhook_id")
def switch(request: HttpRequest, developer: Developer, webhook_id: str) -> HttpResponse:
    """Switch the webhook on or off. Once it is on again, offer to send what it missed."""
    webhook = webhook_of(developer.organization_id, webhook_id)
    (before,) = rows_of(developer.organization_id, [webhook])
    is_enabled = request.POST.get("enabled") == "true"
    _update(request, developer, webhook, is_enabled=is_enabled)
    if not is_enabled:
        messages.success(request, _("Switched off. No events are sent any more."))
        return SeeOther(url_of(webhook))
    messages.success(request, _("Switched on. It gets what happens from now on."))
    missed = {"after": str(before.sent_to)}
    has_missed = not webhook.is_enabled and before.sent_to < before.newest
    return SeeOther(
        portal_url(webhook.organization_id, "webhook-replay", webhook.pk, query=missed)
        if has_missed
        else url_of(webhook)
    )


@for_developers(Right.ADMINISTER)
@posted_from("portal:webhook", "organization_id", "webhook_id")
def test(request: HttpRequest, developer: Developer, webhook_id: str) -> HttpResponse:
    webhook = webhook_of(developer.organization_id, webhook_id)
    try:
        throttle_test(developer.organization_id)
        send_test(actor=developer_actor(request, developer), **_names(webhook))
    except (Conflict, Throttled) as error:
        messages.error(request, error.translated)
    else:
        messages.success(request, _("A test event is on its way. Its delivery is listed below in a moment."))
    return SeeOther(url_of(webhook))


@developer_form(Right.ADMINISTER)
def rotate(request: HttpRequest, developer: Developer, webhook_id: str) -> HttpResponse:
    webhook = webhook_of(developer.organization_id, webhook_id)
    form = RotateForm(
        request.POST if request.method == "POST" else None, initial=ROTATION | take_initial(request, RotateForm)
    )
    if form.is_valid():
        actor = developer_actor(request, developer)
        made = rotate_secret(actor=actor, **_names(webhook), **form.cleaned_data)
        once.put(request, webhook.pk, made.secret)
        return SeeOther(url_of(webhook))
    context = {
        "form": form,
        "name": webhook.url,
        "title": _("Rotate signing secret"),
        "lead": _("You get a new secret now. Until the old one ends, deliveries are signed with both."),
        "back_url": url_of(webhook),
    }
    return render(request, "web/portal/keys/rotate.html", context, status=422 if form.is_bound else 200)


@developer_form(Right.ADMINISTER)
def replay_events(request: HttpRequest, developer: Developer, webhook_id: str) -> HttpResponse:
    """Ask from which number on all events are sent again."""
    webhook = webhook_of(developer.organization_id, webhook_id)
    (row,) = rows_of(developer.organization_id, [webhook])
    asked, since = read_number(request.GET, "after"), read_number(request.GET, "since")
    start = row.sent_to if asked is None else min(asked, row.newest)
    if since is not None:
        start = min(max(since - 1, 0), row.newest)
    initial = {"after": start} if start < row.newest else {}  # else the member says from where on
    form = ReplayForm(request.POST if request.method == "POST" else None, initial=initial)
    if form.is_valid():
        try:
            replay(actor=developer_actor(request, developer), **_names(webhook), **form.cleaned_data)
        except Invalid as error:
            show_in(form, error)
        except Conflict as error:
            form.add_error(None, error.translated)
        else:
            messages.success(request, _("The events are being sent, the oldest first."))
            return SeeOther(url_of(webhook))
    context = {
        "form": form,
        "row": row,
        "webhook": webhook,
        "start": start,
        "most": row.newest - start,
        "has_missed": asked is not None,  # `switch` leads here
    }
    return render(request, "web/portal/webhooks/replay.html", context, status=422 if form.is_bound else 200)


@developer_form(Right.ADMINISTER)
def delete(request: HttpRequest, developer: Developer, webhook_id: str) -> HttpResponse:
    webhook = webhook_of(developer.organization_id, webhook_id)
    if request.method == "POST":
        delete_webhook(actor=developer_actor(request, developer), **_names(webhook))
        messages.success(request, _("Deleted. Nothing more is sent to this endpoint."))
        return SeeOther(portal_url(developer.organization_id, "webhooks"))
    (row,) = rows_of(developer.organization_id, [webhook])
    context = {
        "row": row,
        "title": _("Delete this webhook?"),
        "confirm_label": _("Delete webhook"),
        "back_url": url_of(webhook),
    }
    return render(request, "web/portal/webhooks/webhook_delete.html", context)


def _update(request: HttpRequest, developer: Developer, webhook: Webhook, **changes: Unpack[Changes]) -> None:
    update_webhook(actor=developer_actor(request, developer), **_names(webhook), **changes)


def _names(webhook: Webhook) -> Names:
    return {"organization_id": webhook.organization_id, "webhook_id": webhook.pk}


def _form_page(request: HttpRequest, form: WebhookForm, context: dict[str, Any]) -> HttpResponse:
    status = 422 if form.is_bound else 200
    return render(request, "web/portal/webhooks/webhook_form.html", {"form": form, **context}, status=status)


def url_of(webhook: Webhook) -> str:
    return portal_url(webhook.organization_id, "webhook", webhook.pk)
