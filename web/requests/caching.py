"""Pages of a signed-in user are not stored: each has the user's name, and others use the same browser later."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils.cache import add_never_cache_headers

GetResponse = Callable[[HttpRequest], HttpResponse]


class PrivatePagesMiddleware:
    """Mark all responses to a signed-in user `no-store`, of public pages, too, and those of errors."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        # A response that read no session has nothing of the user.
        if request.session.accessed and request.user.is_authenticated:
            add_never_cache_headers(response)
        return response
