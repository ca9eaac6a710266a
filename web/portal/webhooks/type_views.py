"""The event types, with an example of each."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from core.errors import NotFound
from developers.models import Developer
from developers.roles import Right
from web.portal.webhooks.catalogue import example_of, find_type, subjects
from web.requests.access import developer_page


@developer_page(Right.READ)
def event_types(request: HttpRequest, developer: Developer) -> HttpResponse:
    return render(request, "web/portal/webhooks/event_types.html", {"subjects": subjects()})


@developer_page(Right.READ)
def event_type(request: HttpRequest, developer: Developer, event: str) -> HttpResponse:
    """Show an event type with its example. The form's script takes the example from here (`static/js/examples.js`)."""
    found = find_type(event)
    if found is None:
        raise NotFound("No such event type.")
    return render(request, "web/portal/webhooks/event_type.html", {"type": found, "example": example_of(event)})
