"""Pages that do not require signing in."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from resources.catalogue import catalogue

SAMPLE_SCOPES = ("email:read", "calendar:write", "payments:charge")


@require_safe
def landing(request: HttpRequest) -> HttpResponse:
    sample = [catalogue()[scope_id] for scope_id in SAMPLE_SCOPES]
    return render(request, "web/landing.html", {"sample": sample})
