"""Do not store pages of a signed-in user: they show the user's name, and others may use the browser later."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils.cache import add_never_cache_headers

GetResponse = Callable[[HttpRequest], HttpResponse]


class PrivatePagesMiddleware:
    """Mark all responses to a signed-in user `no-store`, including public pages and errors."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        # A response for which the session was not read contains nothing about the user.
        if request.session.accessed and request.user.is_authenticated:
            add_never_cache_headers(response)
        return response
