"""A new endpoint, page or action of administrators is listed in `acts.py`, so that its other doors are thought of."""

import re
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client

from administration.actions import EditForm
from api.v1.urls import urlpatterns as endpoints
from tests.doors.acts import ACTS, ADMINISTRATION, LEADS, OTHERS
from web.portal.urls import urlpatterns as portal
from web.public.entrance.urls import urlpatterns as entrance
from web.urls import urlpatterns as pages

WRITES = ("post", "put", "patch", "delete")
# Endpoints for proxies, which ask and change nothing.
PROXIES = "forward-auth"


def with_stars(pattern: str) -> str:
    """Return the pattern with `*` for each id, and for `me`."""
    return re.sub(r"<[^>]+>|\{[^}]+\}|(?<=/users/)me", "*", pattern)


def endpoint_doors() -> set[str]:
    """Return what writes, and every download."""
    found = set()
    for pattern in endpoints:
        path, view = with_stars(str(pattern.pattern)), pattern.callback.cls
        methods = {name for name in WRITES if hasattr(view, name)}
        if getattr(getattr(getattr(view, "get", None), "operation", None), "media_type", None):
            methods.add("get")
        found |= {f"{name.upper()} /api/v1/{path}" for name in methods if PROXIES not in path}
    return found


def example_of(pattern: Any) -> str:
    """Return a path that matches."""
    text = str(pattern.pattern)
    if text.startswith("^"):
        return "password/reset/key/usr_0-x/"
    return re.sub(r"<([a-z]+):[^>]+>", lambda found: "1" if found[1] == "int" else "xyz_0000", text)


def page_doors() -> set[str]:
    """Return the pages that take POST: all others answer 405 to anyone."""
    found, client = set(), Client()
    for prefix, patterns in (("/", pages), ("/developer/org_0/", portal), ("/accounts/", entrance)):
        for pattern in patterns:
            if client.post(prefix + example_of(pattern)).status_code != 405:
                text = str(pattern.pattern)
                shown = "password/reset/key/*-*/" if text.startswith("^") else with_stars(text)
                found.add(f"POST {prefix.replace('org_0', '*')}{shown}")
    return found


def listed() -> set[str]:
    return {with_stars(str(door)) for act in ACTS for door in act.doors} | set().union(*OTHERS.values())


@pytest.mark.django_db
def test_each_endpoint_and_page_is_a_door_to_a_listed_act() -> None:
    doors = endpoint_doors() | page_doors()

    assert doors - listed() == set(), "new doors: to which acts, and what do the others ask for?"
    assert listed() - doors == set(), "these doors are gone"


def test_no_door_is_listed_twice_for_different_reasons() -> None:
    others = [door for doors in OTHERS.values() for door in doors]
    acts = {with_stars(str(door)) for act in ACTS for door in act.doors}
    assert len(others) == len(set(others))
    assert acts.isdisjoint(others)


def test_each_page_that_leads_to_a_download_exists() -> None:
    found = {f"/{with_stars(str(one.pattern))}" for one in pages}
    found |= {f"/developer/*/{with_stars(str(one.pattern))}" for one in portal}
    assert {with_stars(path) for path in LEADS} <= found


def test_each_action_and_form_of_administrators_is_listed_and_asks_for_a_reason_and_the_password() -> None:
    found: dict[str, set[str]] = {}
    for model, site in admin.site._registry.items():
        actions, form = list(site.actions or ()), getattr(site, "edit_form", None)
        assert all(hasattr(action, "impact") for action in actions), "made by `reasoned_action`, which asks for both"
        assert form is None or issubclass(form, EditForm)
        names = {action.__name__ for action in actions} | ({form.__name__} if form else set())
        if names:
            found[model._meta.label_lower] = names
    assert found == ADMINISTRATION
