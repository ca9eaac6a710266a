"""A request from /oauth/authorize belongs to one browser. A link from the JSON API opens in any."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.test import Client
from django.urls import reverse

from accounts.services import open_session
from consent.models import Consent
from core import clock
from tests import world
from tests.oauth.client import make_client, make_public_client
from tests.oauth.test_pushed_requests import push
from tests.shared import cases

COOKIE = "browser"
ALLOW = {"decision": "allow", "scopes": ["email:read"]}


@pytest.fixture
def oauth_client(developer):
    return make_client(developer)


def start(oauth_client, browser, **changes) -> Consent:
    """Redirect the browser to the authorization endpoint, and return the pending consent."""
    answer = oauth_client.authorize(browser, **changes)
    assert answer.status_code == 303, answer.content
    return Consent.objects.get(id=answer["Location"].rpartition("/")[2])


def assert_other_browser_is_refused(response) -> None:
    text = response.content.decode()
    assert response.status_code == 403
    assert "This request was started in another browser" in text
    assert "go back to the agent in this browser and start again" in text
    assert "SmartMail" not in text
    assert "no-store" in response["Cache-Control"]


def test_the_browser_that_started_a_request_can_decide_it(oauth_client, as_ada):
    consent = start(oauth_client, as_ada)
    assert as_ada.get(f"/consent/{consent.id}").status_code == 200
    assert "code=" in as_ada.post(f"/consent/{consent.id}", ALLOW)["Location"]


def test_another_browser_of_the_same_user_must_start_again(oauth_client, as_ada, ada):
    consent = start(oauth_client, as_ada)
    other = world.sign_in(ada)
    assert_other_browser_is_refused(other.get(f"/consent/{consent.id}"))
    for decision in (ALLOW, {"decision": "deny"}, {"decision": "allow"}):
        assert_other_browser_is_refused(other.post(f"/consent/{consent.id}", decision))
    consent.refresh_from_db()
    assert consent.status == "pending"


def test_another_browser_is_refused_before_signing_in(oauth_client, as_ada):
    consent = start(oauth_client, as_ada)
    assert_other_browser_is_refused(Client().get(f"/consent/{consent.id}"))


def test_a_victim_cannot_allow_a_request_that_an_attacker_started(oauth_client, as_bob, as_ada):
    consent = start(oauth_client, as_bob)
    start(oauth_client, as_ada)
    assert_other_browser_is_refused(as_ada.get(f"/consent/{consent.id}"))
    assert_other_browser_is_refused(as_ada.post(f"/consent/{consent.id}", ALLOW))


def test_a_repeated_decision_is_refused_in_another_browser(oauth_client, as_ada, ada):
    consent = start(oauth_client, as_ada)
    assert as_ada.post(f"/consent/{consent.id}", ALLOW).status_code == 303
    assert world.sign_in(ada).post(f"/consent/{consent.id}", ALLOW).status_code == 403


def test_several_requests_in_one_browser_stay_open(oauth_client, as_ada):
    first, second = start(oauth_client, as_ada), start(oauth_client, as_ada)
    for consent in (first, second):
        assert as_ada.get(f"/consent/{consent.id}").status_code == 200


def test_signing_in_keeps_the_browser_cookie(oauth_client, ada):
    browser = Client()
    consent = start(oauth_client, browser)
    assert urlsplit(browser.get(f"/consent/{consent.id}")["Location"]).path == reverse("account_login")
    browser.post(reverse("account_login"), {"login": ada.email, "password": world.PASSWORD})
    assert browser.get(f"/consent/{consent.id}").status_code == 200


def test_the_cookie_is_host_only_secure_and_http_only(oauth_client, as_ada, settings):
    settings.SESSION_COOKIE_SECURE, settings.BROWSER_COOKIE_NAME = True, "__Host-browser"
    cookie = oauth_client.authorize(as_ada).cookies["__Host-browser"]
    assert (cookie["path"], cookie["domain"], cookie["samesite"]) == ("/", "", "Lax")
    assert (cookie["secure"], cookie["httponly"], cookie["max-age"]) == (True, True, 600)
    assert len(cookie.value) == 43


def test_only_the_digest_of_the_cookie_is_stored(oauth_client, as_ada):
    consent = start(oauth_client, as_ada)
    value = as_ada.cookies[COOKIE].value
    assert len(consent.browser_digest) == 64
    assert value not in consent.browser_digest


@cases("value", ["", "x", "x" * 43, "\u00e9" * 43, "x" * 5000])
def test_an_invalid_cookie_is_refused(oauth_client, as_ada, value):
    consent = start(oauth_client, as_ada)
    as_ada.cookies[COOKIE] = value
    assert_other_browser_is_refused(as_ada.get(f"/consent/{consent.id}"))


def test_a_link_from_the_json_api_opens_in_any_browser(as_ada, ask):
    consent = ask()
    assert as_ada.get(f"/consent/{consent.id}").status_code == 200
    assert as_ada.post(f"/consent/{consent.id}", ALLOW).status_code == 303


@cases("verb", ["approve", "deny"])
def test_the_api_accepts_a_session_token_but_not_another_browsers_session(oauth_client, as_bob, ada, verb):
    path = f"/api/v1/consent/{start(oauth_client, as_bob).id}/{verb}"
    refused = world.sign_in(ada).post(path, {}, content_type="application/json")
    assert (refused.status_code, refused.json()["code"]) == (403, "other_browser")
    token = open_session(actor=world.ANONYMOUS, user=ada).token
    headers = {"Authorization": f"Bearer {token}"}
    assert Client().post(path, {}, content_type="application/json", headers=headers).status_code == 200


def test_the_api_accepts_the_session_of_the_same_browser(oauth_client, as_ada):
    path = f"/api/v1/consent/{start(oauth_client, as_ada).id}/approve"
    assert as_ada.post(path, {}, content_type="application/json").status_code == 200


def visit(oauth_client, browser, request_uri):
    return browser.get("/oauth/authorize", {"client_id": oauth_client.agent.client_id, "request_uri": request_uri})


@pytest.fixture(params=["confidential", "public"])
def pushing_client(request, developer):
    return make_client(developer) if request.param == "confidential" else make_public_client(developer)


def test_a_pushed_request_belongs_to_the_first_browser_that_opens_it(pushing_client, as_ada, as_bob):
    uri = push(pushing_client).json()["request_uri"]
    location = visit(pushing_client, as_ada, uri)["Location"]
    refused = visit(pushing_client, as_bob, uri)
    assert refused.status_code == 403
    assert "started in another browser" in refused.content.decode()
    assert '<body class="flow">' in refused.content.decode()
    assert_other_browser_is_refused(as_bob.get(location))
    assert visit(pushing_client, as_ada, uri)["Location"] == location
    assert parse_qs(urlsplit(as_ada.post(location, ALLOW)["Location"]).query)["code"]


def test_a_pushed_request_cannot_be_opened_by_its_consent_link_alone(oauth_client, as_ada):
    consent_id = push(oauth_client).json()["request_uri"].rpartition(":")[2]
    assert_other_browser_is_refused(as_ada.get(f"/consent/{consent_id}"))
    assert_other_browser_is_refused(as_ada.post(f"/consent/{consent_id}", ALLOW))


def test_an_expired_request_of_another_browser_is_refused(oauth_client, as_ada, ada):
    consent = start(oauth_client, as_ada)
    with time_machine.travel(clock.now() + timedelta(minutes=11)):
        assert_other_browser_is_refused(world.sign_in(ada).post(f"/consent/{consent.id}", ALLOW))
