"""The download of a user's data, and the choices on the pages of the account."""

import json
from typing import Any

import pytest
import time_machine
from django.test import Client

from accounts.models import User
from accounts.services import open_session
from consent.models import Consent
from core.actor import Actor
from tests.approvals import make_approval
from tests.log import log_entries

EXPORT = "/account/data/export"


def download(client: Client) -> dict[str, Any]:
    answer = client.post(EXPORT)
    assert answer.status_code == 200
    data: dict[str, Any] = json.loads(answer.content)
    return data


def test_one_file_has_everything_but_secrets(as_ada: Client, ada: User, granted: Consent) -> None:
    make_approval(granted, context={"recipient": "bob@example.com"})
    opened = open_session(actor=Actor("anonymous", ip="203.0.113.9", user_agent="curl/8"), user=ada)
    data = download(as_ada)
    assert data["format"] == "agentgate-data/1"
    assert (data["account"]["id"], data["account"]["email"], data["account"]["name"]) == (ada.id, ada.email, "Ada")
    assert data["emailAddresses"][0]["email"] == ada.email
    assert data["notifications"] == {"approvalMails": True, "grantMails": True, "deviceMails": True}
    (api,) = [one for one in data["sessions"] if one["kind"] == "api"]
    assert (api["ip"], api["userAgent"], api["id"]) == ("203.0.113.9", "curl/8", opened.session.id)
    (connection,) = data["connections"]["items"]
    assert (connection["id"], connection["agent"]["name"]) == (granted.id, "SmartMail")
    assert [one["id"] for one in connection["scopes"]] == granted.granted_scopes
    assert data["approvals"]["items"][0]["context"] == {"recipient": "bob@example.com"}
    assert data["connections"]["isComplete"] is data["approvals"]["isComplete"] is True
    assert data["history"]["url"].endswith("/api/v1/users/me/audit-export")
    text = json.dumps(data)
    assert opened.token not in text
    assert opened.session.digest not in text
    assert ada.password not in text
    assert as_ada.session.session_key not in text


def test_it_is_a_file_that_no_cache_keeps(as_ada: Client) -> None:
    answer = as_ada.post(EXPORT)
    assert answer["Content-Disposition"].startswith('attachment; filename="agentgate-data-')
    assert answer["Content-Type"] == "application/json"
    assert "no-store" in answer["Cache-Control"]


def test_it_has_nothing_of_others(as_bob: Client, granted: Consent, ada: User) -> None:
    text = json.dumps(download(as_bob))
    assert ada.email not in text
    assert granted.id not in text


def test_it_is_logged(as_ada: Client, ada: User) -> None:
    download(as_ada)
    assert len(log_entries(event="user.data_exported", user_id=ada.id)) == 1
    assert "You downloaded your data." in as_ada.get("/activity").content.decode()


def test_it_is_throttled_as_an_export(as_ada: Client, as_bob: Client, settings: Any) -> None:
    settings.THROTTLE_EXPORT = "2/hour"
    assert [as_ada.post(EXPORT).status_code for _ in range(3)] == [200, 200, 429]
    assert as_bob.post(EXPORT).status_code == 200


def test_only_a_post_with_a_session_downloads(as_ada: Client, ada: User) -> None:
    assert as_ada.get(EXPORT)["Location"] == "/account/data"
    assert Client().post(EXPORT)["Location"].startswith("/accounts/login/")
    assert not log_entries(event="user.data_exported", user_id=ada.id)


def test_a_long_list_says_that_it_is_not_complete(as_ada: Client, granted: Consent, monkeypatch: Any) -> None:
    for _ in range(3):
        make_approval(granted)
    monkeypatch.setattr("web.own_data.MAX_ROWS", 2)
    assert download(as_ada)["approvals"]["isComplete"] is False
    monkeypatch.setattr("web.own_data.MAX_ROWS", 100)
    monkeypatch.setattr("web.own_data.MAX_CHARACTERS", 10)
    assert download(as_ada)["approvals"] == {"isComplete": False, "items": []}


def test_the_page_leads_to_the_evidence_and_the_erasure(as_ada: Client) -> None:
    text = as_ada.get("/account/data").content.decode()
    assert 'href="/api/v1/users/me/audit-export"' in text
    assert 'href="/account/erase"' in text


def save(client: Client, **values: str) -> Any:
    return client.post("/account", {"name": "Ada", **values})


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("Europe/Berlin", "Europe/Berlin"),
        ("europe/berlin", "Europe/Berlin"),
        (" new york ", "America/New_York"),
        ("", ""),
        ("UTC", "UTC"),
    ],
)
def test_a_time_zone_is_found_by_its_name_or_city(as_ada: Client, ada: User, typed: str, stored: str) -> None:
    User.objects.filter(pk=ada.pk).update(time_zone="Asia/Tokyo")
    assert save(as_ada, time_zone=typed).status_code == 303
    ada.refresh_from_db()
    assert ada.time_zone == stored


@pytest.mark.parametrize(
    ("typed", "hint"), [("Berln", "Did you mean Europe/Berlin?"), ("#", "Choose one from the list")]
)
def test_an_unknown_time_zone_is_an_error(as_ada: Client, ada: User, typed: str, hint: str) -> None:
    answer = save(as_ada, time_zone=typed)
    assert answer.status_code == 422
    assert hint in answer.content.decode()
    assert not log_entries(event="user.profile_changed", user_id=ada.id)


def test_pages_show_times_in_the_zone(as_ada: Client, ada: User) -> None:
    save(as_ada, time_zone="Asia/Tokyo")
    with time_machine.travel("2026-07-01T10:00:00Z", tick=False):
        as_ada.force_login(ada)
        assert "7:00" in as_ada.get("/account").content.decode()


def test_a_change_of_the_profile_is_logged_once(as_ada: Client, ada: User) -> None:
    save(as_ada, name="Countess \u202eof Lovelace")
    save(as_ada, name="Countess of Lovelace")
    ada.refresh_from_db()
    assert ada.name == "Countess of Lovelace"
    (entry,) = log_entries(event="user.profile_changed", user_id=ada.id)
    assert entry.content["metadata"] == {"fields": ["name"]}
    assert "You changed your name or your time zone." in as_ada.get("/activity").content.decode()


def test_the_choices_of_emails_are_stored_and_logged(as_ada: Client, ada: User) -> None:
    answer = as_ada.post("/account/notifications", {"grant_mails": "on"})
    assert (answer.status_code, answer["Location"]) == (303, "/account/notifications")
    ada.refresh_from_db()
    assert (ada.approval_mails, ada.grant_mails, ada.device_mails) == (False, True, False)
    (entry,) = log_entries(event="user.mails_changed", user_id=ada.id)
    assert entry.content["metadata"] == {"approvalMails": False, "deviceMails": False}
    text = as_ada.get("/account/notifications").content.decode()
    assert text.count(" checked") == 1


def test_choices_made_with_an_old_password_are_refused(as_ada: Client, ada: User) -> None:
    User.objects.filter(pk=ada.pk).update(is_active=False)
    assert as_ada.post("/account/notifications", {}).status_code == 302
    ada.refresh_from_db()
    assert ada.grant_mails


def test_after_the_erasure_verify_denies_at_once(world: Any) -> None:
    grant = world.make_grant()
    client = Client()
    client.post("/accounts/login/", {"login": grant.user.email, "password": world.PASSWORD})
    body = {"token": grant.access_token, "requiredScopes": ["email:read"]}

    def verify() -> dict[str, Any]:
        answer: dict[str, Any] = Client().post("/api/v1/tokens/verify", body, "application/json").json()
        return answer

    assert verify()["allowed"]
    assert "SmartMail" in client.get("/account/erase").content.decode()
    assert client.post("/account/erase", {"email": grant.user.email}).status_code == 303
    assert verify()["reason"] == "token_revoked"
