"""Signing in and signing up on the way to a consent page: who waits, and the way back."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client

from accounts.models import User
from agents.services import stop_agent
from consent.granting import deny_consent
from core import clock
from core.actor import SYSTEM
from developers.services import verify_organization
from tests.constants import PASSWORD
from tests.mails import code_in, link_in
from tests.oauth.client import make_client
from tests.passkeys import add_passkey, begin, enter_password, sign_in_with
from tests.shared import cases
from tests.world import as_user, make_agent

WAITS = "waits for your decision"
PAGES = ["/accounts/login/", "/accounts/signup/"]

pytestmark = pytest.mark.django_db


@pytest.fixture
def asked(developer: Any) -> tuple[Client, str]:
    """Return a browser that an agent has redirected, and the path of its consent page."""
    browser = Client()
    return browser, make_client(developer, name="Mail<b>\u202eSorter").authorize(browser)["Location"]


def text_of(client: Client, path: str, wanted: str) -> str:
    return client.get(path, {"next": wanted}).content.decode()


@cases("path", PAGES)
def test_the_page_names_the_agent_and_its_developer(asked: Any, developer: Any, path: str) -> None:
    browser, wanted = asked
    text = text_of(browser, path, wanted)
    assert f'<bdi class="named">Mail&lt;b&gt;Sorter</bdi> {WAITS}' in text
    assert '<bdi class="named">Acme Robotics</bdi>' in text
    assert "Developer not verified" in text
    verify_organization(actor=SYSTEM, organization=developer.organization, is_verified=True, reason="papers seen")
    assert "Verified developer" in text_of(browser, path, wanted)


@cases("path", PAGES)
def test_the_page_names_no_agent_in_another_browser(asked: Any, path: str) -> None:
    assert WAITS not in text_of(Client(), path, asked[1])


@cases("wanted", ["/activity", "/consent/cns_0000", "/consent/", "https://evil.example/consent/cns_1"])
def test_the_page_names_no_agent_on_the_way_elsewhere(asked: Any, wanted: str) -> None:
    assert WAITS not in text_of(asked[0], PAGES[0], wanted)
    assert WAITS not in asked[0].get(PAGES[0]).content.decode()


def test_the_page_names_no_agent_of_another_site(asked: Any) -> None:
    assert WAITS not in text_of(asked[0], PAGES[0], f"https://evil.example{asked[1]}")


def test_the_page_names_no_agent_whose_request_is_over(ask: Callable[..., Any], ada: User, agent: Any) -> None:
    requests = [ask() for _ in range(3)]
    paths = [f"/consent/{request.id}" for request in requests]
    assert WAITS in text_of(Client(), PAGES[0], paths[0])
    deny_consent(actor=as_user(ada), consent=requests[0], user=ada)
    assert WAITS not in text_of(Client(), PAGES[0], paths[0])
    with time_machine.travel(clock.now() + timedelta(minutes=11)):
        assert WAITS not in text_of(Client(), PAGES[0], paths[1])
    stop_agent(actor=SYSTEM, agent=agent, reason="spam")
    assert WAITS not in text_of(Client(), PAGES[0], paths[2])


def test_an_unknown_developer_is_said_to_be_unknown(ask: Callable[..., Any], agent: Any) -> None:
    type(agent).objects.filter(pk=agent.pk).update(organization=None)
    text = text_of(Client(), PAGES[0], f"/consent/{ask(scopes=['email:read']).id}")
    assert "unknown developer" in text or WAITS not in text


def test_a_new_person_signs_up_with_a_code_and_comes_back_to_the_request(
    asked: Any, settings: Any, mails: list[Any]
) -> None:
    settings.REQUIRE_VERIFIED_EMAIL = True
    browser, wanted = asked
    page = browser.get(browser.get(wanted)["Location"])
    signup_url = page.context["signup_url"]
    assert WAITS in browser.get(signup_url).content.decode()
    form = {"email": "new@example.com", "password1": PASSWORD, "next": wanted}
    confirm = browser.post("/accounts/signup/", form)["Location"]
    assert WAITS in browser.get(confirm).content.decode()
    done = browser.post(confirm, {"code": code_in(mails[-1])})
    assert done["Location"] == wanted
    consent = browser.get(wanted)
    assert consent.status_code == 200
    assert "new@example.com" in consent.content.decode()
    decided = browser.post(wanted, {"decision": "deny"})
    assert "error=access_denied" in decided["Location"]


def test_a_second_factor_comes_back_to_the_request(asked: Any, ada: User) -> None:
    passkey = add_passkey(enter_password(ada.email))
    browser, wanted = asked
    form = {"login": ada.email, "password": PASSWORD, "next": wanted}
    step = browser.post("/accounts/login/", form)["Location"]
    assert WAITS in browser.get(step).content.decode()
    done = browser.post(step, {"credential": passkey.sign(begin(browser, "second-step"))})
    assert done["Location"] == wanted
    assert browser.get(wanted).status_code == 200


def test_a_passkey_comes_back_to_the_request(asked: Any, ada: User) -> None:
    passkey = add_passkey(enter_password(ada.email))
    browser, wanted = asked
    assert sign_in_with(browser, passkey, next=wanted)["Location"] == wanted
    assert browser.get(wanted).status_code == 200


def test_a_refused_passkey_keeps_the_way(asked: Any) -> None:
    browser, wanted = asked
    back = browser.post("/accounts/passkey/login/", {"credential": "{}", "next": wanted})["Location"]
    assert WAITS in browser.get(back).content.decode()


def test_a_forgotten_password_comes_back_to_the_request(asked: Any, ada: User, mails: list[Any]) -> None:
    browser, wanted = asked
    reset_url = browser.get(PAGES[0], {"next": wanted}).context["reset_url"]
    assert browser.get(reset_url).status_code == 200
    sent = browser.post("/accounts/password/reset/", {"email": ada.email, "next": wanted})
    assert sent["Location"] == "/accounts/password/reset/done/"
    page = browser.get(link_in(mails[-1]), follow=True)
    form = {"password1": "a-new-passphrase-77", "password2": "a-new-passphrase-77"}
    done = browser.post(page.request["PATH_INFO"], form, follow=True)
    assert WAITS in done.content.decode()
    assert done.context["login_url"] == f"/accounts/login/?next={wanted.replace('/', '%2F')}"
    later = browser.get("/accounts/password/reset/key/done/")
    assert later.context["login_url"] == "/accounts/login/"


def test_the_page_takes_few_queries(asked: Any, django_assert_max_num_queries: Any) -> None:
    browser, wanted = asked
    with django_assert_max_num_queries(8):
        browser.get(PAGES[0], {"next": wanted})


def test_a_passkey_counts_as_the_recent_sign_in_for_a_critical_scope(ada: User, developer: Any) -> None:
    agent = make_agent(developer, name="Payer", allowed_scopes=["payments:charge"])
    from tests.world import ask

    wanted = f"/consent/{ask(agent, scopes=['payments:charge']).id}"
    browser = enter_password(ada.email)
    passkey = add_passkey(browser)
    with time_machine.travel(clock.now() + timedelta(minutes=6), tick=True):
        refused = browser.post(wanted, {"decision": "allow", "scopes": ["payments:charge"]})
        assert refused["Location"].startswith("/accounts/reauthenticate/?next=")
        form = {"credential": passkey.sign(begin(browser, "reauthenticate")), "next": wanted}
        assert browser.post("/accounts/passkey/reauthenticate/", form)["Location"] == wanted
        page = browser.get(wanted).content.decode()
        assert "Nothing has been decided yet." in page
        granted = browser.post(wanted, {"decision": "allow", "scopes": ["payments:charge"]})
        assert "code=" in granted["Location"] or "callback" in granted["Location"]


@cases("path", PAGES)
@cases("wanted", ["http://[", "//[", "http://]"])
def test_an_address_that_cannot_be_split_names_no_agent(client: Client, path: str, wanted: str) -> None:
    answer = client.get(path, {"next": wanted})
    assert answer.status_code == 200
    assert WAITS not in answer.content.decode()
