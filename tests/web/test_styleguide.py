"""The style guide, for those who change the pages."""

from web.icons import PATHS

WORDS = ("Critical risk", "Paused", "Not decided in time", "Will be taken away", "Please correct", "Good morning")
WORDS += ("Always allow", "Undo")


def test_shows_every_icon_and_state_while_debugging(client, db, settings):
    settings.DEBUG = True
    html = client.get("/styleguide").content.decode()
    assert all(path in html for path in PATHS.values())
    for words in WORDS:
        assert words in html


def test_is_absent_otherwise(client, db):
    assert client.get("/styleguide").status_code == 404
