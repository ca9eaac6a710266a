"""With `REQUIRE_VERIFIED_EMAIL`, no account exists before its code, and no response reveals who has an account."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import time_machine
from allauth.account.models import EmailAddress
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.test import Client
from django.utils import timezone

from accounts.models import PendingRegistration, User
from accounts.registration import MAX_PENDING
from tests.api.conftest import PASSWORD, SCOPES, Api, Json, expect, initiate, problem
from tests.log import log_entries
from tests.mails import code_in
from tests.shared import cases

ADA = "ada@example.com"
PERSON = {"email": ADA, "password": PASSWORD, "name": "Ada"}
DEVELOPER = {"email": ADA, "password": PASSWORD, "name": "Acme AI"}
REGISTRATIONS = [("/users", PERSON), ("/developers", DEVELOPER)]
REQUIRED = {"status": "verification_required"}
STRANGER = {"password": "a-stranger's-passphrase", "name": "Mallory"}


@pytest.fixture
def required(settings: Any) -> None:
    settings.REQUIRE_VERIFIED_EMAIL = True


@pytest.fixture
def register(anonymous: Api, required: None, mails: list[Any]) -> Callable[..., str]:
    """Return a function that registers an account and returns the code from the email."""

    def run(prefix: str, body: Json) -> str:
        assert expect(202, anonymous.post(f"{prefix}/register", body)) == REQUIRED
        assert mails[-1].to == [body["email"]]
        return code_in(mails[-1])

    return run


def confirm(prefix: str, email: str, code: str) -> Any:
    return Api().post(f"{prefix}/register/confirm", {"email": email, "code": code})


@cases(("prefix", "body"), REGISTRATIONS)
def test_no_account_exists_before_its_address_is_verified(register: Any, prefix: str, body: Json) -> None:
    code = register(prefix, body)
    assert not User.objects.exists()
    assert not log_entries().exists()
    problem(Api().post(f"{prefix}/login", {"email": ADA, "password": PASSWORD}), 401, "invalid_credentials")

    created = expect(201, confirm(prefix, ADA, code))

    assert created["email"] == ADA
    assert list(EmailAddress.objects.values_list("email", "primary", "verified")) == [(ADA, True, True)]
    expect(200, Api().post(f"{prefix}/login", {"email": ADA, "password": PASSWORD}))


def test_confirming_returns_what_registering_returns_without_verification(register: Any) -> None:
    person = expect(201, confirm("/users", ADA, register("/users", PERSON)))
    assert (set(person), person["name"]) == ({"id", "email", "name", "createdAt"}, "Ada")
    body = {**DEVELOPER, "email": "dev@example.com"}
    developer = expect(201, confirm("/developers", "dev@example.com", register("/developers", body)))
    assert set(developer) == {"id", "name", "email", "organizationId", "apiKey", "createdAt"}
    assert developer["name"] == "Acme AI"
    expect(200, Api(X_Api_Key=developer["apiKey"]).get("/agents"))


@pytest.mark.parametrize(("prefix", "body"), REGISTRATIONS)
def test_a_taken_address_gets_the_same_response_after_the_same_work(
    register: Any, mails: list[Any], monkeypatch: Any, prefix: str, body: Json
) -> None:
    expect(201, confirm("/users", ADA, register("/users", PERSON)))
    hashed: list[str] = []
    encode = Argon2PasswordHasher.encode
    monkeypatch.setattr(Argon2PasswordHasher, "encode", lambda *args: hashed.append("x") or encode(*args))
    mails.clear()

    fresh = Api().post(f"{prefix}/register", {**body, "email": "new@example.com"})
    after_fresh = len(hashed)
    taken = Api().post(f"{prefix}/register", {**body, **STRANGER})

    assert (fresh.status_code, fresh.content) == (taken.status_code, taken.content) == (202, taken.content)
    ours = ("X-Request-Id", "Content-Length")
    kept = [{k: v for k, v in each.headers.items() if k not in ours} for each in (fresh, taken)]
    assert kept[0] == kept[1]
    assert (after_fresh, len(hashed)) == (1, 2)
    assert [mail.to for mail in mails] == [["new@example.com"], [ADA]]
    assert "already have an account" in mails[1].subject
    assert PendingRegistration.objects.count() == 2
    assert User.objects.get().check_password(PASSWORD)


def test_a_code_confirms_only_its_own_registration(register: Any, mails: list[Any]) -> None:
    strangers = register("/users", {"email": ADA, **STRANGER})
    own = register("/users", PERSON)
    again = register("/users", {"email": ADA, **STRANGER})
    expect(201, confirm("/users", ADA, own))
    assert User.objects.get().check_password(PASSWORD)
    for code in (strangers, again):
        problem(confirm("/users", ADA, code), 409, "email_taken")
    assert User.objects.get().check_password(PASSWORD)


def test_wrong_guesses_do_not_invalidate_the_owners_code(register: Any, settings: Any) -> None:
    settings.THROTTLE_SIGN_IN = "1000/minute"
    code = register("/users", PERSON)
    for number in range(20):
        problem(confirm("/users", ADA, f"00000-{number:05}"), 400, "invalid_code")
    expect(201, confirm("/users", ADA, code))


@cases("change", ["kind", "email", "used", "late", "unknown"])
def test_all_wrong_codes_return_the_same_error(register: Any, change: str) -> None:
    prefix, email, code = "/users", ADA, register("/users", PERSON)
    moment = timezone.now()
    if change == "kind":
        prefix = "/developers"
    elif change == "email":
        email = "eve@example.com"
    elif change == "used":
        expect(201, confirm(prefix, email, code))
    elif change == "late":
        moment += timedelta(minutes=15, seconds=1)
    else:
        code = "00000-00000"
    with time_machine.travel(moment):
        body = problem(confirm(prefix, email, code), 400, "invalid_code")
    assert body["detail"] == "Check the code, or register again to get a new one."


def test_a_code_can_be_typed_in_several_ways(register: Any) -> None:
    code = register("/users", PERSON)
    expect(201, confirm("/users", " Ada@EXAMPLE.com", f" {code.lower().replace('-', ' ').replace('0', 'o')} "))


def test_guesses_are_throttled_by_address(register: Any, settings: Any) -> None:
    settings.THROTTLE_SIGN_IN = "3/minute"
    register("/users", PERSON)
    codes = [confirm("/users", ADA, "00000-00000").status_code for _ in range(4)]
    assert codes == [400, 400, 400, 429]


def test_pending_registrations_per_address_are_limited(register: Any, mails: list[Any], settings: Any) -> None:
    settings.THROTTLE_REGISTRATION = "1000/hour"
    for _ in range(MAX_PENDING):
        register("/users", PERSON)
    mails.clear()
    assert expect(202, Api().post("/users/register", PERSON)) == REQUIRED
    assert mails == []
    assert PendingRegistration.objects.count() == MAX_PENDING


def test_one_network_cannot_use_up_the_registrations_of_an_address(
    register: Any, mails: list[Any], settings: Any
) -> None:
    settings.THROTTLE_REGISTRATION = "1000/hour"
    strangers = [Client(REMOTE_ADDR=f"2001:db8:1:{number:x}::1") for number in range(MAX_PENDING + 5)]
    post = partial(Client.post, path="/api/v1/users/register", content_type="application/json")
    for stranger in strangers:
        assert expect(202, post(stranger, data={"email": ADA, **STRANGER})) == REQUIRED
    assert PendingRegistration.objects.count() == len(mails) == MAX_PENDING
    expect(202, post(Client(REMOTE_ADDR="2001:db8:2::1"), data=PERSON))
    expect(201, confirm("/users", ADA, code_in(mails[-1])))
    assert User.objects.get().check_password(PASSWORD)


def test_a_repeated_registration_sends_one_email(register: Any, anonymous: Api, mails: list[Any]) -> None:
    for _ in range(2):
        expect(202, anonymous.post("/users/register", PERSON, Idempotency_Key="one"))
    assert len(mails) == 1


def test_the_email_links_to_api_url_and_contains_no_text_of_the_sender(
    register: Any, mails: list[Any], anonymous: Api, settings: Any
) -> None:
    settings.API_URL = "https://gate.example.com"
    anonymous.post("/users/register", {**PERSON, "name": "Call 555-0100"}, Host="127.0.0.1")
    assert "https://gate.example.com" in mails[-1].body
    assert "127.0.0.1:" not in mails[-1].body
    assert "localhost" not in mails[-1].body
    assert "555" not in mails[-1].body


@cases("spelling", ["ADA@EXAMPLE.COM", "\uff41da@example.com", "ada@\uff45xample.com"])
def test_all_spellings_of_an_address_are_one_account(anonymous: Api, spelling: str) -> None:
    expect(201, anonymous.post("/users/register", PERSON))
    problem(anonymous.post("/users/register", {**PERSON, "email": spelling}), 409, "email_taken")
    expect(200, anonymous.post("/users/login", {"email": spelling, "password": PASSWORD}))


def test_a_unicode_domain_equals_its_ascii_form(anonymous: Api) -> None:
    created = expect(201, anonymous.post("/users/register", {**PERSON, "email": "ada@B\u00fccher.example"}))
    assert created["email"] == "ada@xn--bcher-kva.example"
    body = {**PERSON, "email": "ada@xn--bcher-kva.example"}
    problem(anonymous.post("/users/register", body), 409, "email_taken")


@cases("host", ["i\u2764.ws", "xn--i-7iq.ws", "-a.example", "a..example", "a.example.", "[127.0.0.1]"])
def test_a_domain_without_a_unique_ascii_form_is_refused(anonymous: Api, host: str) -> None:
    email = f"ada@{host}"
    problem(anonymous.post("/users/register", {**PERSON, "email": email}), 400, "validation_failed", "email")
    problem(anonymous.post("/users/login", {"email": email, "password": PASSWORD}), 400, "validation_failed", "email")
    for page, form in (("signup", {"email": email, "password1": PASSWORD}), ("password/reset", {"email": email})):
        answer = Client().post(f"/accounts/{page}/", form)
        assert "Must be an email address with a valid domain" in answer.content.decode()
    assert not User.objects.exists()


def test_labels_of_a_domain_are_encoded_separately(anonymous: Api) -> None:
    created = expect(201, anonymous.post("/users/register", {**PERSON, "email": "ada@b\u00fccher.ab--cd.com"}))
    assert created["email"] == "ada@xn--bcher-kva.ab--cd.com"
    problem(anonymous.post("/users/register", {**PERSON, "email": created["email"]}), 409, "email_taken")


class TestUnverifiedAccount:
    """An account that was created before `REQUIRE_VERIFIED_EMAIL` was turned on."""

    @pytest.fixture
    def old(self, ada: Api, bob: Api, agent: Json, developer: Api, settings: Any) -> Api:
        settings.REQUIRE_VERIFIED_EMAIL = True
        return ada

    def test_cannot_approve_a_consent(self, agent: Json, ada: Api, settings: Any) -> None:
        consent = initiate(agent)
        settings.REQUIRE_VERIFIED_EMAIL = True
        problem(ada.post(f"/consent/{consent}/approve"), 403, "email_unverified")
        expect(200, ada.post(f"/consent/{consent}/deny"))

    def test_cannot_use_its_api_key(self, old: Api, developer: Api) -> None:
        problem(developer.get("/agents"), 403, "email_unverified")
        problem(developer.post("/developers/api-keys/rotate"), 403, "email_unverified")

    def test_cannot_use_a_developers_session(self, old: Api, anonymous: Api) -> None:
        body = {"email": "acme@example.com", "password": PASSWORD}
        session = expect(200, anonymous.post("/developers/login", body))["sessionToken"]
        problem(Api(Authorization=f"Bearer {session}").get("/agents"), 403, "email_unverified")

    def test_can_read_its_consents_and_log(self, old: Api) -> None:
        expect(200, old.get("/users/me/consents"))
        expect(200, old.get("/users/me/audit-logs"))

    def test_works_again_after_verification(self, old: Api, agent: Json, mails: list[Any], settings: Any) -> None:
        assert expect(202, old.post("/users/me/email/verification")) == REQUIRED
        path, code = "/users/me/email/verification/confirm", code_in(mails[-1])
        problem(old.post(path, {"code": "00000-00000"}), 400, "invalid_code")
        assert expect(200, old.post(path, {"code": code})) == {"status": "verified"}
        problem(old.post(path, {"code": code}), 400, "invalid_code")
        assert expect(200, old.post("/users/me/email/verification")) == {"status": "verified"}
        settings.REQUIRE_VERIFIED_EMAIL = False
        consent = initiate(agent)
        settings.REQUIRE_VERIFIED_EMAIL = True
        expect(200, old.post(f"/consent/{consent}/approve", {"scopes": SCOPES[:1]}))
        assert log_entries(event="user.email_verified").count() == 1

    def test_cannot_be_verified_with_another_users_code(self, old: Api, bob: Any, mails: list[Any]) -> None:
        bob.post("/users/me/email/verification")
        code = code_in(mails[-1])
        problem(old.post("/users/me/email/verification/confirm", {"code": code}), 400, "invalid_code")

    def test_cannot_be_verified_by_others(self, old: Any, bob: Any, anonymous: Api) -> None:
        for path in ("email/verification", "email/verification/confirm"):
            body = {"code": "x"} if path.endswith("confirm") else {}
            problem(bob.post(f"/users/{old.id}/{path}", body), 404, "not_found")
            problem(anonymous.post(f"/users/{old.id}/{path}", body), 401, "not_authenticated")
