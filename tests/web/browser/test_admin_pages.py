"""Each model's pages of the admin site. `pages/administration.py` has one page of each kind only."""

import re
from collections.abc import Iterator

import pytest
from django.contrib import admin
from django.db import transaction
from django.db.models import Model

from tests.administration.test_pages import form_url, list_url
from tests.administration.world import World, make_world
from tests.web.browser.test_pages import check_in_full

pytestmark = [pytest.mark.browser, pytest.mark.soak, pytest.mark.django_db(transaction=True)]
# What the page of a row offers: its actions and its form. They need the sign-in of a moment ago.
OFFERED = re.compile(r'href="(/admin/[^"]+/(?:act/[a-z_]+|edit)/)"')

MAX_TOP = 300


def test_no_page_of_a_model_has_a_problem(open_tab):
    tab = open_tab(javascript=True, reduced_motion="reduce")
    tab.become(committed_world().administrator.email)
    models = list(admin.site._registry)
    assert [model for model in models if not model._default_manager.exists()] == []
    found = [problem for model in models for problem in problems_of_model(tab, model)]
    assert not found, "\n".join(found)


def committed_world() -> World:
    """Make the rows in one transaction, as for the tests of the admin site, but commit it for the browser."""
    around = transaction.atomic()
    around._from_testcase = True  # so that durable transactions may begin within it
    with around:
        return make_world()


def top_of_first_row(tab, path: str) -> float:
    tab.page.set_viewport_size({"width": 320, "height": 700})
    tab.goto(path)
    return tab.page.locator("main tbody tr").first.bounding_box()["y"]


def problems_of_model(tab, model: type[Model]) -> Iterator[str]:
    """Check the list, the page of a row, and what this offers, in all views."""
    row = form_url(model._default_manager.all()[0])
    for path in (list_url(model), row):
        yield from check_in_full(tab, path, "models")
    if (top := top_of_first_row(tab, list_url(model))) >= MAX_TOP:
        yield f"{list_url(model)}: the first row begins at {top} on a phone"
    tab.goto(row)
    for path in sorted(set(OFFERED.findall(tab.page.content()))):
        yield from check_in_full(tab, path, "models")
