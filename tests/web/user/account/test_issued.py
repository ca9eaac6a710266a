"""What a stale session has made is listed and ended: on the account's page, after a reset, and with a report."""

import re
from datetime import timedelta

import pytest
import time_machine
from allauth.account.models import EmailAddress
from django.test import Client
from django.urls import reverse

from accounts.reset_tokens import ResetTokens
from agents.models import Agent, ClientSecret
from agents.services import update_agent
from audit.events import Event
from audit.selectors import entries_for_user
from core import clock
from developers.acting import as_developer as acting
from developers.api_keys import create_api_key
from developers.models import ApiKey, Developer
from tests.constants import CALLBACK, NEW_PASSWORD, PASSWORD
from tests.shared import cases
from tests.web.ledger import words_of
from tests.world import ANONYMOUS, sign_in

URL = "/account/credentials"
EVIL = "https://evil.example/callback"


@pytest.fixture
def before(developer: Developer, agent: Agent) -> None:
    """What the owner made three days ago, with the first key and secret."""
    for rows in (ApiKey.objects.all(), ClientSecret.objects.all(), agent.added_redirect_uris.all()):
        rows.update(created_at=clock.now() - timedelta(days=3))


@pytest.fixture
def stolen(before: None, developer: Developer, agent: Agent) -> ApiKey:
    """What another person made today."""
    actor = acting(ANONYMOUS, developer)
    update_agent(actor=actor, agent=agent, changes={"redirect_uris": [CALLBACK, EVIL]})
    key: ApiKey = create_api_key(actor=actor, developer=developer, name="mine, really").row
    return key


def today() -> str:
    return f"{clock.now():%Y-%m-%d}"


def live_keys(developer: Developer) -> list[str]:
    return list(developer.api_keys.filter(expires_at=None).values_list("name", flat=True))


def test_the_page_lists_what_was_made_and_one_button_ends_it(
    as_developer: Client, developer: Developer, agent: Agent, stolen: ApiKey
) -> None:
    words = words_of(as_developer, URL)
    assert "mine, really" in words
    assert str(stolen) in words
    assert EVIL in words
    assert CALLBACK in words
    page = as_developer.get(f"{URL}?since={today()}").content.decode()
    assert CALLBACK not in page
    assert f'href="{URL}"' in page
    assert "End all 2 credentials created since" in page

    response = as_developer.post(URL, {"since": today()})

    assert (response.status_code, response["Location"]) == (303, f"{URL}?since={today()}")
    assert live_keys(developer) == [""]
    agent.refresh_from_db()
    assert agent.redirect_uri_list == [CALLBACK]
    assert "Nothing created since then still works." in words_of(as_developer, response["Location"])


def test_ending_needs_no_password_because_it_only_takes_away(developer: Developer, stolen: ApiKey) -> None:
    assert sign_in(developer.user).post(URL, {"since": today()})["Location"].startswith(URL)
    assert live_keys(developer) == [""]


@cases("since", ["", "yesterday", "2026-13-01", "9999-12-31x"])
def test_a_date_that_is_none_ends_nothing(
    as_developer: Client, developer: Developer, stolen: ApiKey, since: str
) -> None:
    response = as_developer.post(URL, {"since": since})
    assert response.status_code == 422
    assert live_keys(developer) == ["mine, really", ""]


def test_a_user_who_is_not_a_developer_has_made_none(as_ada: Client) -> None:
    assert "not a developer account" in words_of(as_ada, URL)
    assert f'href="{URL}"' not in as_ada.get("/account").content.decode()
    assert as_ada.post(URL, {"since": today()}).status_code == 200


def test_a_developer_ends_only_their_own(as_rival: Client, developer: Developer, stolen: ApiKey) -> None:
    as_rival.post(URL, {"since": today()})
    assert live_keys(developer) == ["mine, really", ""]


def test_the_page_after_a_reset_lists_what_still_works(developer: Developer, stolen: ApiKey) -> None:
    client, user = Client(), developer.user
    EmailAddress.objects.filter(user=user).update(verified=True)  # else the reset itself ends everything
    link = reverse("account_reset_password_from_key", args=[user.id, ResetTokens().make_token(user)])
    form = client.get(link, follow=True).redirect_chain[-1][0]
    done = client.post(form, {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD}, follow=True)
    html = done.content.decode()
    assert "These still work" in html
    assert str(stolen) in html
    assert "mine, really" in html
    assert EVIL in html

    href = re.search(r'href="(/accounts/login/\?next=%2Faccount%2Fcredentials)"', html)
    assert href
    signed = client.post(href[1], {"login": user.email, "password": NEW_PASSWORD, "next": URL})
    assert signed["Location"] == URL
    assert "These still work" not in client.get(done.redirect_chain[-1][0]).content.decode()


def test_a_report_ends_what_was_made_since_the_date(
    as_developer: Client, developer: Developer, agent: Agent, stolen: ApiKey
) -> None:
    entry = next(one for one in entries_for_user(developer.user_id) if one.event == Event.API_KEY_CREATED)
    path = f"/activity/{entry.id}/dispute"
    page = words_of(as_developer, path)
    assert "2 credentials created since" in page
    assert "mine, really" in page

    as_developer.post(path, {"stop": "nothing", "since": today()})
    assert live_keys(developer) == ["mine, really", ""]
    bad = as_developer.post(path, {"stop": "nothing", "credentials": "on", "since": ""})
    assert bad.status_code == 422
    as_developer.post(path, {"stop": "all", "credentials": "on", "since": today()})

    assert live_keys(developer) == [""]
    agent.refresh_from_db()
    assert agent.redirect_uri_list == [CALLBACK]
    developer.user.refresh_from_db()
    assert developer.user.agents_paused_at is not None
    assert f'href="{URL}?since={today()}"' in as_developer.get(path).content.decode()


@cases(
    ("path", "form"),
    [
        ("/developer/api-keys", {"name": "laptop <3", "lifetime_seconds": "2592000"}),
        ("/developer/agents/{agent}/credentials", {"name": "production"}),
        ("/developer/agents/new", {"name": "Bot", "redirect_uris": EVIL, "allowed_scopes": ["email:read"]}),
        ("/developer/agents/{agent}/edit", {"name": "New", "redirect_uris": EVIL, "allowed_scopes": ["email:read"]}),
        (
            "/developer/resource-servers/new",
            {"name": "Notes", "identifier": "https://notes.example", "shared": ["email:read", "email:send"]},
        ),
    ],
)
def test_what_was_typed_is_shown_again_after_the_password_and_not_sent(
    developer: Developer, agent: Agent, path: str, form: dict[str, object]
) -> None:
    client = sign_in(developer.user)
    path = client.at(path.format(agent=agent.id))
    asked = client.post(path, form)
    assert (asked.status_code, asked["Location"].split("?")[0]) == (303, "/accounts/reauthenticate/")

    back = client.post(asked["Location"], {"password": PASSWORD, "next": path}, follow=True)

    assert back.redirect_chain[-1][0] == path
    assert "Nothing has been changed yet" in back.content.decode()
    assert {name: back.context["form"][name].value() for name in form} == form
    assert live_keys(developer) == [""]
    agent.refresh_from_db()
    assert (agent.name, agent.redirect_uri_list) == ("SmartMail", [CALLBACK])
    # It is shown once, and the next click does it.
    assert client.get(path).context["form"]["name"].value() != form["name"]
    assert client.post(path, form).status_code == 303


def test_what_was_typed_is_not_shown_on_another_page_and_not_after_ten_minutes(developer: Developer) -> None:
    client = sign_in(developer.user)
    client.post("/developer/api-keys", {"name": "laptop"})
    assert "laptop" not in client.get("/developer/agents/new").content.decode()
    with time_machine.travel(clock.now() + timedelta(minutes=11)):
        assert 'value="laptop"' not in client.get("/developer/api-keys").content.decode()


def test_a_form_that_is_too_long_is_not_kept(developer: Developer) -> None:
    client = sign_in(developer.user)
    client.post("/developer/api-keys", {"name": "laptop", "other": "x" * 70_000})
    assert "kept_post" not in client.session
