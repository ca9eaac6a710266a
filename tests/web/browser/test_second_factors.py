"""Passkeys in a real browser, with Chromium's virtual authenticator, and an authenticator app without JavaScript."""

import threading
import time
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
import time_machine
from django.core.signals import request_started

from accounts.models import BrowserSession
from tests.constants import PASSWORD
from tests.oauth.client import make_client
from tests.totp import code_now
from tests.waiting import wait_until
from tests.web.browser.checks import problems_of
from tests.web.browser.pages.group import as_page

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def tab(open_tab: Any) -> Any:
    """Return a tab whose device has a fingerprint reader that always knows the finger."""
    tab = open_tab(javascript=True, reduced_motion="reduce")
    add_authenticator(tab)
    return tab


def add_authenticator(tab: Any, *, knows_the_finger: bool = True) -> None:
    device = tab.page.context.new_cdp_session(tab.page)
    device.send("WebAuthn.enable", {"enableUI": False})
    options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    device.send(
        "WebAuthn.addVirtualAuthenticator",
        {"options": {**options, "isUserVerified": knows_the_finger, "automaticPresenceSimulation": True}},
    )


def add_passkey(tab: Any, ada: Any, password: str) -> None:
    tab.open_as(ada.email, "/account/security")
    page = tab.page
    page.get_by_role("link", name="Add a passkey").click()
    page.get_by_label("Name").fill("Laptop")
    page.get_by_label("Name").press("Enter")
    page.get_by_role("heading", name="Your recovery codes").wait_for()


def test_a_passkey_is_added_signs_in_and_confirms_a_critical_permission(tab, world, ada, developer, ask, agent):
    page = tab.page
    # The other test is about the address field.
    page.add_init_script("PublicKeyCredential.isConditionalMediationAvailable = async () => false")
    add_passkey(tab, ada, world.PASSWORD)
    found = list(problems_of(tab, as_page("/account/security/codes")))
    page.get_by_role("link", name="I have stored them").click()
    page.get_by_text("Laptop").first.wait_for()
    found += problems_of(tab, as_page("/account/security"))
    page.context.clear_cookies()

    wanted = f"/consent/{ask(scopes=['payments:charge']).id}"
    tab.goto(wanted)
    page.get_by_text("waits for your decision").wait_for()
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url(lambda url: urlsplit(url).path == wanted)
    assert page.get_by_role("heading", name="asks to act for you").is_visible()

    with time_machine.travel(time.time() + 360, tick=True):
        page.get_by_role("checkbox").first.check()
        page.get_by_role("button", name="Allow", exact=True).click()
        page.get_by_role("heading", name="Confirm that it is you").wait_for()
        found += problems_of(tab, as_page("/accounts/reauthenticate/"))
        page.get_by_role("button", name="Use a passkey").click()
        page.get_by_text("Nothing has been decided yet.").wait_for()
    assert found == []


def test_the_address_field_offers_the_passkey(tab, world, ada):
    add_passkey(tab, ada, world.PASSWORD)
    tab.page.context.clear_cookies()
    tab.goto("/accounts/login/?next=/account/security")
    # The virtual authenticator accepts the offer at once, as a user does who picks the passkey in the field.
    tab.page.get_by_role("heading", name="Passkeys").wait_for()


def test_a_challenge_that_arrives_during_the_sign_in_leaves_the_user_signed_in(tab, ada, request):
    """Its answer has the cookie of an anonymous session, so it must not come after that of the signed-in session."""
    is_asked, is_signed_in = threading.Event(), threading.Event()

    def hold(environ, **_):
        path = environ["PATH_INFO"]
        if path == "/accounts/passkey/options/":
            is_asked.set()
            is_signed_in.wait(10)
        elif path == "/account/security" and not is_signed_in.is_set():
            is_signed_in.set()
            wait_until(BrowserSession.objects.filter(user_id=None).exists)
            time.sleep(0.3)  # until the answer has arrived

    request_started.connect(hold)
    request.addfinalizer(lambda: request_started.disconnect(hold))
    tab.goto("/accounts/login/?next=/account/security")
    assert is_asked.wait(10)
    tab.sign_in(ada.email, PASSWORD)
    tab.page.get_by_role("heading", name="Passkeys").wait_for()
    tab.goto("/account/security")
    tab.page.get_by_role("heading", name="Passkeys").wait_for()


def test_a_passkey_is_the_second_step_and_a_cancelled_one_says_so(open_tab, tab, world, ada):
    add_passkey(tab, ada, world.PASSWORD)
    other = open_tab(javascript=True, reduced_motion="reduce")
    other.goto("/accounts/login/")
    other.sign_in(ada.email, world.PASSWORD)
    other.page.get_by_role("heading", name="One more step").wait_for()
    assert list(problems_of(other, as_page("/accounts/second-step/"))) == []
    add_authenticator(other, knows_the_finger=False)
    other.page.get_by_role("button", name="Use a passkey").click()
    other.page.get_by_text("No passkey was used.").wait_for()


def test_an_app_is_set_up_and_used_on_the_way_to_consent_without_javascript(open_tab, world, ada, developer, callback):
    tab = open_tab()
    page = tab.page
    tab.goto("/accounts/login/?next=/account/security/app/new")
    tab.sign_in(ada.email, world.PASSWORD)
    page.get_by_text("Enter the key by hand").click()
    secret = page.locator(".secret-groups code").inner_text().replace(" ", "")
    page.get_by_label("Code", exact=True).fill(code_now(secret))
    page.get_by_role("button", name="Turn on").click()
    page.get_by_role("heading", name="Your recovery codes").wait_for()
    recovery = page.locator(".code-list li").first.inner_text()
    page.context.clear_cookies()

    client = make_client(developer, redirect_uris=["http://127.0.0.1/callback"])
    tab.goto(f"/oauth/authorize?{urlencode(client.parameters(redirect_uri=callback))}")
    page.get_by_text("waits for your decision").wait_for()
    tab.sign_in(ada.email, world.PASSWORD)
    page.get_by_role("heading", name="One more step").wait_for()
    page.get_by_label("Code", exact=True).fill("000000")
    page.get_by_role("button", name="Continue").click()
    page.get_by_text("There is a problem").wait_for()
    page.get_by_label("Code", exact=True).fill(recovery)
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("heading", name="asks to act for you").wait_for()
