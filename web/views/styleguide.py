"""Every component of the pages in every state, for those who change them. Only with `DEBUG`."""

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from web.styleguide.areas import AREAS

# Pages that show one layout each.
LAYOUTS = ("outcome", "confirm")
SHEETS = (
    "flow",
    "limits",
    "policies",
    "approvals",
    "connections",
    "activity",
    "security",
    "landing",
    "analytics",
    "styleguide",
)


@require_safe
def styleguide(request: HttpRequest) -> HttpResponse:
    _require_debug()
    for level in (messages.SUCCESS, messages.INFO, messages.WARNING, messages.ERROR):
        messages.add_message(request, level, f"A message of the level {messages.DEFAULT_TAGS[level]}.")
    context = {
        "areas": [(area, area.samples()) for area in AREAS],
        "layouts": LAYOUTS,
        "sheets": [f"css/{name}.css" for name in SHEETS],
    }
    return render(request, "web/styleguide.html", context)


@require_safe
def layout(request: HttpRequest, name: str) -> HttpResponse:
    """Show a page of a layout that takes the whole page."""
    _require_debug()
    if name not in LAYOUTS:
        raise Http404
    context = {
        "title": "Revoke access for Mail Helper?",
        "confirm_label": "Revoke access",
        "back_url": reverse("web:styleguide"),
    }
    return render(request, f"web/styleguide/layout_{name}.html", context)


def _require_debug() -> None:
    if not settings.DEBUG:
        raise Http404
