"""Authenticator apps and recovery codes: set up, the second step of a sign-in, and everything that is refused."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.test import Client

from accounts.models import User
from accounts.passwords import reset_password
from audit.readers.reading import read_entry
from tests.administration.world import sign_in
from tests.constants import PASSWORD
from tests.log import log_entries
from tests.passkeys import add_passkey, begin, enter_password, sign_in_with
from tests.shared import cases
from tests.totp import code_now
from tests.world import ANONYMOUS, make_user

SECURITY, SETUP, STEP = "/account/security", "/account/security/app/new", "/accounts/second-step/"
NOON = datetime(2026, 3, 4, 12, 0, 5, tzinfo=UTC)

pytestmark = pytest.mark.django_db


@pytest.fixture
def now() -> Any:
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def ada(now: Any) -> User:
    return make_user("ada@example.com", "Ada")


@pytest.fixture
def browser(ada: User) -> Client:
    return enter_password(ada.email)


def secret_on(page: Any) -> str:
    return re.search(r'<code translate="no">([A-Z2-7 ]+)</code>', page.content.decode())[1].replace(" ", "")


def set_up(browser: Client) -> tuple[str, list[str]]:
    """Set up an app. Return its secret, and the recovery codes."""
    secret = secret_on(browser.get(SETUP))
    answer = browser.post(SETUP, {"code": code_now(secret)})
    assert answer["Location"] == "/account/security/codes", answer.content.decode()
    page = browser.get(answer["Location"]).content.decode()
    return secret, re.findall(r"<li>([0-9]{8})</li>", page)


def is_in(client: Client) -> bool:
    return client.get(SECURITY).status_code == 200


def test_an_app_is_set_up_with_a_code_logged_and_mailed(browser: Client, ada: User, mails: list[Any]) -> None:
    _, codes = set_up(browser)
    assert len(set(codes)) == 10
    assert "The app is set up" in browser.get(SECURITY).content.decode()
    assert log_entries(event="user.totp_added", user_id=ada.id).count() == 1
    assert [mail.subject for mail in mails] == ["[AgentGate] An authenticator app was added to your account"]


@pytest.mark.parametrize("add", [set_up, add_passkey])
def test_the_first_factor_ends_the_sessions_that_began_without_it(browser: Client, ada: User, add: Any) -> None:
    """Who has the password, and signed in before, would go on without the factor and could remove it."""
    other, program = enter_password(ada.email), Client()
    credentials = {"email": ada.email, "password": PASSWORD}
    token = program.post("/api/v1/users/login", credentials, content_type="application/json").json()["sessionToken"]
    own: Any = {"path": f"/api/v1/users/{ada.id}/organizations", "headers": {"Authorization": f"Bearer {token}"}}
    assert is_in(other)
    assert program.get(**own).status_code == 200
    add(browser)
    assert is_in(browser)
    assert not is_in(other)
    assert program.get(**own).status_code == 401
    assert log_entries(event="user.session_ended", user_id=ada.id).count() == 1


def test_a_further_factor_ends_no_session(browser: Client) -> None:
    passkey, other = add_passkey(browser), Client()
    assert "Passkey added. All other sessions have ended." in browser.get("/account/security/codes").content.decode()
    sign_in_with(other, passkey)
    assert browser.post(SETUP, {"code": code_now(secret_on(browser.get(SETUP)))})["Location"] == SECURITY
    assert is_in(other)


def test_the_page_has_a_qr_code_without_a_data_url(browser: Client) -> None:
    page = browser.get(SETUP).content.decode()
    assert '<svg class="qr"' in page
    assert "data:" not in page.partition("<main")[2]


def test_the_secret_is_encrypted_in_the_session_and_in_the_table(browser: Client) -> None:
    secret = secret_on(browser.get(SETUP))
    assert secret == secret_on(browser.get(SETUP))
    assert secret not in str(dict(browser.session))
    set_up(browser)
    assert secret not in str(Authenticator.objects.values_list("data", flat=True))
    assert secret not in str(dict(browser.session))


def test_a_pending_secret_ends_after_five_minutes_and_with_its_sign_in(browser: Client, ada: User, now: Any) -> None:
    """A person who saw the secret at an open session must not know what the owner sets up later."""
    seen = secret_on(browser.get(SETUP))
    now.shift(240)
    browser.post("/accounts/reauthenticate/", {"password": PASSWORD})
    newer = secret_on(browser.get(SETUP))
    assert newer != seen
    page = browser.post(SETUP, {"code": code_now(seen)})
    assert page.status_code == 422
    assert secret_on(page) == newer

    now.shift(299)
    assert secret_on(browser.get(SETUP)) == newer
    now.shift(1)
    browser.post("/accounts/reauthenticate/", {"password": PASSWORD})
    page = browser.post(SETUP, {"code": code_now(newer)})
    assert (page.status_code, "has expired" in page.content.decode()) == (422, True)
    assert secret_on(page) not in (seen, newer)
    assert not Authenticator.objects.exists()


@cases("code", ["", "000000", "12345", "abcdef", "१२३४५६", "x" * 50])
def test_a_wrong_code_sets_nothing_up(browser: Client, code: str) -> None:
    browser.get(SETUP)
    assert browser.post(SETUP, {"code": code}).status_code == 422
    assert not Authenticator.objects.exists()


def test_the_password_is_followed_by_the_code(browser: Client, ada: User, now: Any) -> None:
    secret, _ = set_up(browser)
    now.shift(30)
    client = Client()
    form = {"login": ada.email, "password": PASSWORD, "next": "/activity"}
    assert client.post("/accounts/login/", form)["Location"] == STEP
    assert not is_in(client)
    assert client.session.get_expiry_age() <= 900
    answer = client.post(STEP, {"code": f"{code_now(secret)[:3]} {code_now(secret)[3:]}"})
    assert (answer.status_code, answer["Location"]) == (302, "/activity")
    assert is_in(client)
    assert client.session.get_expiry_age() > 86_400
    newest = read_entry(log_entries(event="user.signed_in", user_id=ada.id).first())
    assert newest.content["metadata"] == {"method": "browser", "factors": ["password", "totp"]}


def test_a_code_works_once(browser: Client, ada: User, now: Any) -> None:
    secret, _ = set_up(browser)
    assert enter_password(ada.email).post(STEP, {"code": code_now(secret)}).status_code == 422, "used to set it up"
    now.shift(30)
    assert enter_password(ada.email).post(STEP, {"code": code_now(secret)}).status_code == 302
    replayed = enter_password(ada.email)
    assert replayed.post(STEP, {"code": code_now(secret)}).status_code == 422
    assert replayed.post(STEP, {"code": code_now(secret, -1)}).status_code == 422, "an earlier one"
    assert not is_in(replayed)


@pytest.mark.parametrize(("steps", "status"), [(-2, 422), (-1, 302), (0, 302), (1, 302), (2, 422)])
def test_clocks_may_differ_by_one_step(browser: Client, ada: User, now: Any, steps: int, status: int) -> None:
    secret, _ = set_up(browser)
    now.shift(300)
    assert enter_password(ada.email).post(STEP, {"code": code_now(secret, steps)}).status_code == status


def test_a_recovery_code_works_once_and_is_logged_and_mailed(browser: Client, ada: User, mails: list[Any]) -> None:
    _, codes = set_up(browser)
    assert enter_password(ada.email).post(STEP, {"code": codes[3]}).status_code == 302
    assert mails[-1].subject == "[AgentGate] A recovery code was used for your account"
    assert "Unused recovery codes: 9\n" in mails[-1].body
    assert enter_password(ada.email).post(STEP, {"code": codes[3]}).status_code == 422
    assert enter_password(ada.email).post(STEP, {"code": codes[4]}).status_code == 302
    assert log_entries(event="user.recovery_code_used", user_id=ada.id).count() == 2


def test_new_recovery_codes_replace_the_old_ones(browser: Client, ada: User) -> None:
    _, old = set_up(browser)
    answer = browser.post("/account/security/codes/new", follow=True)
    new = re.findall(r"<li>([0-9]{8})</li>", answer.content.decode())
    assert len(new) == 10
    assert 'name="theme"' not in answer.content.decode(), "a choice would open the page again, without the codes"
    assert enter_password(ada.email).post(STEP, {"code": old[0]}).status_code == 422
    assert enter_password(ada.email).post(STEP, {"code": new[0]}).status_code == 302


def test_without_a_second_factor_there_are_no_recovery_codes(browser: Client) -> None:
    assert browser.post("/account/security/codes/new").status_code == 404


def test_the_codes_of_another_user_do_not_work(browser: Client, ada: User, now: Any) -> None:
    set_up(browser)
    bob = make_user("bob@example.com")
    secret, codes = set_up(enter_password(bob.email))
    now.shift(30)
    client = enter_password(ada.email)
    assert client.post(STEP, {"code": code_now(secret)}).status_code == 422
    assert client.post(STEP, {"code": codes[0]}).status_code == 422


def test_the_passkey_of_another_user_is_refused_as_the_second_step(browser: Client, ada: User) -> None:
    own = add_passkey(browser)
    others = add_passkey(enter_password(make_user("bob@example.com").email))
    client = enter_password(ada.email)
    others.user_handle = own.user_handle
    refused = client.post(STEP, {"credential": others.sign(begin(client, "second-step"))})
    assert refused.status_code == 422
    assert "not accepted" in refused.content.decode()
    assert client.post(STEP, {"credential": own.sign(begin(client, "second-step"))}).status_code == 302


def test_a_passkey_is_accepted_as_the_second_step(browser: Client, ada: User) -> None:
    passkey = add_passkey(browser)
    client = enter_password(ada.email, next="/activity")
    page = client.get(STEP).content.decode()
    assert "data-passkey" in page
    assert client.post(STEP, {"credential": passkey.sign(begin(client, "second-step"))})["Location"] == "/activity"
    assert is_in(client)


def test_wrong_codes_are_throttled_by_account_and_logged(
    browser: Client, ada: User, settings: Any, now: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret, _ = set_up(browser)
    now.shift(30)
    settings.THROTTLE_SIGN_IN = "100/minute"
    monkeypatch.setattr("accounts.throttles.SECOND_STEP_RATE", "3/hour")
    addresses = [f"198.51.100.{number}" for number in range(1, 6)]
    texts = []
    for ip in addresses:
        client = Client(REMOTE_ADDR=ip)
        enter_password(ada.email, client)
        texts.append(client.post(STEP, {"code": "000000"}).content.decode())
    assert ["Too many attempts" in text for text in texts] == [False, False, False, True, True]
    assert log_entries(event="user.second_factor_failed", user_id=ada.id).count() == 3
    stranger = Client(REMOTE_ADDR="198.51.100.9")
    enter_password(ada.email, stranger)
    assert "Too many attempts" in stranger.post(STEP, {"code": code_now(secret)}).content.decode()
    owner = enter_password(ada.email)
    assert owner.post(STEP, {"code": code_now(secret)}).status_code == 302, "where she has signed in before"


def test_right_codes_do_not_count(browser: Client, ada: User, monkeypatch: pytest.MonkeyPatch, now: Any) -> None:
    secret, _ = set_up(browser)
    monkeypatch.setattr("accounts.throttles.SECOND_STEP_RATE", "1/hour")
    for _ in range(3):
        now.shift(30)
        assert enter_password(ada.email).post(STEP, {"code": code_now(secret)}).status_code == 302


def test_a_new_password_ends_a_second_step_that_waits(browser: Client, ada: User, now: Any) -> None:
    secret, _ = set_up(browser)
    now.shift(30)
    client = enter_password(ada.email)
    ada.refresh_from_db()
    reset_password(actor=ANONYMOUS, user=ada, password="a-new-passphrase-77")
    answer = client.post(STEP, {"code": code_now(secret)})
    assert answer["Location"] == "/accounts/login/"
    assert not is_in(client)


def test_the_second_step_ends_after_15_minutes(browser: Client, ada: User, now: Any) -> None:
    secret, _ = set_up(browser)
    client = enter_password(ada.email)
    now.shift(timedelta(minutes=16))
    assert client.post(STEP, {"code": code_now(secret)})["Location"] == "/accounts/login/"


def test_the_second_step_needs_the_password_first(browser: Client) -> None:
    set_up(browser)
    assert Client().get(STEP)["Location"] == "/accounts/login/"
    assert Client().post(STEP, {"code": "123456"})["Location"] == "/accounts/login/"


def test_a_password_reset_does_not_skip_the_second_step(browser: Client, ada: User) -> None:
    EmailAddress.objects.filter(user=ada).update(verified=True)
    set_up(browser)
    ada.refresh_from_db()
    reset_password(actor=ANONYMOUS, user=ada, password="a-new-passphrase-77")
    client = Client()
    answer = client.post("/accounts/login/", {"login": ada.email, "password": "a-new-passphrase-77"})
    assert answer["Location"] == STEP
    assert Authenticator.objects.filter(user=ada).exists()


def test_the_owner_of_the_address_ends_the_factors_of_a_stranger_who_registered_it(browser: Client, ada: User) -> None:
    set_up(browser)
    ada.refresh_from_db()
    reset_password(actor=ANONYMOUS, user=ada, password="a-new-passphrase-77")
    assert not Authenticator.objects.exists()


def test_the_admin_site_needs_the_second_step(browser: Client, ada: User) -> None:
    set_up(browser)
    User.objects.filter(pk=ada.pk).update(is_staff=True, is_superuser=True)
    client = Client()
    asked = client.get("/admin/login/?next=/admin/")
    assert asked["Location"].startswith("/accounts/login/")
    enter_password(ada.email, client, next="/admin/")
    assert client.get("/admin/").status_code == 302
    direct = client.post("/admin/login/?next=/admin/", {"username": ada.email, "password": PASSWORD})
    assert direct.status_code == 302
    assert client.get("/admin/").status_code == 302


def test_removing_the_app_ends_its_codes(browser: Client, ada: User, mails: list[Any]) -> None:
    set_up(browser)
    assert browser.post("/account/security/app/remove")["Location"] == SECURITY
    assert not Authenticator.objects.exists()
    assert is_in(enter_password(ada.email))
    assert mails[-1].subject == "[AgentGate] The authenticator app was removed from your account"
    assert browser.post("/account/security/app/remove").status_code == 404


def test_the_app_stays_when_a_passkey_is_removed(browser: Client, ada: User) -> None:
    set_up(browser)
    add_passkey(browser)
    row = Authenticator.objects.get(type="webauthn")
    browser.post(f"/account/security/passkeys/{row.pk}/remove")
    assert set(Authenticator.objects.values_list("type", flat=True)) == {"totp", "recovery_codes"}


def test_there_is_one_app(browser: Client) -> None:
    set_up(browser)
    assert browser.get(SETUP)["Location"] == SECURITY


def test_secrets_of_another_key_refuse_codes(browser: Client, ada: User, settings: Any, now: Any) -> None:
    secret, codes = set_up(browser)
    settings.JWT_SECRET = "another-secret-of-this-server-000000"
    now.shift(30)
    for code in (code_now(secret), codes[0]):
        assert enter_password(ada.email).post(STEP, {"code": code}).status_code == 422


def test_a_deactivated_user_does_not_finish_the_second_step(browser: Client, ada: User, now: Any) -> None:
    secret, _ = set_up(browser)
    now.shift(30)
    client = enter_password(ada.email)
    User.objects.filter(pk=ada.pk).update(is_active=False)
    assert client.post(STEP, {"code": code_now(secret)})["Location"] == "/accounts/login/"


class TestAdministrators:
    """Remove the factors of a user who has lost them."""

    def test_remove_them_with_a_reason_that_is_logged_and_mailed(
        self, browser: Client, ada: User, mails: list[Any]
    ) -> None:
        set_up(browser)
        User.objects.filter(pk=ada.pk).update(time_zone="Europe/Berlin")
        remove(ada, "Lost her phone; identified in person.")
        assert not Authenticator.objects.exists()
        assert log_entries(event="user.second_factors_removed", user_id=ada.id).count() == 1
        assert "An administrator removed the second factors" in mails[-1].subject
        assert "IP address" not in mails[-1].body
        assert "When: Mar 4, 2026, 1:00\u202fPM CET\n" in mails[-1].body
        assert is_in(enter_password(ada.email))
        assert "The second factors of your account were removed" in browser.get("/activity").content.decode()

    def test_do_not_remove_their_own_without_a_new_sign_in(self, now: Any) -> None:
        administrator = User.objects.create_superuser("root@example.com", PASSWORD)
        set_up(enter_password(administrator.email))
        remove(administrator, "x", by=administrator)
        assert Authenticator.objects.filter(user=administrator).exists()

    def test_write_nothing_for_a_user_without_factors(self, ada: User, mails: list[Any]) -> None:
        remove(ada, "x")
        assert not log_entries(event="user.second_factors_removed").exists()
        assert mails == []


def remove(user: User, reason: str, by: User | None = None) -> None:
    by = by or User.objects.create_superuser("root@example.com", PASSWORD)
    data = {"action": "remove_factors", "_selected_action": user.pk, "confirmed": "yes", "reason": reason}
    answer = sign_in(by).post("/admin/accounts/user/", data, follow=True)
    assert answer.status_code == 200
