"""The download of a user's data, and the choices on the pages of the account."""

import json
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from django.test import Client

from accounts.models import Notice, User
from accounts.second_factors import add_totp, new_secret
from accounts.services import open_session
from accounts.tasks import mail_notices
from accounts.totp import STEP_SECONDS, code_at
from consent.models import Consent
from consent.pausing import pause_all_agents
from core import clock
from core.actor import Actor
from developers.models import ApiKey, Developer
from tests.approvals import make_approval
from tests.log import log_entries
from tests.mails import REMEDIES
from tests.passkeys import add_passkey, enter_password
from tests.world import as_user

EXPORT = "/account/data/export"


@pytest.fixture
def as_ada(ada: User) -> Client:
    """Return a browser in which Ada has just entered her password."""
    return enter_password(ada.email)


@pytest.fixture
def as_bob(bob: User) -> Client:
    return enter_password(bob.email)


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


def test_it_has_the_ways_to_sign_in_and_no_secret_of_them(as_ada: Client, ada: User) -> None:
    assert download(as_ada)["secondFactors"] == {"passkeys": [], "authenticatorApp": None, "recoveryCodesLeft": None}
    add_passkey(as_ada, name="My laptop")
    secret = new_secret()
    step = int(clock.now().timestamp()) // STEP_SECONDS
    add_totp(actor=as_user(ada), user=ada, secret=secret, code=code_at(secret, step))
    pause_all_agents(actor=as_user(ada), user=ada)
    data = download(as_ada)
    (found,) = data["secondFactors"]["passkeys"]
    assert found["name"] == "My laptop"
    assert found.keys() == {"name", "createdAt", "lastUsedAt"}
    assert data["secondFactors"]["authenticatorApp"].keys() == {"createdAt", "lastUsedAt"}
    assert data["secondFactors"]["recoveryCodesLeft"] == 10
    assert data["account"]["agentsPausedAt"].endswith("Z")
    text = json.dumps(data)
    for row in Authenticator.objects.filter(user=ada):
        assert all(len(str(value)) < 20 or str(value) not in text for value in row.data.values())
    assert secret not in text


def test_it_has_the_organization_and_keys_of_a_developer(developer: Developer) -> None:
    data = download(enter_password(developer.user.email))
    found = data["developer"]
    assert (found["id"], found["organization"]["id"]) == (developer.id, developer.organization_id)
    assert found["organization"]["name"] == "Acme Robotics"
    (key,) = ApiKey.objects.filter(developer=developer)
    assert [(one["id"], one["hint"]) for one in found["apiKeys"]] == [(key.id, f"ag_…{key.last_four}")]
    assert key.digest not in json.dumps(data)


def test_a_user_who_is_no_developer_has_none(as_ada: Client) -> None:
    assert download(as_ada)["developer"] is None


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


MAILS_PAGE = "/account/notifications"
SIGN_IN_AGAIN = "/accounts/reauthenticate/?next=%2Faccount%2F"
LATER = timedelta(minutes=6)


@pytest.mark.parametrize("left_on", [{}, {"grant_mails": "on"}, {"device_mails": "on"}])
def test_mails_that_warn_are_switched_off_only_after_a_recent_sign_in(
    as_ada: Client, ada: User, left_on: dict[str, str]
) -> None:
    with time_machine.travel(clock.now() + LATER, tick=False):
        answer = as_ada.post(MAILS_PAGE, left_on)
    assert answer["Location"].startswith(f"{SIGN_IN_AGAIN}notifications")
    ada.refresh_from_db()
    assert (ada.approval_mails, ada.grant_mails, ada.device_mails) == (True, True, True)
    assert not log_entries(event="user.mails_changed", user_id=ada.id)
    assert not Notice.objects.exists()


def test_other_choices_of_emails_need_no_recent_sign_in(as_ada: Client, ada: User) -> None:
    User.objects.filter(pk=ada.pk).update(grant_mails=False)
    with time_machine.travel(clock.now() + LATER, tick=False):
        answer = as_ada.post(MAILS_PAGE, {"grant_mails": "on", "device_mails": "on"})
    assert answer["Location"] == MAILS_PAGE
    ada.refresh_from_db()
    assert (ada.approval_mails, ada.grant_mails, ada.device_mails) == (False, True, True)
    assert not Notice.objects.exists()


def test_the_end_of_warnings_is_mailed(as_ada: Client, mailoutbox: list[Any]) -> None:
    for _ in range(2):
        as_ada.post(MAILS_PAGE, {"approval_mails": "on"})
    assert mail_notices() == 2
    assert sorted(mail.subject for mail in mailoutbox) == [
        "[AgentGate] Emails about new access of agents were switched off",
        "[AgentGate] Emails about sign-ins with a new browser or program were switched off",
    ]
    assert all("from the IP address 127.0.0.1" in mail.body for mail in mailoutbox)
    assert all(f"http://localhost:8000{path}\n" in mail.body for mail in mailoutbox for path in REMEDIES)


def test_a_download_needs_a_recent_sign_in(as_ada: Client, ada: User) -> None:
    with time_machine.travel(clock.now() + LATER, tick=False):
        answer = as_ada.post(EXPORT)
    assert answer["Location"].startswith(f"{SIGN_IN_AGAIN}data")
    assert not log_entries(event="user.data_exported", user_id=ada.id)


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
