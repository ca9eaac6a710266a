"""Account pre-hijacking: a stranger registers a victim's address, and the owner's reset ends what the stranger made."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.test import Client

from accounts.models import KnownAddress, SessionToken, User
from accounts.services import open_session
from agents.models import Agent
from core.actor import Actor
from tests.api.conftest import (
    PASSWORD,
    SCOPES,
    Api,
    Json,
    credentials,
    expect,
    initiate,
    new_agent,
    new_developer,
    problem,
    verify,
)
from tests.constants import NEW_PASSWORD
from tests.log import log_entries
from tests.shared import rows_of_module
from tokens.models import TokenFamily

VICTIM, MINE = "victim@example.com", "stranger@evil.example"
OWNER = Actor("anonymous", ip="203.0.113.7")

pytestmark = pytest.mark.django_db


@dataclass
class Stranger:
    """The stranger's credentials for the victim's account."""

    key: Api
    session: Api
    browser: Client
    agent: Json
    tokens: Json
    resource_server: str


@pytest.fixture(scope="module")
def shared_stranger(django_db_setup: None, django_db_blocker: Any) -> Iterator[Stranger]:
    with rows_of_module(django_db_blocker):
        yield make_stranger()


@pytest.fixture
def stranger(shared_stranger: Stranger, db: None) -> Stranger:
    browser = Client()
    browser.cookies = deepcopy(shared_stranger.browser.cookies)
    return replace(shared_stranger, browser=browser)


def make_stranger() -> Stranger:
    anonymous = Api()
    registered = anonymous.post("/developers/register", {"name": "Mine", "email": VICTIM, "password": PASSWORD})
    key = Api(X_Api_Key=expect(201, registered)["apiKey"])
    login = expect(200, anonymous.post("/users/login", {"email": VICTIM, "password": PASSWORD}))
    session = Api(Authorization=f"Bearer {login['sessionToken']}")
    browser = Client()
    browser.post("/accounts/login/", {"login": VICTIM, "password": PASSWORD})
    user = User.objects.get(email=VICTIM)
    EmailAddress.objects.create(user=user, email=MINE, verified=True, primary=False)
    theirs = new_agent(new_developer("rival@example.com"))
    code = expect(200, session.post(f"/consent/{initiate(theirs)}/approve"))["code"]
    tokens = expect(200, anonymous.post("/tokens/exchange", {"code": code, **credentials(theirs)}))
    agent = new_agent(key)
    server = {"name": "Mine", "identifier": "https://mine.example", "scopes": ["email:read"]}
    secret = expect(201, key.post("/resource-servers", server))
    return Stranger(key, session, browser, agent, tokens, f"{secret['id']}:{secret['secret']}")


def test_the_owners_reset_ends_everything_created_before(stranger: Stranger, reset: Any) -> None:
    assert stranger.browser.get("/connections").status_code == 200
    assert verify(stranger.tokens["accessToken"])["allowed"] is True

    reset(VICTIM, NEW_PASSWORD)

    problem(stranger.session.get("/users/me/consents"), 401, "not_authenticated")
    problem(stranger.key.get("/agents"), 401, "not_authenticated")
    assert stranger.browser.get("/connections").status_code == 302
    assert verify(stranger.tokens["accessToken"])["reason"] in ("consent_revoked", "token_revoked")
    assert not EmailAddress.objects.filter(email=MINE).exists()
    agent = Agent.objects.get(id=stranger.agent["id"])
    assert agent.status == Agent.Status.SUSPENDED
    assert not agent.secrets.filter(expires_at=None).exists()
    assert Api().post("/users/login", {"email": VICTIM, "password": PASSWORD}).status_code == 401
    expect(200, Api().post("/users/login", {"email": VICTIM, "password": NEW_PASSWORD}))


def test_the_reset_ends_refresh_tokens_and_resource_server_secrets(stranger: Stranger, reset: Any) -> None:
    import base64

    reset(VICTIM, NEW_PASSWORD)
    assert not TokenFamily.objects.filter(user__email=VICTIM, revoked_at=None).exists()
    basic = base64.b64encode(stranger.resource_server.encode()).decode()
    body = {"token": stranger.tokens["accessToken"], "requiredScopes": SCOPES[:1]}
    problem(Api(Authorization=f"Basic {basic}").post("/tokens/verify", body), 401, "not_authenticated")


def test_the_strangers_second_address_cannot_reset_the_password(stranger: Stranger, reset: Any, mails: Any) -> None:
    reset(VICTIM, NEW_PASSWORD)
    mails.clear()
    Client().post("/accounts/password/reset/", {"email": MINE})
    assert "/password/reset/key/" not in mails[-1].body


def test_the_reset_is_logged_and_verifies_the_address(stranger: Stranger, reset: Any) -> None:
    reset(VICTIM, NEW_PASSWORD)
    user = User.objects.get(email=VICTIM)
    events = list(log_entries(user_id=user.id).values_list("event", flat=True))
    for event in ("user.account_reclaimed", "user.password_changed", "api_key.revoked", "consent.revoked"):
        assert event in events
    assert log_entries(event="agent.suspended", agent_id=stranger.agent["id"]).exists()
    assert list(EmailAddress.objects.filter(user=user).values_list("email", "primary", "verified")) == [
        (VICTIM, True, True)
    ]


def test_a_reset_of_a_verified_address_keeps_keys_and_consents(stranger: Stranger, reset: Any) -> None:
    EmailAddress.objects.filter(email=VICTIM).update(verified=True)
    reset(VICTIM, NEW_PASSWORD)
    expect(200, stranger.key.get("/agents"))
    assert verify(stranger.tokens["accessToken"])["allowed"] is True
    problem(stranger.session.get("/users/me/consents"), 401, "not_authenticated")
    assert stranger.browser.get("/connections").status_code == 302
    assert EmailAddress.objects.filter(email=MINE).exists()


def test_only_the_primary_address_can_reset_the_password(stranger: Stranger, mails: Any) -> None:
    Client().post("/accounts/password/reset/", {"email": MINE})
    assert [mail.to for mail in mails] == [[MINE]]
    assert "/password/reset/key/" not in mails[-1].body


def test_a_password_change_ends_all_other_sessions(stranger: Stranger) -> None:
    user = User.objects.get(email=VICTIM)
    other = open_session(actor=OWNER, user=user).token
    form = {"oldpassword": PASSWORD, "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    here = Client()
    here.post("/accounts/login/", {"login": VICTIM, "password": PASSWORD})
    assert here.post("/accounts/password/change/", form).status_code == 302
    assert here.get("/connections").status_code == 200
    assert stranger.browser.get("/connections").status_code == 302
    problem(Api(Authorization=f"Bearer {other}").get("/users/me/consents"), 401, "not_authenticated")
    problem(stranger.session.get("/users/me/consents"), 401, "not_authenticated")
    assert not SessionToken.objects.filter(user=user).exists()


def test_the_reset_deletes_the_strangers_known_addresses(stranger: Stranger, reset: Any) -> None:
    assert KnownAddress.objects.filter(user__email=VICTIM).exists()
    reset(VICTIM, NEW_PASSWORD)
    assert not KnownAddress.objects.filter(user__email=VICTIM).exists()


def test_a_session_opened_with_the_old_password_does_not_work(stranger: Stranger, reset: Any) -> None:
    before = User.objects.get(email=VICTIM)
    reset(VICTIM, NEW_PASSWORD)
    late = open_session(actor=OWNER, user=before).token
    problem(Api(Authorization=f"Bearer {late}").get("/users/me/consents"), 401, "not_authenticated")
