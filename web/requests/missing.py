"""The page for paths that do not exist."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import Resolver404, resolve
from django.utils.encoding import escape_uri_path
from django.views import defaults

SAFE = ("GET", "HEAD")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Redirect from a page's path with slashes at its end to the page. Otherwise, return the page for status 404."""
    path = request.path_info.rstrip("/")
    if request.method in SAFE and path != request.path_info and _is_page(path):
        query = request.META.get("QUERY_STRING", "")
        return redirect(f"{escape_uri_path(path)}{query and f'?{query}'}", permanent=True)
    return defaults.page_not_found(request, exception)


def _is_page(path: str) -> bool:
    """Return whether one of our pages has this path. A path such as `//host`, which leads to another site, does not."""
    try:
        return not path.startswith("//") and resolve(path).app_name in ("web", "portal")
    except Resolver404:
        return False
