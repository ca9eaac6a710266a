"""Lines about permissions on one page do not contradict each other."""

from dataclasses import replace

from django.utils.html import strip_tags

from resources.catalogue import catalogue
from tests import world
from web.wording.cannot import cannot_beside

SENDING = "“Send email as you” is a separate permission."


def lines(*scopes: str) -> list[str]:
    shown = [catalogue()[scope] for scope in scopes]
    return [strip_tags(cannot_beside(scope, shown)) for scope in shown]


def test_alone_a_scope_has_the_words_of_the_catalogue() -> None:
    assert lines("email:read") == ["Cannot send, move or delete mail."]
    assert lines("email:read", "calendar:read")[0] == "Cannot send, move or delete mail."


def test_the_scope_that_allows_it_is_named() -> None:
    read, send = lines("email:read", "email:send")
    assert read == f"Cannot send, move or delete mail. {SENDING}"
    assert send == "Cannot read or delete mail. “Read your email” is a separate permission."


def test_all_scopes_that_allow_it_are_named() -> None:
    read, _, _ = lines("email:read", "email:send", "email:manage")
    assert read.endswith(" “Send email as you” and “Organise your mailbox” are separate permissions.")


def test_no_line_denies_what_another_line_allows_without_naming_it() -> None:
    """Of each pair of scopes of the catalogue, in both orders."""
    for one in catalogue().values():
        for other in catalogue().values():
            (line, _) = lines(one.id, other.id) if one is not other else ("", "")
            is_named = line.endswith(f" “{other.title}” is a separate permission.")
            assert is_named == (one is not other and any(each in (other.id, *other.covers) for each in one.excludes))


def test_the_demo_and_the_preview_agree_too(client, as_developer):
    page = strip_tags(client.get("/").content.decode())
    assert SENDING in page
    form = {"name": "X", "redirect_uris": "https://x.example/cb", "allowed_scopes": ["email:read", "email:send"]}
    preview = strip_tags(as_developer.post("/developer/agents/new", {**form, "preview": "1"}).content.decode())
    assert SENDING in preview


def test_words_of_an_organization_stay_whole() -> None:
    close = replace(catalogue()["calendar:write"], id="notes:close", title="Close notes", defined_by="Acme")
    read = replace(close, id="notes:read", cannot="close notes", excludes=("notes:close",))
    assert strip_tags(cannot_beside(read, [close])) == "Cannot: close notes. “Close notes” is a separate permission."


def test_the_screen_and_the_connection_say_so(as_ada, ada, developer):
    agent = world.make_agent(developer, allowed_scopes=["email:read", "email:send"])
    consent = world.ask(agent)
    screen = strip_tags(as_ada.get(f"/consent/{consent.id}").content.decode())
    world.allow(consent, ada)
    for words in (screen, strip_tags(as_ada.get(f"/connections/{consent.id}").content.decode())):
        assert f"Cannot send, move or delete mail. {SENDING}" in words
