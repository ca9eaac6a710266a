"""The texts of scopes are the same everywhere and promise nothing that verify does not enforce."""

import re

from django.utils.html import escape

from resources.catalogue import catalogue
from tests import world
from web.wording.cannot import cannot_beside

ASKING = re.compile(r"\bask", re.IGNORECASE)


def test_scopes_have_the_same_texts_everywhere_and_none_promises_to_ask_each_time(as_ada, ada, developer, client):
    scopes = client.get("/api/v1/scopes").json()["items"]
    public = client.get("/scopes").content.decode()
    agent = world.make_agent(developer, allowed_scopes=list(catalogue()))
    consent = world.ask(agent, scopes=list(catalogue()))
    screen = as_ada.get(f"/consent/{consent.id}").content.decode()
    world.allow(consent, ada)
    connection = as_ada.get(f"/connections/{consent.id}").content.decode()
    siblings = catalogue().values()
    for scope in scopes:
        words = f"{scope['title']} {scope['description']} {scope['cannot']}"
        assert not ASKING.search(words), scope
        assert f">Cannot {escape(scope['cannot'])}.<" in public, scope["id"]
        for page in (public, screen, connection):
            assert f">{escape(scope['description'])}.<" in page, scope["id"]
        for page in (screen, connection):
            assert f">{cannot_beside(catalogue()[scope['id']], siblings)}<" in page, scope["id"]
    assert all("each time" not in page for page in (public, screen, connection))
