"""What django-oauth-toolkit is used for: its models and its fetcher, and nothing that a request could reach."""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

OURS = ("web", "api", "oauth")
TOOLKIT = ("oauth2_provider", "oauthlib")


def views(resolver: URLResolver) -> Iterator[Any]:
    """Yield the view of every URL below, as a class where it is one."""
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLPattern):
            yield getattr(pattern.callback, "view_class", getattr(pattern.callback, "cls", pattern.callback))
        else:
            yield from views(pattern)


def packages(view: Any) -> set[str]:
    """Return the packages that the view, and what it inherits from, are written in."""
    return {kind.__module__.partition(".")[0] for kind in getattr(view, "__mro__", (view,))}


def test_no_url_leads_to_a_view_of_the_toolkit() -> None:
    routed = list(views(get_resolver()))

    assert {package for view in routed for package in packages(view)} >= set(OURS)
    assert [view for view in routed if packages(view) & set(TOOLKIT)] == []


def test_no_middleware_or_backend_is_the_toolkit_s() -> None:
    used = [*settings.MIDDLEWARE, *settings.AUTHENTICATION_BACKENDS]
    used += settings.REST_FRAMEWORK["DEFAULT_AUTHENTICATION_CLASSES"]

    assert [path for path in used if path.startswith(TOOLKIT)] == []


def test_the_toolkit_s_own_paths_are_absent(db: None) -> None:
    for path in ("/o/authorize/", "/o/token/", "/oauth/applications/", "/oauth/device-authorization/"):
        assert Client().get(path).status_code == 404
