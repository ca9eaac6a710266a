"""Settings > Feed: how programs read the organization's events, with commands to copy."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string

from developers.models import Developer
from developers.roles import Right
from events.numbers import newest_number
from web.portal.feed.commands import HTTP, SHIPPERS
from web.requests.access import developer_page
from web.requests.portal import portal_url

# What the form for a new API key then shows.
KEY = {"name": "events", "role": "auditor"}


@developer_page(Right.READ)
def feed(request: HttpRequest, developer: Developer) -> HttpResponse:
    newest = newest_number(developer.organization_id)
    context = {
        "setup": render_to_string("web/portal/feed/setup.txt", {"base_url": settings.API_URL}).strip(),
        "http": [(one, one.text_after(newest)) for one in HTTP],
        "shippers": SHIPPERS,
        "newest": newest,
        "key_url": f"{portal_url(developer.organization_id, 'api-keys', query=KEY)}#new-key",
    }
    return render(request, "web/portal/feed/feed.html", context)
