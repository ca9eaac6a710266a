"""Logos of agents, from our own origin. Each version has its own URL, so browsers can cache it."""

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.csp import CSP
from django.views.decorators.cache import cache_control
from django.views.decorators.csp import csp_override
from django.views.decorators.http import require_safe

from agents.logos import find_logo

YEAR = 31_536_000


@require_safe
@cache_control(public=True, max_age=YEAR, immutable=True)
@csp_override({"default-src": [CSP.NONE], "sandbox": True})
def logo(request: HttpRequest, agent_id: str, digest: str) -> HttpResponse:
    """Return the picture with the media type of its bytes. `nosniff` keeps browsers from choosing another."""
    found = find_logo(agent_id, digest)
    if found is None:
        raise Http404
    response = HttpResponse(bytes(found.content), content_type=found.media_type)
    response["Content-Disposition"] = "inline"
    response["Cross-Origin-Resource-Policy"] = "same-origin"
    response["X-Content-Type-Options"] = "nosniff"
    return response
