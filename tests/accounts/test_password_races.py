"""Races between the owner of a mailbox, who resets the password, and a stranger who knows the old one."""

import itertools
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.test import Client

from accounts import passwords
from accounts.models import User
from accounts.verification import make_address_primary
from consent.granting import approve_consent
from consent.models import Consent
from core.actor import Actor
from core.errors import NotAuthenticated
from tests.api.conftest import PASSWORD, Api, expect
from tests.mails import link_in
from tests.shared import cases
from tests.threads import race
from tests.world import allow, ask, make_agent, make_developer

VICTIM, MINE = "victim@example.com", "stranger@evil.example"
OWNERS, STRANGERS = "the-owner's-own-passphrase-9", "the-stranger's-passphrase-7"
OWNER = Actor("anonymous", ip="203.0.113.7")
CHANGE = {"oldpassword": PASSWORD, "password1": STRANGERS, "password2": STRANGERS}
CHOOSE = {"password1": OWNERS, "password2": OWNERS}
DEAD = "This link no longer works"
ROUNDS = 2

pytestmark = pytest.mark.django_db


@pytest.fixture
def victim(db: None) -> User:
    """Return the account that a stranger registered with the victim's address."""
    expect(201, Api().post("/users/register", {"email": VICTIM, "password": PASSWORD}))
    return User.objects.get(email=VICTIM)


@pytest.fixture
def stranger(victim: User) -> Client:
    client = Client()
    client.post("/accounts/login/", {"login": VICTIM, "password": PASSWORD})
    return client


def open_link(mails: list[Any]) -> Callable[[], Any]:
    """Request a reset link and open it; return a function that posts the owner's new password."""
    mails.clear()
    client = Client()
    client.post("/accounts/password/reset/", {"email": VICTIM})
    page = client.get(link_in(mails[-1]), follow=True)
    assert DEAD not in page.content.decode()
    return lambda: client.post(page.request["PATH_INFO"], CHOOSE, follow=True)


def signs_in(password: str) -> bool:
    return Api().post("/users/login", {"email": VICTIM, "password": password}).status_code == 200


def just_before(monkeypatch: pytest.MonkeyPatch, name: str, act: Callable[[], Any]) -> None:
    """Run `act` after the form's checks and before the service `name` of `accounts.passwords`."""
    service = getattr(passwords, name)

    def overtaken(**arguments: Any) -> None:
        act()
        service(**arguments)

    monkeypatch.setattr(passwords, name, overtaken)


def test_a_password_change_fails_after_a_concurrent_reset(
    stranger: Client, victim: User, mails: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    choose = open_link(mails)
    just_before(monkeypatch, "change_password", choose)
    answer = stranger.post("/accounts/password/change/", CHANGE)
    assert answer.status_code == 401
    assert "The account has changed. Sign in again." in answer.content.decode()
    assert stranger.get("/connections").status_code == 302
    assert (signs_in(OWNERS), signs_in(STRANGERS)) == (True, False)


@cases("change", [{"is_active": False}, {"email": MINE}])
def test_a_password_is_set_only_if_the_account_has_not_changed(victim: User, change: dict[str, Any]) -> None:
    stale = User.objects.get(pk=victim.pk)
    User.objects.filter(pk=victim.pk).update(**change)
    for replace in (passwords.change_password, passwords.reset_password):
        with pytest.raises(NotAuthenticated):
            replace(actor=OWNER, user=stale, password=OWNERS)
    assert User.objects.get(pk=victim.pk).check_password(PASSWORD)


def test_a_link_verifies_nothing_after_the_primary_address_has_changed(
    victim: User, mails: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    EmailAddress.objects.create(user=victim, email=MINE, verified=True, primary=False)
    choose = open_link(mails)
    switch = partial(make_address_primary, actor=OWNER, user=victim, email=MINE)
    just_before(monkeypatch, "reset_password", switch)
    assert DEAD in choose().content.decode()
    assert not EmailAddress.objects.filter(email=VICTIM, verified=True).exists()
    assert User.objects.get(pk=victim.pk).check_password(PASSWORD)
    expect(201, Api().post("/users/register", {"email": VICTIM, "password": OWNERS}))


def test_a_link_used_twice_at_once_sets_one_password(
    victim: User, mails: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    choose = open_link(mails)
    first = User.objects.get(pk=victim.pk)
    service = passwords.reset_password
    just_before(monkeypatch, "reset_password", lambda: service(actor=OWNER, user=first, password=STRANGERS))
    assert DEAD in choose().content.decode()
    assert (signs_in(OWNERS), signs_in(STRANGERS)) == (False, True)


@pytest.mark.parametrize("surface", ["browser", "api"])
def test_a_sign_in_with_the_old_password_does_not_end_the_owners_link(
    victim: User, mails: list[Any], surface: str
) -> None:
    mails.clear()
    owner = Client()
    owner.post("/accounts/password/reset/", {"email": VICTIM})
    if surface == "browser":
        assert Client().post("/accounts/login/", {"login": VICTIM, "password": PASSWORD}).status_code == 302
    else:
        assert signs_in(PASSWORD)
    EmailAddress.objects.create(user=victim, email=MINE, verified=True, primary=False)
    assert DEAD not in owner.get(link_in(mails[-1]), follow=True).content.decode()


def test_a_change_of_password_or_primary_address_ends_a_link(victim: User, mails: list[Any]) -> None:
    for field, value in (("email", MINE), ("password", "changed")):
        mails.clear()
        Client().post("/accounts/password/reset/", {"email": VICTIM})
        User.objects.filter(pk=victim.pk).update(**{field: value})
        assert DEAD in Client().get(link_in(mails[-1]), follow=True).content.decode()
        User.objects.filter(pk=victim.pk).update(email=VICTIM)


def test_rehashing_an_old_password_does_not_restore_it(victim: User, monkeypatch: pytest.MonkeyPatch) -> None:
    stale = User.objects.get(pk=victim.pk)
    passwords.reset_password(actor=OWNER, user=victim, password=OWNERS)
    monkeypatch.setattr(Argon2PasswordHasher, "must_update", lambda *args: True)
    assert stale.check_password(PASSWORD)
    assert (signs_in(OWNERS), signs_in(PASSWORD)) == (True, False)


@pytest.mark.django_db(transaction=True)
def test_approvals_that_race_with_the_reset_leave_no_live_consent() -> None:
    agent = make_agent(make_developer("dev@example.com", "Acme"))
    Api().post("/users/register", {"email": VICTIM, "password": PASSWORD})
    stale = User.objects.get(email=VICTIM)
    asked = [ask(agent) for _ in range(8)]
    allow(ask(agent), stale)
    approvals = [partial(approve_consent, actor=OWNER, consent=consent, user=stale) for consent in asked]

    def reset_password() -> None:
        passwords.reset_password(actor=OWNER, user=User.objects.get(email=VICTIM), password=OWNERS)

    race([reset_password, *approvals])

    assert not Consent.objects.filter(user=stale, status=Consent.Status.APPROVED).exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("first", ["reset_password", "change_password", None])
def test_changes_that_race_with_the_reset_never_outlive_it(
    settings: Any, mails: list[Any], monkeypatch: pytest.MonkeyPatch, first: str | None
) -> None:
    settings.THROTTLE_SIGN_IN = settings.THROTTLE_REGISTRATION = "1000/minute"
    expect(201, Api().post("/users/register", {"email": VICTIM, "password": PASSWORD}))
    for _ in range(ROUNDS):
        browsers = [Client() for _ in range(3)]
        for browser in browsers:
            browser.post("/accounts/login/", {"login": VICTIM, "password": PASSWORD})
        choose = open_link(mails)
        changes = [partial(browser.post, "/accounts/password/change/", CHANGE) for browser in browsers]
        with monkeypatch.context() as patch:
            meet_at_the_services(patch, contestants=4, first=first)
            answers = race([choose, *changes])
        is_reset = DEAD not in answers[0].content.decode()
        assert is_reset is (first == "reset_password") or first is None
        if is_reset:
            assert (signs_in(OWNERS), signs_in(STRANGERS)) == (True, False)
            assert all(browser.get("/connections").status_code == 302 for browser in browsers)
        else:
            assert not EmailAddress.objects.filter(email=VICTIM, verified=True).exists()
            assert (signs_in(OWNERS), signs_in(STRANGERS)) == (False, True)
        start_again()


def meet_at_the_services(patch: pytest.MonkeyPatch, *, contestants: int, first: str | None) -> None:
    """Hold every request that has passed its form's checks until all have, then let them change the password.

    One call of the service `first` locks the account before any other request begins its transaction, and commits while
    they wait for it. Without `first`, the lock decides.
    """
    everyone, calls, winner = threading.Barrier(contestants, timeout=30), itertools.count(), threading.local()
    hold_account = passwords.hold_account

    def hold(user: User) -> User:
        held = hold_account(user)
        if getattr(winner, "is_here", False):
            everyone.wait()
            time.sleep(0.2)
        return held

    def meet(name: str, service: Callable[..., None], **arguments: Any) -> None:
        winner.is_here = name == first and next(calls) == 0
        everyone.wait()
        if first and not winner.is_here:
            everyone.wait()
        service(**arguments)

    patch.setattr(passwords, "hold_account", hold)
    for name in ("reset_password", "change_password"):
        patch.setattr(passwords, name, partial(meet, name, getattr(passwords, name)))


def start_again() -> None:
    """Return the account to its state just after the stranger registered it."""
    user = User.objects.get(email=VICTIM)
    user.set_password(PASSWORD)
    user.save(update_fields=["password"])
    EmailAddress.objects.filter(user=user).update(verified=False)
