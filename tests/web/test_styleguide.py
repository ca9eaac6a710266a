"""The style guide, for those who change the pages."""

import re
from collections import Counter
from pathlib import Path

import pytest
from django.conf import settings as project
from django.test.signals import template_rendered

from web.icons import PATHS

WORDS = ("Critical risk", "Paused", "Not decided in time", "Will be taken away", "Please correct", "Good morning")
WORDS += ("Always allow", "Undo", "Nothing was changed", "It can send nothing out.", "Use a passkey", "This was not me")
COMPONENTS = Path(project.BASE_DIR) / "templates" / "components"


@pytest.fixture
def html(client, db, settings) -> str:
    settings.DEBUG = True
    return str(client.get("/styleguide").content.decode())


def test_shows_every_icon_and_state_while_debugging(html):
    assert all(path in html for path in PATHS.values())
    for words in WORDS:
        assert words in html


def test_shows_every_component(client, db, settings):
    settings.DEBUG = True
    shown = set[str]()

    def note(template, **_):
        shown.add(template.name)

    template_rendered.connect(note)
    try:
        client.get("/styleguide")
    finally:
        template_rendered.disconnect(note)
    assert not {f"components/{file.name}" for file in COMPONENTS.glob("*.html")} - shown


def test_gives_each_sample_ids_of_its_own(html):
    ids = Counter(re.findall(r'\sid="([^"]+)"', html))
    assert not [name for name, number in ids.items() if number > 1]
    referred = re.findall(r' (?:for|aria-labelledby|aria-describedby|popovertarget|data-copy)="([^"]+)"', html)
    assert {name for names in referred for name in names.split()} <= ids.keys()


def test_queries_only_for_the_mastheads(client, db, settings, django_assert_max_num_queries):
    settings.DEBUG = True
    with django_assert_max_num_queries(3):
        client.get("/styleguide")


@pytest.mark.parametrize(("name", "words"), [("outcome", "This request has expired"), ("confirm", "Cancel")])
def test_shows_the_layouts_of_whole_pages(client, db, settings, name, words):
    settings.DEBUG = True
    assert words in client.get(f"/styleguide/{name}").content.decode()
    assert client.get("/styleguide/unknown").status_code == 404


@pytest.mark.parametrize("path", ["/styleguide", "/styleguide/outcome", "/styleguide/confirm"])
def test_is_absent_otherwise(client, db, path):
    assert client.get(path).status_code == 404
