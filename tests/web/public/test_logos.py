"""Links and the logo of an agent: in the settings, from our own origin, and on the consent screen."""

from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.test import Client

from agents import logos
from agents.deletion import delete_agent
from agents.logos import FetchedLogo, fetch_logo, save_logo
from agents.models import Agent, AgentLogo
from consent.models import Consent
from consent.services import revoke_consent
from core.errors import Throttled
from core.fetching import Fetched, FetchFailed, TooManyFetches
from developers.acting import as_developer as acting
from developers.models import Developer
from tests.approvals import make_approval
from tests.log import log_entries, log_entry
from tests.pictures import png
from tests.shared import cases
from tests.world import ANONYMOUS, as_user

LOGO, HOME, PRIVACY = "https://acme.com/logo.png?v=2", "https://acme.com/", "https://acme.com/privacy"
SETTINGS = {
    "name": "SmartMail",
    "redirect_uris": "https://smartmail.example/callback",
    "allowed_scopes": ["email:read"],
}


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What websites publish: a picture or an error by address. Each is counted when it is fetched."""
    found: dict[str, Any] = {"fetched": []}

    def fetch(host: str, path: str, *, max_bytes: int) -> Fetched:
        found["fetched"].append(f"https://{host}{path}")
        content = found.get(f"https://{host}{path}", FetchFailed("answered with status 404", 404))
        if isinstance(content, Exception):
            raise content
        return Fetched(bytes(content))

    monkeypatch.setattr(logos, "fetch_file", fetch)
    return found


@pytest.fixture
def save(as_developer: Client, agent: Agent) -> Callable[..., Any]:
    """Return a function that saves the settings with these fields, too."""
    return lambda **fields: as_developer.post(f"/developer/agents/{agent.id}/edit", {**SETTINGS, **fields})


def logo_url(agent: Agent) -> str:
    agent.refresh_from_db()
    return f"/logos/{agent.id}/{agent.logo_digest}"


def test_a_logo_is_fetched_once_and_served_by_us(
    client: Client, save: Callable[..., Any], agent: Agent, published: dict[str, Any]
) -> None:
    published[LOGO] = png()
    assert save(logo_url=LOGO).status_code == 303
    assert save(logo_url=LOGO, name="Other").status_code == 303
    assert published["fetched"] == [LOGO]
    answer = client.get(logo_url(agent))
    assert (answer.status_code, answer.content) == (200, png())
    assert answer["Content-Type"] == "image/png"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'; sandbox" in answer["Content-Security-Policy"]
    assert "immutable" in answer["Cache-Control"]
    assert "Set-Cookie" not in answer
    entries = [log_entry(one.pk).content["metadata"] for one in log_entries(event="agent.updated").order_by("id")]
    assert {"changed": ["logo"], "logoSha256": agent.logo_digest} in entries


def test_a_logo_can_be_fetched_again_and_removed(
    client: Client, save: Callable[..., Any], agent: Agent, published: dict[str, Any]
) -> None:
    published[LOGO] = png()
    save(logo_url=LOGO)
    before = logo_url(agent)
    published[LOGO] = png(64, 64)
    assert save(logo_url=LOGO, fetch_again="on").status_code == 303
    assert client.get(logo_url(agent)).content == png(64, 64)
    assert client.get(before).status_code == 404
    assert save(logo_url="").status_code == 303
    assert not AgentLogo.objects.exists()
    agent.refresh_from_db()
    assert agent.logo_digest == ""
    assert client.get(f"/logos/{agent.id}/x").status_code == 404


@pytest.mark.parametrize(
    ("url", "content", "message"),
    [
        ("http://acme.com/logo.png", png(), "Logo: Must begin with https://"),
        ("https://127.0.0.1/logo.png", png(), "Logo: Must begin with https://"),
        (LOGO, b"<svg/>", "Logo: The file must be a PNG, JPEG or WebP picture."),
        (LOGO, png(600, 20), "Logo: The picture must be 16 to 512 pixels"),
        (LOGO, FetchFailed("the host has an address that is not public"), "Logo: We could not fetch the picture."),
        (LOGO, TooManyFetches("Try again in a moment."), "Try again in a moment."),
    ],
)
def test_a_logo_that_cannot_be_used_saves_nothing(
    save: Callable[..., Any], agent: Agent, published: dict[str, Any], url: str, content: Any, message: str
) -> None:
    published[url] = content
    response = save(logo_url=url, name="Other", homepage_url=HOME)
    assert response.status_code == 422
    text = unescape(response.content.decode())
    assert message in text
    assert "not public" not in text
    assert f'value="{url}"' in text
    agent.refresh_from_db()
    assert (agent.name, agent.homepage_url, agent.logo_digest) == ("SmartMail", "", "")


def test_fetches_are_throttled(
    world: Any, published: dict[str, Any], monkeypatch: pytest.MonkeyPatch, db: None
) -> None:
    monkeypatch.setattr(logos, "FETCHES_PER_ADDRESS", "1/hour")
    published[LOGO] = png()
    fetch_logo(actor=world.ANONYMOUS, url=LOGO)
    with pytest.raises(Throttled):
        fetch_logo(actor=world.ANONYMOUS, url=LOGO)
    assert published["fetched"] == [LOGO]


@cases("field", ["homepage_url", "privacy_url"])
def test_a_link_that_cannot_be_used_is_refused(save: Callable[..., Any], agent: Agent, field: str) -> None:
    response = save(**{field: "javascript:alert(1)"})
    assert response.status_code == 422
    assert "Must begin with https://" in response.content.decode()
    assert 'href="javascript' not in response.content.decode()


def test_all_errors_of_the_settings_are_shown_at_once(save: Callable[..., Any], published: dict[str, Any]) -> None:
    wrong = {"name": "", "redirect_uris": "ftp://a.example", "homepage_url": "a", "privacy_url": "b", "logo_url": "c"}
    response = save(**wrong)
    assert response.status_code == 422
    assert set(response.context["form"].errors) == set(wrong)
    assert published["fetched"] == []


def test_the_consent_screen_attributes_logo_and_links_to_the_developer(
    as_ada: Client, save: Callable[..., Any], agent: Agent, published: dict[str, Any], ask: Any
) -> None:
    published[LOGO] = png()
    save(logo_url=LOGO, homepage_url=HOME, privacy_url=PRIVACY)
    page = as_ada.get(f"/consent/{ask(scopes=['email:read']).id}").content.decode()
    figure = page[page.index('<figure class="says">') : page.index("</figure>")]
    assert "In the words of" in figure
    assert f'src="{logo_url(agent)}"' in figure
    assert f'href="{HOME}"' in figure
    assert f'href="{PRIVACY}"' in figure
    assert "noopener" in figure
    assert LOGO.split("?")[0] not in page
    assert page.count("/logos/") == 1


def test_the_portal_shows_the_logo_and_the_preview_too(
    as_developer: Client, save: Callable[..., Any], agent: Agent, published: dict[str, Any]
) -> None:
    published[LOGO] = png()
    save(logo_url=LOGO)
    url = logo_url(agent)
    assert f'src="{url}"' in as_developer.get(f"/developer/agents/{agent.id}").content.decode()
    preview = as_developer.post(f"/developer/agents/{agent.id}/edit", {"preview": "", "homepage_url": HOME})
    shown = preview.content.decode().split('id="preview"')[1]
    assert f'src="{url}"' in shown
    assert f'href="{HOME}"' in shown


def test_a_deleted_agent_has_no_logo(
    world: Any, client: Client, developer: Developer, save: Callable[..., Any], agent: Agent, published: dict[str, Any]
) -> None:
    published[LOGO] = png()
    save(logo_url=LOGO)
    url = logo_url(agent)
    delete_agent(actor=acting(world.ANONYMOUS, developer), agent=agent)
    assert client.get(url).status_code == 404


def test_users_see_the_logo_beside_the_name_once_they_know_the_agent(
    as_ada: Client, as_developer: Client, agent: Agent, granted: Consent, developer: Developer
) -> None:
    make_approval(granted)
    save_logo(actor=acting(ANONYMOUS, developer), agent=agent, logo=FetchedLogo(LOGO, png(), "image/png"))
    picture = f'src="{logo_url(agent)}"'
    entry = log_entries(event="consent.approved").get().pk
    for path in ("/connections", f"/connections/{granted.id}", "/activity", f"/activity/{entry}", "/approvals"):
        assert picture in as_ada.get(path).content.decode(), path
    assert picture in as_developer.get("/developer/agents").content.decode()
    revoke_consent(actor=as_user(granted.user), consent=granted)
    assert picture in as_ada.get("/connections?show=ended").content.decode()
