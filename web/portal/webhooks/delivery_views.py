"""One webhook with its deliveries, and one delivery."""

import json
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from agents.selectors import all_agents_of_organization
from audit.selectors import entry_for_organization
from core import clock
from core.errors import Conflict, NotFound
from core.http import SeeOther
from core.text import plain_text
from developers.models import Developer
from developers.roles import Right
from events.models import Delivery, Webhook
from events.payload import delivered, events_of
from events.schedule import Outstanding, next_due
from events.selectors import deliveries_of, delivery_of, outstanding, webhook_of
from events.services import redeliver
from web.portal.webhooks.forms import STATUSES
from web.portal.webhooks.rows import DeliveryRow, rows_of
from web.portal.webhooks.snippets import snippets
from web.requests import once
from web.requests.access import developer_actor, developer_form, developer_page
from web.requests.paging import paginate
from web.requests.portal import portal_url

PAGE_SIZE = 25


@developer_page(Right.READ)
def webhook(request: HttpRequest, developer: Developer, webhook_id: str) -> HttpResponse:
    """Show what the webhook does now, its secret once, and its deliveries, with `?status=` only those."""
    found = webhook_of(developer.organization_id, webhook_id)
    status = request.GET.get("status", "")
    status = status if status in Delivery.Status else ""
    deliveries = deliveries_of(found)
    page = paginate(request, deliveries.filter(status=status) if status else deliveries, PAGE_SIZE)
    (row,) = rows_of(developer.organization_id, [found])
    context = {
        "webhook": found,
        "row": row,
        "next_try": _next_try(found),
        "failed": _failed(found),
        "agents": _agents(found),
        "secret": once.take(request, found.pk),
        "snippets": snippets(),
        "page": page,
        "deliveries": [DeliveryRow(one) for one in page.items],
        "status": status,
        "statuses": STATUSES,
    }
    return render(request, "web/portal/webhooks/webhook.html", context)


@developer_form(Right.READ, post=Right.ADMINISTER)
def delivery(request: HttpRequest, developer: Developer, webhook_id: str, delivery_id: str) -> HttpResponse:
    """Show a delivery. POST sends its event again."""
    of = webhook_of(developer.organization_id, webhook_id)
    found = delivery_of(of, delivery_id)
    if request.method == "POST":
        _send_again(request, developer, found)
        return SeeOther(portal_url(developer.organization_id, "webhook", of.pk))
    context = {"webhook": of, "delivery": found, "row": DeliveryRow(found), "sent": _sent(developer, found)}
    return render(request, "web/portal/webhooks/delivery.html", context)


def _next_try(found: Webhook) -> datetime | None:
    """Return when the next try of a failing webhook is, unless that is now."""
    if found.failing_since is None:
        return None
    due = next_due([Outstanding(*row) for row in outstanding(found).values_list(*Outstanding._fields)])
    return due if due is not None and due > clock.now() else None


def _failed(found: Webhook) -> DeliveryRow | None:
    """Return the last delivery that a failing webhook did not accept and that is tried again."""
    if found.failing_since is None:
        return None
    last = outstanding(found).exclude(tried_at=None).order_by("-tried_at").first()
    return DeliveryRow(last) if last else None


def _send_again(request: HttpRequest, developer: Developer, found: Delivery) -> None:
    names = {"organization_id": developer.organization_id, "webhook_id": found.webhook_id, "delivery_id": found.pk}
    try:
        redeliver(actor=developer_actor(request, developer), **names)
    except Conflict as error:
        messages.error(request, error.translated)
    else:
        messages.success(request, _("The event is being sent again."))


def _sent(developer: Developer, found: Delivery) -> str:
    """Return the body that a try sends now, as indented JSON. Empty if the log no longer has the entry."""
    try:
        entry = entry_for_organization(developer.organization_id, found.entry_id)
    except NotFound:
        return ""
    (event,) = events_of([(entry, found.number)], developer.organization_id)
    return json.dumps(json.loads(delivered(event)), indent=2, ensure_ascii=False)


def _agents(found: Webhook) -> list[tuple[str, str]] | None:
    """Return the ids and names of the agents to which the webhook is limited, without the name of a deleted one."""
    if found.agent_ids is None:
        return None
    agents: Any = all_agents_of_organization(found.organization_id).filter(pk__in=found.agent_ids)
    names = dict(agents.values_list("pk", "name"))
    return [(one, plain_text(names.get(one, ""))) for one in found.agent_ids]
