"""Responses of the OAuth endpoints."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.views.decorators.csrf import csrf_exempt

View = Callable[..., HttpResponse]

UNCACHED = {"Cache-Control": "no-store", "Pragma": "no-cache"}
HEADERS = (("Content-Type", "application/json"), *UNCACHED.items())
ANY_ORIGIN = (("Access-Control-Allow-Origin", "*"),)


def uncached[R: HttpResponse](response: R) -> R:
    """Return `response` with the headers that RFC 6749 section 5.1 requires for token responses."""
    for name, value in UNCACHED.items():
        response[name] = value
    return response


def endpoint(*methods: str) -> Callable[[View], View]:
    """Make an endpoint for programs. It takes these methods and ignores cookies, so any origin may call it."""

    def decorate(view: View) -> View:
        @wraps(view)
        def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if request.method == "OPTIONS":
                response = HttpResponse(status=204)
                response["Access-Control-Allow-Methods"] = ", ".join(methods)
                response["Access-Control-Allow-Headers"] = "Authorization, Content-Type, MCP-Protocol-Version"
            elif request.method not in methods:
                response = uncached(HttpResponseNotAllowed(methods))
            else:
                response = view(request, *args, **kwargs)
            for name, value in ANY_ORIGIN:
                response[name] = value
            return response

        return csrf_exempt(wrapped)

    return decorate
