"""The pages of a developer's API keys."""

from html import unescape

import pytest
from django.test import Client

from core.rotation import note_use
from core.secrets import digest
from developers.models import ApiKey, Developer
from tests.log import log_entries
from tests.shared import cases
from tests.web.portal.agents.test_developer_agents import shown_secret
from tests.world import make_agent

URL = "/developer/api-keys"


@pytest.fixture
def key(developer: Developer) -> ApiKey:
    return developer.api_keys.get()


def test_a_named_key_is_created_beside_the_first_and_shown_once(as_developer: Client, developer: Developer) -> None:
    response = as_developer.post(URL, {"name": " laptop\u202e ", "lifetime_seconds": "2592000"})
    assert (response.status_code, response["Location"]) == (303, as_developer.at(URL))
    page = as_developer.get(URL)
    assert digest(shown_secret(page)) == developer.api_keys.get(name="laptop").digest
    assert [row.secret.name for row in page.context["rows"]] == ["laptop", ""]
    assert "Expires <time" in page.content.decode()
    assert 'name="theme"' not in page.content.decode(), "a choice would open the page again, without the key"
    again = as_developer.get(URL).content.decode()
    assert "secret__value" not in again
    assert 'name="theme"' in again
    assert log_entries(event="api_key.created").count() == 1


@cases(
    ("form", "message"),
    [
        ({"name": ""}, "Name: This field is required."),
        ({"name": "x" * 101}, "Name: Ensure this value has at most 100 characters"),
        ({"name": "laptop"}, "Name: Another of your API keys has this name."),
        ({"name": "other", "lifetime_seconds": "1"}, "Expires: Select a valid choice."),
    ],
)
def test_a_key_that_cannot_be_created_keeps_what_was_typed(
    as_developer: Client, developer: Developer, form: dict[str, str], message: str
) -> None:
    as_developer.post(URL, {"name": "laptop"})
    response = as_developer.post(URL, form)
    assert response.status_code == 422
    text = unescape(response.content.decode())
    assert message in text
    assert f'value="{form["name"]}"' in text or not form["name"]
    assert developer.api_keys.count() == 2


def test_a_developer_has_at_most_ten_live_keys(as_developer: Client, developer: Developer) -> None:
    for number in range(9):
        assert as_developer.post(URL, {"name": f"place {number}"}).status_code == 303
    response = as_developer.post(URL, {"name": "one more"})
    assert response.status_code == 422
    assert "at most 10 API keys" in response.content.decode()
    as_developer.post(f"{URL}/{developer.api_keys.first().pk}/revoke")
    assert as_developer.post(URL, {"name": "one more"}).status_code == 303


def test_rotation_replaces_one_key_and_keeps_it_for_the_overlap(
    as_developer: Client, developer: Developer, key: ApiKey
) -> None:
    as_developer.post(URL, {"name": "laptop"})
    as_developer.get(URL)
    response = as_developer.post(f"{URL}/{key.pk}/rotate", {"overlap_seconds": "3600"})
    assert (response.status_code, response["Location"]) == (303, as_developer.at(URL))
    page = as_developer.get(URL)
    assert digest(shown_secret(page)) == developer.api_keys.first().digest
    assert len(page.context["rows"]) == 3
    assert page.content.decode().count("Stops working <time") == 1
    assert page.content.decode().count(">Rotate<") == 2  # not of the one that is replaced
    newest = developer.api_keys.first()
    assert as_developer.post(f"{URL}/{newest.pk}/rotate", {"overlap_seconds": "5"}).status_code == 422


@cases(("overlap", "said"), [("3600", "A new key has replaced this one."), ("0", "This API key no longer works.")])
def test_a_second_rotation_shows_what_the_first_one_made(
    as_developer: Client, developer: Developer, key: ApiKey, overlap: str, said: str
) -> None:
    url, form = f"{URL}/{key.pk}/rotate", {"overlap_seconds": overlap}
    for _click in range(2):
        answer = as_developer.post(url, form)
    page = as_developer.get(answer["Location"])
    assert said in page.content.decode()
    assert digest(shown_secret(page)) == developer.api_keys.first().digest
    assert developer.api_keys.count() == 2
    again = as_developer.get(url, follow=True)
    assert again.status_code == 404 if overlap == "0" else said in again.content.decode()


def test_an_overlap_that_keeps_too_many_keys_is_refused(
    as_developer: Client, developer: Developer, key: ApiKey
) -> None:
    for number in range(9):
        as_developer.post(URL, {"name": f"place {number}"})
    answer = as_developer.post(f"{URL}/{key.pk}/rotate", {"overlap_seconds": "3600"})
    assert answer.status_code == 422
    assert "When the old one expires: At most 10 can work at once." in answer.content.decode()
    assert as_developer.post(f"{URL}/{key.pk}/rotate", {"overlap_seconds": "0"}).status_code == 303


def test_revoking_ends_one_key(as_developer: Client, developer: Developer, key: ApiKey) -> None:
    as_developer.post(URL, {"name": "laptop"})
    assert "it may have been used since" not in as_developer.get(f"{URL}/{key.pk}/revoke").content.decode()
    note_use(key)
    asked = as_developer.get(f"{URL}/{key.pk}/revoke").content.decode()
    assert "Revoke this API key?" in asked
    assert "it may have been used since" in asked
    answer = as_developer.post(f"{URL}/{key.pk}/revoke", follow=True)
    assert "The API key no longer works." in answer.content.decode()
    assert [row.secret.name for row in answer.context["rows"]] == ["laptop"]


@cases("act", ["rotate", "revoke"])
def test_the_key_of_another_developer_or_a_revoked_one_is_absent(
    as_developer: Client, as_rival: Client, developer: Developer, key: ApiKey, act: str
) -> None:
    as_developer.post(URL, {"name": "laptop"})
    revoked = developer.api_keys.get(name="laptop")
    as_developer.post(f"{URL}/{revoked.pk}/revoke", follow=True)
    form = {"overlap_seconds": "0"}
    for client, one in ((as_developer, revoked), (as_rival, key)):
        path = f"{URL}/{one.pk}/{act}"
        assert client.get(path).status_code == client.post(path, form).status_code == 404
    key.refresh_from_db()
    assert key.expires_at is None


def test_a_key_has_a_role_and_can_be_for_some_agents_only(as_developer: Client, developer: Developer) -> None:
    agent = make_agent(developer, name="Postie")
    form = as_developer.get(URL).context["form"]
    assert [value for value, _name in form.fields["role"].choices] == ["owner", "admin", "developer", "auditor"]
    assert form["role"].value() == "developer"
    as_developer.post(URL, {"name": "ci", "role": "auditor", "agent_ids": [agent.id]})
    key = developer.api_keys.get(name="ci")
    assert (key.role, key.agent_ids) == ("auditor", [agent.id])
    assert as_developer.get(URL).context["rows"][0].facts == ["Role: Auditor", "Only for Postie"]
    answer = as_developer.post(URL, {"name": "x", "agent_ids": ["agt_other"]})
    assert "Only for these agents: Select a valid choice." in answer.content.decode()


def test_a_key_for_an_agent_that_was_deleted_meanwhile_does_not_reach_all(
    as_developer: Client, developer: Developer
) -> None:
    answer = as_developer.post(URL, {"name": "ci", "agent_ids": ["agt_deleted"]})
    assert "Only for these agents: Select a valid choice." in answer.content.decode()
    assert developer.api_keys.count() == 1


def test_a_key_of_the_organization_is_for_admins_to_make_and_for_all_to_see(
    as_developer: Client, developer: Developer
) -> None:
    answer = as_developer.post(URL, {"name": "ci", "role": "owner", "owned_by_organization": "on"})
    assert "Role: A key of the organization can be developer or auditor." in answer.content.decode()
    as_developer.post(URL, {"name": "ci", "role": "developer", "owned_by_organization": "on"})
    (row,) = as_developer.get(URL).context["organization_rows"]
    assert row.facts == ["Role: Developer", f"Made by {developer.user.email}"]
    assert f"/{row.secret.id}/rotate" in as_developer.get(URL).content.decode()
    Developer.objects.update(role="auditor")
    page = as_developer.get(URL)
    assert page.context["rows"][0].facts == ["Role: Owner, limited to Auditor by your own role"]
    assert f"/{row.secret.id}/rotate" not in page.content.decode()
    assert [value for value, _name in page.context["form"].fields["role"].choices] == ["auditor"]
    as_developer.post(URL, {"name": "mine", "owned_by_organization": "on"})
    assert (developer.api_keys.get(name="mine").role, ApiKey.objects.filter(developer=None).count()) == ("auditor", 1)
    for act in ("rotate", "revoke"):
        path = f"{URL}/{row.secret.id}/{act}"
        assert as_developer.get(path).status_code == as_developer.post(path).status_code == 403
    assert log_entries(event="member.refused").count() == 4
    Developer.objects.update(role="admin")
    as_developer.post(f"{URL}/{row.secret.id}/revoke")
    assert as_developer.get(URL).context["organization_rows"] == []
