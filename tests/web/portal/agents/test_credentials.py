"""The pages of an agent's client secrets."""

import re
from html import unescape
from typing import Any

import pytest
from django.test import Client

from agents.models import Agent, ClientSecret
from core.secrets import digest
from tests.log import log_entries, log_entry
from tests.shared import cases
from tests.web.portal.agents.test_developer_agents import shown_secret


@pytest.fixture
def url(agent: Agent) -> str:
    return f"/developer/agents/{agent.id}/credentials"


@pytest.fixture
def secret(agent: Agent) -> ClientSecret:
    return agent.secrets.get()


def metadata(event: str) -> Any:
    return log_entry(log_entries(event=event).get().pk).content["metadata"]


def test_a_named_secret_is_created_beside_the_first_and_shown_once(
    as_developer: Client, agent: Agent, url: str
) -> None:
    response = as_developer.post(url, {"name": " production\u202e "})
    assert (response.status_code, response["Location"]) == (303, as_developer.at(url))
    page = as_developer.get(url)
    assert digest(shown_secret(page)) == agent.secrets.get(name="production").digest
    assert [one.secret.name for one in page.context["rows"]] == ["production", ""]
    later = as_developer.get(url).content.decode()
    assert "secret__value" not in later
    assert f"<code>ags_…{shown_secret(page)[-4:]}</code>" in later
    assert re.search(r'<td role="cell" class="lines__more"><time[^>]*>just now', later)
    assert re.search(r'"cell">Never used<', later)
    assert metadata("agent.secret_created") == {"name": "production"}


@cases(
    ("name", "message"),
    [
        ("", "Name: This field is required."),
        ("x" * 101, "Name: Ensure this value has at most 100 characters"),
        ("production", "Name: Another client secret of this agent has this name."),
    ],
)
def test_a_name_must_be_given_and_new(as_developer: Client, agent: Agent, url: str, name: str, message: str) -> None:
    as_developer.post(url, {"name": "production"})
    response = as_developer.post(url, {"name": name})
    assert response.status_code == 422
    text = unescape(response.content.decode())
    assert message in text
    assert f'value="{name}"' in text or not name
    assert agent.secrets.count() == 2


def test_an_agent_has_at_most_ten_live_secrets(as_developer: Client, agent: Agent, url: str) -> None:
    for number in range(9):
        assert as_developer.post(url, {"name": f"place {number}"}).status_code == 303
    response = as_developer.post(url, {"name": "one more"})
    assert response.status_code == 422
    assert "at most 10 client secrets" in response.content.decode()
    as_developer.post(f"{url}/{agent.secrets.first().pk}/revoke")
    assert as_developer.post(url, {"name": "one more"}).status_code == 303


@cases(("overlap", "live"), [("0", 2), ("3600", 3), ("86400", 3), ("604800", 3)])
def test_rotation_replaces_one_secret_and_keeps_it_for_the_overlap(
    as_developer: Client, agent: Agent, url: str, secret: ClientSecret, overlap: str, live: int
) -> None:
    as_developer.post(url, {"name": "production"})
    as_developer.get(url)
    response = as_developer.post(f"{url}/{secret.pk}/rotate", {"overlap_seconds": overlap})
    assert (response.status_code, response["Location"]) == (303, as_developer.at(url))
    page = as_developer.get(url)
    assert digest(shown_secret(page)) == agent.secrets.first().digest
    assert len(page.context["rows"]) == live
    assert ("Stops working <time" in page.content.decode()) is (overlap != "0")
    assert agent.secrets.get(name="production").expires_at is None
    assert metadata("agent.secret_rotated") == {"overlapSeconds": int(overlap), "secretId": secret.pk, "name": ""}


@cases(
    ("overlap", "said"), [("3600", "A new secret has replaced this one."), ("0", "This client secret no longer works.")]
)
def test_a_second_rotation_shows_what_the_first_one_made(
    as_developer: Client, agent: Agent, url: str, secret: ClientSecret, overlap: str, said: str
) -> None:
    for _click in range(2):
        answer = as_developer.post(f"{url}/{secret.pk}/rotate", {"overlap_seconds": overlap})
    page = as_developer.get(answer["Location"])
    assert said in page.content.decode()
    assert digest(shown_secret(page)) == agent.secrets.first().digest
    assert agent.secrets.count() == 2


def test_an_overlap_that_keeps_too_many_secrets_is_refused(
    as_developer: Client, agent: Agent, url: str, secret: ClientSecret
) -> None:
    for number in range(9):
        as_developer.post(url, {"name": f"place {number}"})
    answer = as_developer.post(f"{url}/{secret.pk}/rotate", {"overlap_seconds": "3600"})
    assert answer.status_code == 422
    assert "When the old one expires: At most 10 can work at once." in answer.content.decode()


@cases("overlap", ["", "1", "604801", "x"])
def test_an_invalid_overlap_is_refused(
    as_developer: Client, agent: Agent, url: str, secret: ClientSecret, overlap: str
) -> None:
    response = as_developer.post(f"{url}/{secret.pk}/rotate", {"overlap_seconds": overlap})
    assert response.status_code == 422
    assert agent.secrets.count() == 1


def test_revoking_ends_one_secret_and_warns_of_the_last(
    as_developer: Client, agent: Agent, url: str, secret: ClientSecret
) -> None:
    assert "only secret" in as_developer.get(f"{url}/{secret.pk}/revoke").content.decode()
    as_developer.post(url, {"name": "production"})
    assert "only secret" not in as_developer.get(f"{url}/{secret.pk}/revoke").content.decode()
    answer = as_developer.post(f"{url}/{secret.pk}/revoke", follow=True)
    assert "The secret no longer works." in answer.content.decode()
    assert [one.secret.name for one in answer.context["rows"]] == ["production"]
    assert metadata("agent.secret_revoked") == {"secretId": secret.pk, "name": ""}


@cases("act", ["rotate", "revoke"])
def test_a_secret_of_another_agent_or_a_revoked_one_is_absent(
    world: Any, as_developer: Client, as_rival: Client, agent: Agent, url: str, secret: ClientSecret, act: str
) -> None:
    other = world.make_agent(agent.organization.developers.get(), name="Other")
    as_developer.post(url, {"name": "production"})
    revoked = agent.secrets.get(name="production")
    as_developer.post(f"{url}/{revoked.pk}/revoke", follow=True)
    form = {"overlap_seconds": "0"}
    for client, path in (
        (as_developer, f"/developer/agents/{other.id}/credentials/{secret.pk}/{act}"),
        (as_developer, f"{url}/{revoked.pk}/{act}"),
        (as_rival, f"{url}/{secret.pk}/{act}"),
    ):
        assert client.get(path).status_code == client.post(path, form).status_code == 404
    secret.refresh_from_db()
    assert secret.expires_at is None
