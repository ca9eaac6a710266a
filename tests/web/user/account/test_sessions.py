"""The page of sessions: what it shows of each, and that ending one takes effect at once."""

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import BrowserSession, SessionToken, User
from accounts.services import open_session
from core import clock
from core.actor import Actor
from tests.log import log_entries
from tests.shared import cases
from tests.world import PASSWORD, as_user, make_user, sign_in

PAGE = "/account/sessions"
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:126.0) Gecko/20100101 Firefox/126.0"
SAFARI = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.4 Mobile/15E148 Safari/604.1"
)


def sign_in_with(user_agent: str, email: str = "ada@example.com") -> Client:
    client = Client(headers={"User-Agent": user_agent})
    answer = client.post("/accounts/login/", {"login": email, "password": PASSWORD})
    assert answer.status_code == 302
    return client


@pytest.fixture
def firefox(ada: User) -> Client:
    return sign_in_with(FIREFOX)


@pytest.fixture
def safari(ada: User) -> Client:
    return sign_in_with(SAFARI)


@pytest.fixture
def as_ada(ada: User) -> Client:
    return sign_in(ada)


def text_of(client: Client) -> str:
    answer = client.get(PAGE)
    assert answer.status_code == 200
    return answer.content.decode()


def ids_on(client: Client) -> list[str]:
    return re.findall(r"/account/sessions/(\w+_\w+)/end", text_of(client))


def writes_of(queries: Any) -> list[str]:
    return [query["sql"] for query in queries if query["sql"].startswith(("UPDATE", "INSERT", "DELETE"))]


def test_shows_browsers_and_programs_with_their_addresses(firefox: Client, safari: Client, ada: User) -> None:
    open_session(actor=Actor("anonymous", ip="203.0.113.9", user_agent="curl/8.4.0"), user=ada)
    text = text_of(firefox)
    assert re.findall(r'<bdi translate="no">(\w+ on \w+)</bdi>', text)[0] == "Firefox on Windows"
    assert "Safari on iPhone" in text
    assert '<bdi class="named">curl</bdi>' in text
    assert '<bdi class="ip" translate="no">203.0.113.9</bdi>' in text
    assert text.count("This session") == 1
    assert text.index("This session") < text.index("Safari on iPhone")


def test_never_shows_the_key_of_a_session(firefox: Client, safari: Client) -> None:
    text = text_of(firefox)
    assert BrowserSession.objects.count() == 2
    for session in BrowserSession.objects.all():
        assert session.session_key not in text


def test_a_session_without_a_user_agent_is_an_unknown_device(as_ada: Client) -> None:
    assert "Unknown device" in text_of(as_ada)


def test_what_a_program_says_of_itself_is_cleaned(firefox: Client, ada: User) -> None:
    open_session(actor=Actor("anonymous", ip="203.0.113.9", user_agent="\u202eevil<b>/1"), user=ada)
    assert '<bdi class="named">evil&lt;b&gt;</bdi>' in text_of(firefox)


def test_ending_a_browsers_session_signs_it_out_at_once(firefox: Client, safari: Client, ada: User) -> None:
    (session_id,) = ids_on(firefox)
    answer = firefox.post(f"{PAGE}/{session_id}/end")
    assert (answer.status_code, answer["Location"]) == (303, PAGE)
    assert safari.get("/connections")["Location"].startswith("/accounts/login/")
    assert firefox.get("/connections").status_code == 200
    (entry,) = log_entries(event="user.session_ended", user_id=ada.id)
    assert entry.content["metadata"] == {"sessionId": session_id}
    assert "You ended sessions of your account" in firefox.get("/activity").content.decode()


def test_a_session_that_has_ended_is_not_found(firefox: Client, safari: Client) -> None:
    (session_id,) = ids_on(firefox)
    firefox.post(f"{PAGE}/{session_id}/end")
    assert firefox.post(f"{PAGE}/{session_id}/end").status_code == 404


def test_another_users_browser_session_is_not_found(firefox: Client, safari: Client) -> None:
    (session_id,) = ids_on(firefox)
    bob = sign_in_with(FIREFOX, make_user("bob@example.com").email)
    assert bob.post(f"{PAGE}/{session_id}/end").status_code == 404
    assert safari.get("/connections").status_code == 200


def test_this_browsers_own_session_ends_by_signing_out(firefox: Client, ada: User) -> None:
    (own,) = ids_on(sign_in_with(SAFARI))
    assert firefox.post(f"{PAGE}/{own}/end")["Location"] == "/accounts/logout/"
    assert firefox.get("/connections").status_code == 200


def test_ending_all_others_keeps_this_one(firefox: Client, safari: Client, ada: User) -> None:
    token = open_session(actor=as_user(ada), user=ada).token
    answer = firefox.post(f"{PAGE}/others/end", follow=True)
    assert "2 other sessions have ended." in answer.content.decode()
    assert "End all other sessions" not in text_of(firefox)
    assert safari.get("/connections").status_code == 302
    used = Client().get("/api/v1/users/me/consents", headers={"Authorization": f"Bearer {token}"})
    assert used.status_code == 401
    (entry,) = log_entries(event="user.session_ended", user_id=ada.id)
    assert entry.content["metadata"] == {"endedSessions": 2}
    assert "You ended sessions of your account" in firefox.get("/activity").content.decode()


def test_ending_others_spares_other_users(firefox: Client, bob: User) -> None:
    other = sign_in_with(SAFARI, bob.email)
    firefox.post(f"{PAGE}/others/end")
    assert other.get("/connections").status_code == 200


def test_without_other_sessions_nothing_is_logged(firefox: Client, ada: User) -> None:
    firefox.post(f"{PAGE}/others/end")
    assert not log_entries(event="user.session_ended", user_id=ada.id)


@cases("path", [f"{PAGE}/others/end", f"{PAGE}/brs_0/end"])
def test_only_a_post_with_a_session_ends_any(firefox: Client, safari: Client, path: str) -> None:
    assert firefox.get(path)["Location"] == PAGE
    assert Client().post(path)["Location"].startswith("/accounts/login/")
    assert safari.get("/connections").status_code == 200


def test_a_use_is_recorded_at_most_once_in_five_minutes(firefox: Client, ada: User) -> None:
    start = clock.now()
    with CaptureQueriesContext(connection) as queries:
        firefox.get("/connections")
    assert writes_of(queries) == []
    with time_machine.travel(start + timedelta(minutes=6), tick=False):
        with CaptureQueriesContext(connection) as queries:
            firefox.get("/connections", headers={"User-Agent": SAFARI}, REMOTE_ADDR="203.0.113.50")
            firefox.get("/connections", headers={"User-Agent": SAFARI})
        assert len(writes_of(queries)) == 1
    session = BrowserSession.objects.get(user_id=ada.id)
    assert session.seen_at == start + timedelta(minutes=6)
    assert (session.ip, session.user_agent) == ("203.0.113.50", SAFARI)


def test_a_use_of_the_api_is_recorded_as_rarely(ada: User) -> None:
    opened = open_session(actor=Actor("anonymous", ip="203.0.113.9", user_agent="curl/8.4.0"), user=ada)
    headers = {"Authorization": f"Bearer {opened.token}", "User-Agent": "curl/9"}
    with CaptureQueriesContext(connection) as queries:
        Client().get("/api/v1/users/me/consents", headers=headers)
    assert writes_of(queries) == []
    with time_machine.travel(clock.now() + timedelta(minutes=6)), CaptureQueriesContext(connection) as queries:
        for _ in range(2):
            Client().get("/api/v1/users/me/consents", headers=headers, REMOTE_ADDR="203.0.113.50")
    assert len(writes_of(queries)) == 1
    session = SessionToken.objects.get(pk=opened.session.pk)
    assert (session.ip, session.user_agent) == ("203.0.113.50", "curl/9")


def test_a_decision_reads_and_writes_no_session(firefox: Client) -> None:
    with time_machine.travel(clock.now() + timedelta(minutes=6)), CaptureQueriesContext(connection) as queries:
        firefox.post("/api/v1/tokens/verify", {"token": "x", "requiredScopes": ["email:read"]}, "application/json")
    assert "browsersession" not in " ".join(query["sql"] for query in queries)


def test_a_session_that_ends_during_a_request_does_not_come_back(
    firefox: Client, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end_first(request: Any) -> datetime:
        BrowserSession.objects.all().delete()
        return clock.now()

    monkeypatch.setattr("web.user.account.addresses.time_of_sign_in", end_first)
    answer = firefox.post("/accounts/email/", {"email": "new@example.com", "action_add": "1"})
    assert answer.status_code == 400
    assert not BrowserSession.objects.filter(user_id=ada.id).exists()


def test_many_sessions_are_paged(firefox: Client, ada: User) -> None:
    for _ in range(30):
        open_session(actor=Actor("anonymous", ip="203.0.113.9", user_agent="curl/8.4.0"), user=ada)
    with CaptureQueriesContext(connection) as queries:
        first = text_of(firefox)
    assert len(queries) <= 12
    second = firefox.get(PAGE, {"page": "2"}).content.decode()
    assert (first.count("curl</bdi> <span"), second.count("curl</bdi> <span")) == (24, 6)
    assert firefox.get(PAGE, {"page": "x"}).status_code == 200


def test_a_new_password_ends_other_browsers_sessions_and_keeps_this_one(firefox: Client, safari: Client) -> None:
    form = {"oldpassword": PASSWORD, "password1": "another-passphrase-9", "password2": "another-passphrase-9"}
    assert firefox.post("/accounts/password/change/", form).status_code == 302
    assert "End all other sessions" not in text_of(firefox)
    assert safari.get("/connections").status_code == 302
