"""Passkeys: add, sign in, sign in again, remove; and everything that is refused."""

import json
import re
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from django.test import Client

from accounts.models import AddressCode, User
from audit.readers.reading import read_entry
from core import clock
from tests.constants import PASSWORD
from tests.log import log_entries
from tests.mails import REMEDIES, leads_to
from tests.passkeys import Passkey, add_passkey, begin, enter_password, sign_in_with
from tests.shared import cases
from tests.world import make_user

SECURITY, NEW = "/account/security", "/account/security/passkeys/new"
LOGIN, OPTIONS = "/accounts/passkey/login/", "/accounts/passkey/options/"
REFUSED = "The passkey was not accepted."

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada() -> User:
    return make_user("ada@example.com", "Ada")


@pytest.fixture
def browser(ada: User) -> Client:
    return enter_password(ada.email)


@pytest.fixture
def passkey(browser: Client) -> Passkey:
    return add_passkey(browser)


def refused(client: Client, answer: Any) -> bool:
    """Return whether the sign-in leads back to the sign-in page, which says so, and does not sign in."""
    assert (answer.status_code, answer["Location"]) == (303, "/accounts/login/")
    page = client.get("/accounts/login/").content.decode()
    return REFUSED in page and client.get(SECURITY).status_code == 302


def test_a_new_passkey_is_listed_logged_mailed_and_comes_with_recovery_codes(
    browser: Client, ada: User, mails: list[Any]
) -> None:
    credential = Passkey().register(begin(browser, "add"))
    answer = browser.post(NEW, {"name": "My\u202e laptop", "credential": credential})
    assert answer["Location"] == "/account/security/codes"
    page = browser.get(answer["Location"]).content.decode()
    codes = re.search(r'id="codes" translate="no">(.*?)</ol>', page, re.DOTALL)[1]
    shown = re.findall("<li>(.*?)</li>", codes)
    assert len(shown) == 10
    file = unquote(re.search('href="data:text/plain;charset=utf-8,([^"]*)" download="[^"]+.txt"', page)[1])
    assert file.split("\r\n")[2:12] == shown
    assert "They are shown only now" in page
    assert browser.get(answer["Location"])["Location"] == SECURITY
    listed = browser.get(SECURITY).content.decode()
    assert "My laptop" in listed
    assert "10 codes are left" in listed
    assert log_entries(event="user.passkey_added", user_id=ada.id).count() == 1
    assert [mail.subject for mail in mails] == ["[AgentGate] A passkey was added to your account"]
    assert "Name: My laptop\n" in mails[0].body
    assert leads_to(mails[0], *REMEDIES)


def test_a_passkey_signs_in_without_address_password_or_code(passkey: Passkey, ada: User) -> None:
    client = Client()
    answer = sign_in_with(client, passkey, next="/activity")
    assert (answer.status_code, answer["Location"]) == (302, "/activity")
    page = client.get(SECURITY).content.decode()
    assert "not used yet" not in page
    entries = log_entries(event="user.signed_in", user_id=ada.id)
    assert entries.count() == 2
    assert read_entry(entries.first()).content["metadata"] == {"method": "browser", "factors": ["webauthn"]}
    assert client.session.get_expiry_age() > 86_400


def test_signing_in_with_a_passkey_leads_to_no_other_site(passkey: Passkey) -> None:
    assert sign_in_with(Client(), passkey, next="https://evil.example/")["Location"] == "/dashboard"


def test_the_options_ask_for_verification_and_name_no_account(passkey: Passkey) -> None:
    options = begin(Client(), "sign-in")["publicKey"]
    assert (options["rpId"], options["userVerification"]) == ("localhost", "required")
    assert not options.get("allowCredentials")


def test_a_used_challenge_is_refused(passkey: Passkey) -> None:
    client = Client()
    credential = passkey.sign(begin(client, "sign-in"))
    assert client.post(LOGIN, {"credential": credential}).status_code == 302
    client.post("/accounts/logout/")
    assert refused(client, client.post(LOGIN, {"credential": credential}))
    begin(client, "sign-in")
    assert refused(client, client.post(LOGIN, {"credential": credential}))


def test_a_challenge_of_another_browser_is_refused(passkey: Passkey) -> None:
    stranger = Client()
    credential = passkey.sign(begin(Client(), "sign-in"))
    begin(stranger, "sign-in")
    assert refused(stranger, stranger.post(LOGIN, {"credential": credential}))


def test_a_challenge_expires_after_five_minutes(passkey: Passkey) -> None:
    client, now = Client(), clock.now()
    with time_machine.travel(now, tick=False):
        credential = passkey.sign(begin(client, "sign-in"))
    with time_machine.travel(now + timedelta(seconds=299), tick=False):
        assert client.post(LOGIN, {"credential": credential}).status_code == 302
    late = Client()
    with time_machine.travel(now, tick=False):
        credential = passkey.sign(begin(late, "sign-in"))
        session = late.session
        session.set_expiry(86_400)
        session.save()
    with time_machine.travel(now + timedelta(seconds=301), tick=False):
        assert late.post(LOGIN, {"credential": credential})["Location"] == "/accounts/login/"
        assert REFUSED in late.get("/accounts/login/").content.decode()


def test_a_challenge_for_a_new_sign_in_does_not_sign_in(browser: Client, passkey: Passkey) -> None:
    credential = passkey.sign(begin(browser, "reauthenticate"))
    stranger = Client()
    stranger.cookies = browser.cookies
    browser.post("/accounts/logout/")
    assert refused(stranger, stranger.post(LOGIN, {"credential": credential}))


def test_the_passkey_of_one_user_does_not_sign_in_another(passkey: Passkey, ada: User) -> None:
    bob = make_user("bob@example.com")
    others = add_passkey(enter_password(bob.email))
    others.user_handle = passkey.user_handle
    client = Client()
    assert refused(client, sign_in_with(client, others))


@cases("flaw", [{"origin": "https://evil.example"}, {"origin": "http://sub.localhost:8000"}])
def test_a_passkey_of_another_origin_is_refused(passkey: Passkey, flaw: dict[str, str]) -> None:
    passkey.origin = flaw["origin"]
    client = Client()
    assert refused(client, sign_in_with(client, passkey))


def test_a_passkey_that_did_not_check_the_person_is_refused(passkey: Passkey, browser: Client) -> None:
    passkey.flags = 0x01
    client = Client()
    assert refused(client, sign_in_with(client, passkey))
    credential = Passkey(is_verified=False).register(begin(browser, "add"))
    answer = browser.post(NEW, {"name": "x", "credential": credential})
    assert answer.status_code == 422
    assert Authenticator.objects.filter(type="webauthn").count() == 1


@cases("handle", ["", "!", "dXNyXzAwMDA", "AAAA", "dXNyXzAA", "x" * 5000, None], ids=lambda value: str(value)[:8])
def test_a_passkey_that_names_no_user_is_refused(passkey: Passkey, handle: Any) -> None:
    client = Client()
    credential = passkey.sign(begin(client, "sign-in"), userHandle=handle)
    assert refused(client, client.post(LOGIN, {"credential": credential}))


@cases(
    "credential",
    [
        "",
        "{",
        "null",
        "[]",
        "7",
        '"x"',
        "{}",
        '{"response": []}',
        '{"response": {"userHandle": {}}}',
        "[" * 9000,
        "[" * 29_999,
        "1" * 5000,
        '{"response": {}, "response": {"userHandle": "AA"}}',
        "x" * 40_000,
    ],
    ids=lambda value: value[:12],
)
def test_a_malformed_answer_is_refused(passkey: Passkey, credential: str) -> None:
    client = Client()
    begin(client, "sign-in")
    assert refused(client, client.post(LOGIN, {"credential": credential}))


def test_damaged_answers_of_a_known_user_are_refused(passkey: Passkey, settings: Any) -> None:
    settings.THROTTLE_SIGN_IN = "1000/minute"
    for part in ("signature", "authenticatorData", "clientDataJSON"):
        for value in ("", "AAAA", "%%%", None, 7, ["x"]):
            client = Client()
            answer = json.loads(passkey.sign(begin(client, "sign-in")))
            answer["response"][part] = value
            assert refused(client, client.post(LOGIN, {"credential": json.dumps(answer)}))


def test_refused_passkeys_are_throttled_by_address(passkey: Passkey, settings: Any) -> None:
    settings.THROTTLE_SIGN_IN = "3/minute"
    answers = [Client().post(LOGIN, {"credential": "{}"}).status_code for _ in range(4)]
    assert answers == [303, 303, 303, 429]


def test_challenges_are_throttled_by_address(settings: Any) -> None:
    settings.THROTTLE_SIGN_IN = "1/hour"
    answers = [Client().post(OPTIONS, {"purpose": "sign-in"}).status_code for _ in range(7)]
    assert answers == [200] * 6 + [429]


@cases("purpose", ["add", "reauthenticate", "second-step", "x", ""])
def test_a_visitor_gets_only_a_challenge_to_sign_in(purpose: str) -> None:
    answer = Client().post(OPTIONS, {"purpose": purpose})
    assert answer.status_code == 401
    assert "publicKey" not in answer.content.decode()


def test_a_deactivated_user_does_not_sign_in(passkey: Passkey, ada: User) -> None:
    User.objects.filter(pk=ada.pk).update(is_active=False)
    client = Client()
    assert refused(client, sign_in_with(client, passkey))


def test_a_removed_passkey_does_not_sign_in_and_ends_the_recovery_codes(
    browser: Client, passkey: Passkey, ada: User, mails: list[Any]
) -> None:
    row = Authenticator.objects.get(type="webauthn")
    path = f"{SECURITY}/passkeys/{row.pk}/remove"
    assert "your password alone signs you in" in browser.get(path).content.decode()
    assert browser.post(path)["Location"] == SECURITY
    client = Client()
    assert refused(client, sign_in_with(client, passkey))
    assert not Authenticator.objects.exists()
    assert mails[-1].subject == "[AgentGate] A passkey was removed from your account"
    assert log_entries(event="user.passkey_removed", user_id=ada.id).count() == 1
    assert enter_password(ada.email).get(SECURITY).status_code == 200


def test_a_user_cannot_remove_the_passkey_of_another(passkey: Passkey, ada: User) -> None:
    row = Authenticator.objects.get(type="webauthn")
    bob = enter_password(make_user("bob@example.com").email)
    for number in (row.pk, 999_999, "x", 10**30):
        path = f"{SECURITY}/passkeys/{number}/remove"
        assert (bob.get(path).status_code, bob.post(path).status_code) == (404, 404)
    assert Authenticator.objects.filter(type="webauthn").count() == 1


def test_a_user_cannot_add_a_passkey_for_another_with_their_own_challenge(browser: Client, ada: User) -> None:
    answer = Passkey().register(begin(browser, "add"))
    bob = enter_password(make_user("bob@example.com").email)
    assert bob.post(NEW, {"name": "x", "credential": answer}).status_code == 422
    assert not Authenticator.objects.exists()


def test_the_same_passkey_is_not_added_twice(browser: Client, passkey: Passkey) -> None:
    answer = browser.post(NEW, {"name": "again", "credential": passkey.register(begin(browser, "add"))})
    assert answer.status_code == 422
    assert "already one of yours" in answer.content.decode()


def test_an_account_has_at_most_ten_passkeys(browser: Client) -> None:
    for number in range(10):
        add_passkey(browser, f"Key {number}")
    answer = browser.post(NEW, {"name": "x", "credential": Passkey().register(begin(browser, "add"))})
    assert "at most 10 passkeys" in answer.content.decode()
    assert Authenticator.objects.filter(type="webauthn").count() == 10


@cases("name", ["", "   ", "\u202e", "x" * 61, "a\0b"])
def test_a_passkey_needs_a_name(browser: Client, name: str) -> None:
    answer = browser.post(NEW, {"name": name, "credential": Passkey().register(begin(browser, "add"))})
    assert answer.status_code == 422
    assert not Authenticator.objects.exists()


def test_without_javascript_no_passkey_is_made(browser: Client) -> None:
    answer = browser.post(NEW, {"name": "Laptop", "credential": ""})
    assert answer.status_code == 422
    assert "No passkey was created" in answer.content.decode()


def test_a_passkey_is_a_recent_sign_in(browser: Client, passkey: Passkey) -> None:
    later = clock.now() + timedelta(minutes=6)
    with time_machine.travel(later, tick=True):
        asked = browser.get(NEW)
        assert asked["Location"].startswith("/accounts/reauthenticate/?next=")
        assert "data-passkey" in browser.get(asked["Location"]).content.decode()
        credential = passkey.sign(begin(browser, "reauthenticate"))
        form = {"credential": credential, "next": NEW}
        assert browser.post("/accounts/passkey/reauthenticate/", form)["Location"] == NEW
        assert browser.get(NEW).status_code == 200


def test_a_post_is_not_repeated_after_a_passkey(browser: Client, passkey: Passkey) -> None:
    with time_machine.travel(clock.now() + timedelta(minutes=6), tick=True):
        browser.post("/accounts/email/", {"email": "third@example.com", "action_add": ""})
        credential = passkey.sign(begin(browser, "reauthenticate"))
        form = {"credential": credential, "next": "/accounts/email/"}
        back = browser.post("/accounts/passkey/reauthenticate/", form)
        assert (back.status_code, back["Location"]) == (303, "/accounts/email/")
        assert "Nothing has been changed yet" in browser.get(back["Location"]).content.decode()
        assert not AddressCode.objects.exists()


def test_the_passkey_of_another_user_does_not_reauthenticate(browser: Client, passkey: Passkey) -> None:
    others = add_passkey(enter_password(make_user("bob@example.com").email))
    with time_machine.travel(clock.now() + timedelta(minutes=6), tick=True):
        others.user_handle = passkey.user_handle
        credential = others.sign(begin(browser, "reauthenticate"))
        answer = browser.post("/accounts/passkey/reauthenticate/", {"credential": credential, "next": NEW})
        assert answer["Location"] == f"/accounts/reauthenticate/?next={NEW.replace('/', '%2F')}"
        assert browser.get(NEW).status_code == 303


def test_a_code_of_an_app_alone_does_not_reauthenticate(browser: Client) -> None:
    assert browser.get("/accounts/mfa/reauthenticate/").status_code == 404
    assert "code" not in browser.get("/accounts/reauthenticate/").content.decode().partition("<main")[2]


@cases("path", ["passkeys/new", "passkeys/1/remove", "app/new", "app/remove", "codes/new"])
def test_every_change_needs_a_recent_sign_in_and_no_post_is_repeated(browser: Client, ada: User, path: str) -> None:
    with time_machine.travel(clock.now() + timedelta(minutes=6), tick=True):
        for send in (browser.get, browser.post):
            answer = send(f"{SECURITY}/{path}")
            assert answer.status_code == 303
            assert answer["Location"].startswith("/accounts/reauthenticate/?next=")
        back = browser.post("/accounts/reauthenticate/", {"password": PASSWORD, "next": f"{SECURITY}/{path}"})
        assert (back.status_code, back["Location"]) == (302, f"{SECURITY}/{path}")
    assert not Authenticator.objects.exists()


def test_old_challenges_to_add_a_passkey_need_a_recent_sign_in(browser: Client) -> None:
    with time_machine.travel(clock.now() + timedelta(minutes=6), tick=True):
        assert browser.post(OPTIONS, {"purpose": "add"}).status_code == 403


def test_visitors_are_sent_to_the_sign_in_page() -> None:
    for path in ("", "/passkeys/new", "/app/new", "/codes", "/codes/new"):
        assert Client().get(f"{SECURITY}{path}")["Location"].startswith("/accounts/login/")


def test_a_visitor_gets_a_short_session_and_a_registration_keeps_its_own(settings: Any) -> None:
    visitor, registering = Client(), Client()
    begin(visitor, "sign-in")
    assert visitor.session.get_expiry_age() <= 300
    settings.REQUIRE_VERIFIED_EMAIL = True
    registering.post("/accounts/signup/", {"email": "new@example.com", "password1": PASSWORD})
    begin(registering, "sign-in")
    assert 300 < registering.session.get_expiry_age() <= 900
