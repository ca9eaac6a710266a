"""Pages that do not require signing in."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_cache_control
from django.views.decorators.http import require_safe

from web.public.landing import samples
from web.public.landing.demo import AGENT, show_demo

# All signed-out visitors get the same page for the same URL.
CACHE_SECONDS = 300


@require_safe
def landing(request: HttpRequest) -> HttpResponse:
    demo = show_demo(request.GET)
    context = {
        "demo": demo,
        "agent": demo["agent"],
        "organization": demo["organization"],
        "samples": samples,
        "lines": samples.activity(AGENT),
    }
    response = render(request, "web/public/landing/landing.html", context, status=422 if demo["problem"] else 200)
    patch_cache_control(response, private=True, max_age=0 if request.user.is_authenticated else CACHE_SECONDS)
    return response
