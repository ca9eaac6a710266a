"""Signing up in the browser: the code works only in the session that requested it."""

import re
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.test import Client

from accounts.models import PendingRegistration, User
from accounts.registration import start_registration
from accounts.services import new_user
from tests.mails import code_in
from tests.shared import cases
from tests.world import ANONYMOUS

ADA, PASSWORD = "ada@example.com", "correct-horse-battery-7"
FORM = {"email": ADA, "password1": PASSWORD}
CONFIRM = "/accounts/signup/confirm/"

pytestmark = pytest.mark.django_db


@pytest.fixture
def required(settings: Any) -> None:
    settings.REQUIRE_VERIFIED_EMAIL = True


def sign_up(client: Client, **fields: str) -> Any:
    return client.post("/accounts/signup/", {**FORM, **fields})


def test_without_verification_the_user_is_signed_in_at_once(client: Client) -> None:
    answer = sign_up(client, next="/connections")
    assert (answer.status_code, answer["Location"]) == (302, "/connections")
    assert client.get("/connections").status_code == 200
    assert list(EmailAddress.objects.values_list("email", "verified")) == [(ADA, False)]


def test_without_verification_a_taken_address_is_an_error(client: Client) -> None:
    sign_up(Client())
    answer = sign_up(client)
    assert answer.status_code == 422
    assert "already has an account" in answer.content.decode()


def test_the_code_creates_the_account_and_redirects(client: Client, required: None, mails: list[Any]) -> None:
    answer = sign_up(client, next="/activity")
    assert (answer.status_code, answer["Location"]) == (303, CONFIRM)
    assert not User.objects.exists()
    assert client.get("/connections").status_code == 302
    done = client.post(CONFIRM, {"code": code_in(mails[-1]).lower()})
    assert (done.status_code, done["Location"]) == (302, "/activity")
    assert client.get("/activity").status_code == 200
    assert list(EmailAddress.objects.values_list("email", "primary", "verified")) == [(ADA, True, True)]


def test_the_code_works_neither_in_another_browser_nor_in_the_api(required: None, mails: list[Any]) -> None:
    stranger, owner = Client(), Client()
    sign_up(stranger, password1="a-stranger's-passphrase")
    strangers_code = code_in(mails[-1])
    sign_up(owner)
    answer = owner.post(CONFIRM, {"code": strangers_code})
    assert answer.status_code == 422
    assert "Check the code" in answer.content.decode()
    api = owner.post(
        "/api/v1/users/register/confirm", {"email": ADA, "code": strangers_code}, content_type="application/json"
    )
    assert api.status_code == 400
    owner.post(CONFIRM, {"code": code_in(mails[-1])})
    assert User.objects.get().check_password(PASSWORD)


def test_mails_about_signing_up_contain_no_action_links(client: Client, required: None, mails: list[Any]) -> None:
    sign_up(client)
    links = [line for line in mails[-1].body.splitlines() if "http" in line]
    assert links == ["AgentGate, http://localhost:8000"]


def test_new_and_taken_addresses_look_alike(required: None, mails: list[Any], monkeypatch: Any) -> None:
    from accounts.services import register_user

    register_user(actor=ANONYMOUS, email="taken@example.com", password=PASSWORD)
    hashed: list[str] = []
    encode = Argon2PasswordHasher.encode
    monkeypatch.setattr(Argon2PasswordHasher, "encode", lambda *args: hashed.append("x") or encode(*args))
    seen = []
    for email in ("fresh@example.com", "taken@example.com"):
        visitor = Client()
        answer = sign_up(visitor, email=email)
        page = visitor.get(answer["Location"]).content.decode()
        wrong = visitor.post(CONFIRM, {"code": "00000-00000"})
        hidden = [email, *(visitor.cookies[name].value for name in visitor.cookies)]
        texts = [page, wrong.content.decode()]
        for secret in hidden:
            texts = [text.replace(secret, "·") for text in texts]
        texts = [re.sub(r'csrfmiddlewaretoken" value="\w+"', "", text) for text in texts]
        seen.append((answer.status_code, wrong.status_code, texts, len(hashed)))
        hashed.clear()
    assert seen[0] == seen[1]
    assert [mail.to for mail in mails] == [["fresh@example.com"], ["taken@example.com"]]
    assert PendingRegistration.objects.count() == 2


@cases("password", ["short", "password", "12345678901", ADA])
def test_a_weak_password_is_an_error_of_its_field(client: Client, required: None, password: str) -> None:
    answer = sign_up(client, password1=password)
    assert answer.status_code == 422
    assert b"id_password1_error" in answer.content
    assert not PendingRegistration.objects.exists()


def test_one_sentence_says_what_a_password_needs(client: Client) -> None:
    text = client.get("/accounts/signup/").content.decode()
    assert re.findall(r'field__help" id="[^"]+">(.*?)</div>', text) == [
        "At least 8 characters, and not a common password."
    ]


def test_the_password_is_not_shown_again(client: Client) -> None:
    assert b"s3cret-but-not-email" not in sign_up(client, password1="s3cret-but-not-email", email="x").content


def test_sign_ups_and_guesses_are_throttled(client: Client, required: None, settings: Any) -> None:
    settings.THROTTLE_REGISTRATION, settings.THROTTLE_SIGN_IN = "1/hour", "2/minute"
    sign_up(client)
    assert "Too many attempts" in sign_up(Client()).content.decode()
    pages = [client.post(CONFIRM, {"code": "00000-00000"}).content.decode() for _ in range(3)]
    assert ["Too many attempts" in page for page in pages] == [False, False, True]


def test_a_browser_that_has_not_signed_up_cannot_confirm(client: Client, required: None) -> None:
    start_registration(
        actor=ANONYMOUS, kind=PendingRegistration.Kind.BROWSER, user=new_user(email=ADA, password=PASSWORD)
    )
    assert client.post(CONFIRM, {"code": "x"})["Location"] == "/accounts/signup/"


@cases("elsewhere", ["https://evil.example/", "//evil.example/", "javascript:alert(1)"])
def test_signing_up_does_not_redirect_to_other_sites(client: Client, elsewhere: str) -> None:
    assert sign_up(client, next=elsewhere)["Location"] == "/dashboard"


@cases(
    "path",
    [
        "confirm-email/",
        "confirm-email/MQ:1abc:x/",
        "password/set/",
        "login/code/",
        "login/code/confirm/",
        "signup/passkey/",
        "phone/verify/",
        "2fa/",
        "3rdparty/",
        "password/reset/confirm/",
    ],
)
def test_unused_allauth_pages_do_not_exist(client: Client, path: str) -> None:
    assert client.get(f"/accounts/{path}").status_code == 404
    assert client.post(f"/accounts/{path}").status_code == 404
