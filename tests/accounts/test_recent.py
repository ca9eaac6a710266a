"""Only a password entered within 5 minutes counts as a recent sign-in, in a browser and through the API."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory

from accounts.errors import ReauthenticationRequired
from accounts.models import SessionToken
from accounts.recent import is_recent, require_recent_sign_in, time_of_sign_in
from accounts.services import open_session
from api.authentication import BrowserCredential, SessionCredential
from api.endpoint import UserEndpoint
from tests.constants import MOMENT, NOON, PASSWORD
from tests.shared import cases
from tests.world import ANONYMOUS, make_user, sign_in
from web.requests.access import page

FIVE_MINUTES = timedelta(minutes=5)
HOME = "/accounts/reauthenticate/"


def request_of(client: Client) -> HttpRequest:
    """Return a request with the session of the client."""
    request = RequestFactory().get("/approvals/apr_1?show=all")
    request.session = client.session
    return request


def endpoint_for(credential: Any, client: Client | None = None) -> UserEndpoint:
    class Request:
        auth = credential
        _request = request_of(client or Client())

    endpoint = UserEndpoint()
    endpoint.request = Request()
    return endpoint


@pytest.fixture
def browser(db: None) -> Client:
    """A browser in which Ada signed in at noon."""
    make_user("ada@example.com")
    client = Client()
    with time_machine.travel(NOON, tick=False):
        client.post("/accounts/login/", {"login": "ada@example.com", "password": PASSWORD})
    return client


@cases(
    ("age", "counts"),
    [
        (timedelta(0), True),
        (FIVE_MINUTES - MOMENT, True),
        (FIVE_MINUTES, False),
        (timedelta(days=1), False),
        (-MOMENT, False),
    ],
)
def test_a_sign_in_counts_for_five_minutes(age: timedelta, counts: bool) -> None:
    with time_machine.travel(NOON, tick=False):
        assert is_recent(NOON - age) is counts


def test_without_a_known_sign_in_none_counts() -> None:
    with pytest.raises(ReauthenticationRequired) as refusal:
        require_recent_sign_in(None)
    assert (refusal.value.status, refusal.value.code) == (403, "reauthentication_required")
    assert "password" in refusal.value.remedy


def test_the_password_counts_in_a_browser_and_activity_does_not(browser: Client) -> None:
    assert time_of_sign_in(request_of(browser)) == NOON
    with time_machine.travel(NOON + timedelta(minutes=4), tick=False):
        assert browser.get("/connections").status_code == 200
        assert time_of_sign_in(request_of(browser)) == NOON


def test_a_reauthentication_counts_and_a_wrong_password_does_not(browser: Client) -> None:
    later = NOON + timedelta(hours=1)
    with time_machine.travel(later, tick=False):
        browser.post(HOME, {"password": "wrong"})
        assert time_of_sign_in(request_of(browser)) == NOON
        browser.post(HOME, {"password": PASSWORD})
        assert time_of_sign_in(request_of(browser)) == later


def test_a_session_that_no_password_opened_never_counts(browser: Client) -> None:
    another = sign_in(make_user("bob@example.com"))
    assert time_of_sign_in(request_of(another)) is None
    assert endpoint_for(BrowserCredential(), another).signed_in_at is None


def test_the_api_counts_the_login_of_the_session_token(browser: Client) -> None:
    user = make_user("bob@example.com")
    with time_machine.travel(NOON, tick=False):
        token = open_session(actor=ANONYMOUS, user=user).token
    with time_machine.travel(NOON + timedelta(hours=1), tick=False):
        answer = Client().get("/api/v1/users/me/consents", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 200
    session = SessionToken.objects.get()
    assert endpoint_for(SessionCredential(session), browser).signed_in_at == NOON


def test_the_api_counts_the_password_of_the_browser_session(browser: Client) -> None:
    assert endpoint_for(BrowserCredential(), browser).signed_in_at == NOON


def test_a_page_asks_for_the_password_and_then_shows_itself_again(browser: Client) -> None:
    @page
    def view(request: HttpRequest) -> HttpResponse:
        require_recent_sign_in(time_of_sign_in(request))
        return HttpResponse()

    with time_machine.travel(NOON + FIVE_MINUTES, tick=False):
        answer = view(request_of(browser))
        assert (answer.status_code, answer["Location"]) == (303, f"{HOME}?next=%2Fapprovals%2Fapr_1%3Fshow%3Dall")
        done = browser.post(answer["Location"], {"password": PASSWORD, "next": "/approvals/apr_1?show=all"})
        assert (done.status_code, done["Location"]) == (302, "/approvals/apr_1?show=all")
        assert view(request_of(browser)).status_code == 200
