"""Only the models and the fetcher of django-oauth-toolkit are used, and no request can reach its views."""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

OURS = ("web", "api", "oauth")
TOOLKIT = ("oauth2_provider", "oauthlib")


def views(resolver: URLResolver) -> Iterator[Any]:
    """Yield the view of every URL of the resolver. Class-based views are yielded as classes."""
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLPattern):
            yield getattr(pattern.callback, "view_class", getattr(pattern.callback, "cls", pattern.callback))
        else:
            yield from views(pattern)


def packages(view: Any) -> set[str]:
    """Return the packages of the view and its base classes."""
    return {kind.__module__.partition(".")[0] for kind in getattr(view, "__mro__", (view,))}


def test_no_url_routes_to_a_view_of_the_toolkit() -> None:
    routed = list(views(get_resolver()))

    assert {package for view in routed for package in packages(view)} >= set(OURS)
    assert [view for view in routed if packages(view) & set(TOOLKIT)] == []


def test_no_middleware_or_backend_is_from_the_toolkit() -> None:
    used = [*settings.MIDDLEWARE, *settings.AUTHENTICATION_BACKENDS]
    used += settings.REST_FRAMEWORK["DEFAULT_AUTHENTICATION_CLASSES"]

    assert [path for path in used if path.startswith(TOOLKIT)] == []


def test_the_toolkits_own_paths_do_not_exist(db: None) -> None:
    for path in ("/o/authorize/", "/o/token/", "/oauth/applications/", "/oauth/device-authorization/"):
        assert Client().get(path).status_code == 404
