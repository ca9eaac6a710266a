"""The download of a user's data."""

import json
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from django.test import Client

from accounts.models import User
from accounts.second_factors import add_totp, new_secret
from accounts.services import open_session
from agents.models import Agent
from consent.models import Consent
from consent.pausing import pause_all_agents
from core import clock
from core.actor import Actor
from developers.models import ApiKey, Developer
from tests.approvals import make_approval
from tests.log import log_entries
from tests.passkeys import add_passkey, enter_password
from tests.totp import code_now
from tests.world import as_user, grant_to, hand_over, let_delegate, make_agent, make_invitation, make_verified

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
    assert data["format"] == "agentgate-data/2"
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
    add_totp(actor=as_user(ada), user=ada, secret=secret, code=code_now(secret))
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


def test_it_has_all_memberships_with_their_keys(developer: Developer) -> None:
    earlier = Developer.objects.create(
        user=developer.user, organization=developer.organization, role="auditor", ended_at=clock.now()
    )
    data = download(enter_password(developer.user.email))
    found, past = data["memberships"]["items"]
    assert (past["id"], past["role"], past["apiKeys"]) == (earlier.id, "auditor", [])
    assert past["endedAt"]
    assert (found["role"], found["endedAt"]) == ("owner", None)
    assert (found["id"], found["organization"]["id"]) == (developer.id, developer.organization_id)
    assert found["organization"]["name"] == "Acme Robotics"
    (key,) = ApiKey.objects.filter(developer=developer)
    assert [(one["id"], one["hint"]) for one in found["apiKeys"]] == [(key.id, f"ag_…{key.last_four}")]
    assert key.digest not in json.dumps(data)


def test_a_user_without_a_developer_account_has_none(as_ada: Client) -> None:
    assert download(as_ada)["memberships"]["items"] == []


def test_it_has_the_invitations_to_verified_addresses(developer: Developer) -> None:
    invited = [make_invitation(developer, email) for email in ("cyd@example.com", "other@example.com")]
    make_verified("cyd@example.com")
    (found,) = download(enter_password("cyd@example.com"))["invitations"]["items"]
    assert (found["id"], found["email"], found["status"]) == (invited[0].id, "cyd@example.com", "pending")
    assert found["organization"]["name"] == "Acme Robotics"


def test_it_has_what_agents_handed_on(as_ada: Client, ada: User, agent: Agent, developer: Developer) -> None:
    token = grant_to(agent, ada, ["email:read"])
    consent = let_delegate(token)
    delegation, _issued = hand_over(
        token, make_agent(developer, name="Summarizer"), ["email:read"], task="Trip to Rome"
    )
    make_approval(consent, chain=[[agent.id, None], [delegation.to_agent_id, delegation.id]])
    data = download(as_ada)
    assert data["connections"]["items"][0]["delegation"] == "developer"
    (found,) = data["delegations"]["items"]
    assert (found["id"], found["connectionId"], found["task"]) == (delegation.id, consent.id, "Trip to Rome")
    assert [found[side]["name"] for side in ("from", "to")] == ["SmartMail", "Summarizer"]
    assert "token" not in json.dumps(found).lower()
    assert [link["delegationId"] for link in data["approvals"]["items"][0]["chain"]] == [None, delegation.id]


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
    assert "The data of your account was downloaded" in as_ada.get("/activity").content.decode()


def test_it_is_throttled_as_an_export(as_ada: Client, as_bob: Client, settings: Any) -> None:
    settings.THROTTLE_EXPORT = "2/hour"
    assert [as_ada.post(EXPORT).status_code for _ in range(3)] == [200, 200, 429]
    assert as_bob.post(EXPORT).status_code == 200


def test_only_a_post_with_a_session_downloads(as_ada: Client, ada: User) -> None:
    assert as_ada.get(EXPORT)["Location"] == "/account/data"
    assert Client().post(EXPORT)["Location"].startswith("/accounts/login/")
    assert not log_entries(event="user.data_exported", user_id=ada.id)


def test_a_long_list_says_that_it_is_not_complete(as_ada: Client, granted: Consent, monkeypatch: Any) -> None:
    _, *newest = [make_approval(granted) for _ in range(3)]
    monkeypatch.setattr("web.user.account.collecting.MAX_ROWS", 2)
    found = download(as_ada)["approvals"]
    assert found["isComplete"] is False
    assert {one["id"] for one in found["items"]} == {one.id for one in newest}
    monkeypatch.setattr("web.user.account.collecting.MAX_ROWS", 100)
    monkeypatch.setattr("web.user.account.collecting.MAX_CHARACTERS", 10)
    assert download(as_ada)["approvals"] == {"isComplete": False, "items": []}


def test_the_page_leads_to_the_evidence_and_the_erasure(as_ada: Client) -> None:
    text = as_ada.get("/account/data").content.decode()
    assert 'href="/activity/evidence"' in text
    assert 'href="/account/erase"' in text


def test_a_download_needs_a_recent_sign_in(as_ada: Client, ada: User) -> None:
    with time_machine.travel(clock.now() + timedelta(minutes=6), tick=False):
        answer = as_ada.post(EXPORT)
    assert answer["Location"].startswith("/accounts/reauthenticate/?next=%2Faccount%2Fdata")
    assert not log_entries(event="user.data_exported", user_id=ada.id)
