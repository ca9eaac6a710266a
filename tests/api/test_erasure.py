"""After an erasure, nothing that can be read names the person, and everything that they allowed has ended."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.sessions.backends.base import UpdateError
from django.test import Client

from accounts.erasure import erase_user
from accounts.errors import AdministratorAccount
from accounts.models import AddressCode, BrowserSession, KnownAddress, PendingRegistration, SessionToken, User
from accounts.services import reactivate_user
from audit.events import Event
from audit.models import Entry, Journal
from audit.proof import exports
from audit.sequencing import sequencer
from audit.sequencing.log import leaf_of
from audit.signing.checkpoints import latest
from consent.models import Consent
from consent.services import revoke_consent
from core.actor import SYSTEM, Actor
from core.errors import NotAuthenticated
from developers.models import Developer, Organization
from server.old_rows import purge_old_rows
from tests.administration.world import sign_in
from tests.api.conftest import Api, Json, code_for, credentials, expect, new_agent, tokens_for, verify
from tests.api.test_evidence import body_of
from tests.audit.test_evidence import naive_root, signed_root
from tests.constants import CALLBACK, PASSWORD
from tests.dumps import files, readable_dump
from tests.mails import code_in
from tests.verifier import ED25519, parse_key, verify_export
from tokens.models import TokenFamily

pytestmark = pytest.mark.django_db(transaction=True)

EMAIL, SECOND, NAME = "zoraida@home.example", "zoraida.second@home.example", "Zoraida Quux"
BROWSER_IP, CONTEXT_IP, BROWSER = "198.51.100.77", "192.0.2.201", "ZoraidasBrowser/7.1"
RESOURCE, TEXT, REASON, STATE = "https://mail.example/zoraida-inbox", "Dinner with Ferenc", "Help Zoraida", "zstate-17"
REQUEST = "trace-of-z.kodaly"
ACCOUNT = "NL02ABNA0123456789"
TRACES = (
    EMAIL,
    SECOND,
    NAME,
    BROWSER_IP,
    CONTEXT_IP,
    BROWSER,
    RESOURCE,
    TEXT,
    REASON,
    STATE,
    "Zoraida",
    "zoraida",
    REQUEST,
    ACCOUNT,
)
OTHERS, OTHERS_BROWSER = "203.0.113.99", "RootsBrowser/9"  # of an administrator
HOME = {"REMOTE_ADDR": BROWSER_IP, "HTTP_USER_AGENT": BROWSER}


class Home(Api):
    """A client for the API at the person's address."""

    def __init__(self, **headers: str) -> None:
        super().__init__(**headers)
        self.client = Client(**HOME)  # type: ignore[arg-type]


@pytest.fixture
def life(settings: Any, mailoutbox: list[Any], developer: Api, agent: Json) -> Json:
    """Return what is left of a person who has used everything: an account, a connection, and an organization."""
    settings.REQUIRE_VERIFIED_EMAIL = True
    settings.THROTTLE_SIGN_IN = settings.THROTTLE_REGISTRATION = settings.THROTTLE_INITIATE = "1000/minute"
    anonymous = Home()
    body = {"email": EMAIL, "password": PASSWORD, "name": NAME}
    expect(202, anonymous.post("/users/register", body))
    code = code_in(mailoutbox[-1])
    user = expect(201, anonymous.post("/users/register/confirm", {"email": EMAIL, "code": code}, Idempotency_Key="1"))
    session = expect(200, anonymous.post("/users/login", {"email": EMAIL, "password": PASSWORD}, Idempotency_Key="2"))
    expect(401, anonymous.post("/users/login", {"email": EMAIL, "password": "wrong"}))
    expect(202, anonymous.post("/users/register", body))  # of a taken address, never confirmed
    settings.REQUIRE_VERIFIED_EMAIL = False
    person = Home(Authorization=f"Bearer {session['sessionToken']}", X_Request_Id=REQUEST)
    return {
        "user": user["id"],
        "person": person,
        "browser": _use_browser(mailoutbox),
        "tokens": _connect(agent, person, user["id"]),
        "own": _develop(),
        "code": code_for(new_agent(developer, name="Other"), person),
    }


def _use_browser(mails: list[Any]) -> Client:
    """Sign in, add an address, ask for another one, and change the password back and forth."""
    browser = Client(**HOME)  # type: ignore[arg-type]
    assert browser.post("/accounts/login/", {"login": EMAIL, "password": PASSWORD}).status_code == 302
    browser.post("/accounts/email/", {"email": SECOND, "action_add": ""})
    browser.post("/accounts/email/confirm/", {"code": code_in(mails[-1])})
    browser.post("/accounts/email/", {"email": f"third.{EMAIL}", "action_add": ""})
    assert AddressCode.objects.filter(email=f"third.{EMAIL}").exists()
    abandoned = Client(**HOME)  # type: ignore[arg-type]
    assert abandoned.post("/accounts/login/", {"login": EMAIL, "password": PASSWORD}).status_code == 302
    return browser


def _connect(agent: Json, person: Api, user_id: str) -> Json:
    """Decide requests, leave one undecided, and let the agent act."""
    request = {"clientId": agent["clientId"], "requestedScopes": ["email:read"], "redirectUri": CALLBACK}
    request |= {"reason": REASON, "state": STATE, "userId": user_id}
    request |= {"authorizationDetails": [{"type": "account", "identifiers": [ACCOUNT]}]}
    for decision in ("deny", "approve", None):
        consent_id = expect(201, Home().post("/consent/initiate", request))["consentId"]
        if decision:
            expect(200, person.post(f"/consent/{consent_id}/{decision}"))
    tokens = tokens_for(agent, person, reason=REASON, state=STATE)
    context = {"ip": CONTEXT_IP, "text": TEXT, "amount": {"value": "12.50", "currency": "EUR"}, "target": ACCOUNT}
    for scope in ("email:read", "payments:charge"):
        verify(tokens["accessToken"], scope, resource=RESOURCE, context=context)
    for path in (f"/users/me/consents/{tokens['consentId']}", "/users/me/agents"):
        assert expect(200, person.post(f"{path}/pause", {"reason": REASON}))["pausedAt"]
        assert expect(200, person.get(f"{path}/stop"))["proof"]["reason"] == REASON
        expect(200, person.post(f"{path}/resume"))
    body = {"refreshToken": tokens["refreshToken"], **credentials(agent)}
    return expect(200, Home().post("/tokens/refresh", body, Idempotency_Key="3"))


def _develop() -> Json:
    """Become a developer whose organization has the person's name, and register an agent."""
    body = {"email": EMAIL, "password": PASSWORD, "name": NAME}
    developer = expect(201, Home().post("/developers/register", body))
    return {**developer, "agent": new_agent(Home(X_Api_Key=developer["apiKey"]), name="Own agent")}


def erase(life: Json) -> bool:
    return erase_user(actor=SYSTEM, user=User.objects.get(pk=life["user"]))


def traces() -> list[str]:
    """Return what names the person, with its surroundings."""
    dump = readable_dump()
    return [f"{trace}: {dump[at - 60 : at + 60]!r}" for trace in TRACES if (at := dump.find(trace.encode())) >= 0]


def administrate(life: Json) -> None:
    """Let an administrator revoke one of the person's connections, and leave a row of Django's own history.

    Earlier versions wrote such rows.
    """
    administrator = User.objects.create_superuser("root@example.com", PASSWORD)
    LogEntry.objects.create(user=administrator, object_id=life["user"], object_repr=EMAIL, action_flag=CHANGE)
    actor = Actor("administrator", administrator.id, ip=OTHERS, user_agent=OTHERS_BROWSER, request_id="trace-of-root")
    consent = Consent.objects.get(status=Consent.Status.APPROVED, agent__name="Other")
    revoke_consent(actor=actor, consent=consent, reason=f"{NAME} called.")


@pytest.mark.parametrize("is_logged", [True, False], ids=["from the log", "from the journal"])
def test_nothing_that_can_be_read_names_the_person_afterwards(life: Json, is_logged: bool) -> None:
    administrate(life)
    if is_logged:
        sequencer.sequence()
    before = readable_dump()
    assert [trace for trace in TRACES if trace.encode() not in before] == []

    assert erase(life)
    sequencer.sequence()

    assert traces() == []


@pytest.mark.alone
def test_no_file_of_the_database_names_the_person_once_old_rows_are_purged(life: Json) -> None:
    administrate(life)
    sequencer.sequence()
    assert EMAIL.encode() in files()

    assert erase(life)
    sequencer.sequence()
    assert purge_old_rows() == []

    found = files()
    assert [trace for trace in TRACES if trace.encode() in found] == []


@pytest.mark.parametrize("is_logged", [True, False], ids=["from the log", "from the journal"])
def test_nothing_names_an_administrator_who_was_erased(life: Json, is_logged: bool) -> None:
    """The reason that the administrator typed belongs to the user whom it is about, and the user is not erased."""
    administrate(life)
    if is_logged:
        sequencer.sequence()
    User.objects.filter(email="root@example.com").update(is_staff=False, is_superuser=False)
    erase_user(actor=SYSTEM, user=User.objects.get(email="root@example.com"))
    sequencer.sequence()

    dump = readable_dump()
    for trace in (OTHERS, OTHERS_BROWSER, "trace-of-root", "root@example.com"):
        assert trace.encode() not in dump
    assert f"{NAME} called.".encode() in dump

    erase(life)
    sequencer.sequence()
    assert traces() == []


def test_the_proofs_still_verify(life: Json) -> None:
    sequencer.sequence()
    before = {entry.leaf_index: leaf_of(entry) for entry in Entry.objects.all()}
    note = latest()
    erase(life)
    sequencer.sequence()

    leaves = [leaf_of(entry) for entry in Entry.objects.order_by("leaf_index")]
    assert note is not None
    assert signed_root(note.note) == (len(before), naive_root(leaves[: len(before)]))
    assert {index: leaves[index] for index in before} == before
    newest = latest()
    assert newest is not None
    assert signed_root(newest.note) == (len(leaves), naive_root(leaves))


def test_everything_that_the_person_allowed_has_ended(life: Json, agent: Json) -> None:
    erase(life)

    decision = verify(life["tokens"]["accessToken"])
    assert (decision["allowed"], decision["reason"]) == (False, "token_revoked")
    body = {"refreshToken": life["tokens"]["refreshToken"], **credentials(agent)}
    assert Api().post("/tokens/refresh", body).json()["code"] == "invalid_grant"
    statuses = Consent.objects.filter(user_id=life["user"]).values_list("status", flat=True)
    assert sorted(set(statuses)) == ["denied", "replaced", "revoked"]
    assert not TokenFamily.objects.filter(user_id=life["user"], revoked_at=None).exists()
    owned = (SessionToken, KnownAddress, AddressCode)
    assert not any(model._default_manager.filter(user_id=life["user"]).exists() for model in owned)
    assert not BrowserSession.objects.filter(user_id=life["user"]).exists()
    assert not PendingRegistration.objects.filter(email=EMAIL).exists()


def test_neither_session_nor_password_works_afterwards(life: Json) -> None:
    erase(life)

    expect(401, life["person"].get("/users/me/consents"))
    assert life["browser"].get("/account").status_code == 302
    expect(401, Api().post("/users/login", {"email": EMAIL, "password": PASSWORD}))
    user = User.objects.get(pk=life["user"])
    assert (user.name, user.is_active, user.last_login) == ("", False, None)
    assert re.fullmatch(r"[0-9a-f]{32}@erased\.invalid", user.email)
    assert not user.has_usable_password()


def test_the_address_can_be_registered_again_as_another_person(life: Json) -> None:
    erase(life)
    body = {"email": EMAIL, "password": PASSWORD, "name": NAME}
    assert expect(201, Api().post("/users/register", body))["id"] != life["user"]


def test_the_log_says_what_ended_and_that_the_person_was_erased(life: Json) -> None:
    sequencer.sequence()
    size = Entry.objects.count()
    erase(life)
    sequencer.sequence()

    entries = list(Entry.objects.filter(leaf_index__gte=size).order_by("leaf_index"))
    assert [entry.event for entry in entries] == [
        *(Event.ORGANIZATION_SUSPENDED, Event.CONSENT_DENIED, Event.CONSENT_REVOKED, Event.CONSENT_REVOKED),
        *(Event.TOKEN_REVOKED, Event.USER_ERASED),
    ]
    assert [entry.user_id for entry in entries[1:]] == [life["user"]] * 5
    assert all(entry.sealed is None and entry.content["actor"] == {"kind": "system", "id": None} for entry in entries)


def test_what_is_logged_about_the_person_later_has_no_personal_data(life: Json) -> None:
    erase(life)
    decision = verify(life["tokens"]["accessToken"], resource=RESOURCE, context={"text": TEXT, "ip": CONTEXT_IP})
    sequencer.sequence()

    entry = Entry.objects.get(pk=decision["auditId"])
    assert entry.content["personal"]  # a commitment that nothing opens
    assert entry.sealed is None
    assert traces() == []


def test_an_organization_of_one_is_suspended_and_loses_the_persons_name(life: Json) -> None:
    erase(life)

    organization = Organization.objects.get(pk=life["own"]["organizationId"])
    assert organization.name == "Former developer"
    assert organization.suspension_reason == "Its only developer erased their account."
    expect(401, Api(X_Api_Key=life["own"]["apiKey"]).get("/agents"))
    body = {"clientId": life["own"]["agent"]["clientId"], "requestedScopes": ["email:read"], "redirectUri": CALLBACK}
    assert Api().post("/consent/initiate", body).json()["code"] == "organization_suspended"


def test_an_organization_with_other_developers_goes_on(life: Json) -> None:
    own = Organization.objects.get(pk=life["own"]["organizationId"])
    Organization.objects.filter(pk=own.pk).update(name="Zoraida Ltd")
    Developer.objects.filter(user__email="acme@example.com").update(organization=own)
    erase(life)

    own.refresh_from_db()
    assert (own.name, own.may_act) == ("Zoraida Ltd", True)  # not the full name
    expect(401, Api(X_Api_Key=life["own"]["apiKey"]).get("/agents"))


def test_erasing_again_writes_no_entry_and_erases_what_was_left_since(life: Json) -> None:
    erase(life)
    rows = Journal.objects.count()
    PendingRegistration.objects.all().delete()
    user = User.objects.get(pk=life["user"])
    KnownAddress.objects.create(user=user, digest="left", last_seen_at=user.erased_at)

    assert erase(life) is False
    assert Journal.objects.count() == rows
    assert not KnownAddress.objects.filter(user=user).exists()
    assert User.objects.get(pk=user.pk).email == user.email


def test_an_administrator_cannot_be_erased(life: Json) -> None:
    for rights in ({"is_staff": True}, {"is_superuser": True, "is_staff": False}):
        User.objects.filter(pk=life["user"]).update(**rights)
        with pytest.raises(AdministratorAccount):
            erase(life)
    user = User.objects.get(pk=life["user"])
    assert (user.email, user.is_active, user.erased_at) == (EMAIL, True, None)


def test_users_cannot_erase_an_account_whose_password_has_changed_since(life: Json) -> None:
    stale = User.objects.get(pk=life["user"])
    User.objects.filter(pk=stale.pk).update(password="another")
    with pytest.raises(NotAuthenticated):
        erase_user(actor=Actor("user", stale.id), user=stale)
    assert User.objects.get(pk=stale.pk).erased_at is None


def test_an_erased_user_is_never_reactivated_or_edited(life: Json) -> None:
    administrate(life)
    erase(life)
    user = User.objects.get(pk=life["user"])
    reactivate_user(actor=SYSTEM, user=user, reason="Asked for it.")
    site = sign_in(User.objects.get(email="root@example.com"))

    path, form = f"/admin/accounts/user/{user.pk}/edit/", {"is_staff": "on", "reason": "Asked for it."}
    assert site.post(path, form).status_code == 403
    form = {"action": "reactivate", "_selected_action": user.pk, "confirmed": "1", "reason": "Asked for it."}
    assert site.post("/admin/accounts/user/", form).status_code == 302
    user = User.objects.get(pk=user.pk)
    assert (user.name, user.is_active, user.is_staff) == ("", False, False)


def test_a_session_of_a_request_in_progress_is_not_saved(life: Json) -> None:
    browser = life["browser"]
    session = browser.session
    assert session["_auth_user_id"] == life["user"]
    erase(life)
    session["note"] = EMAIL
    with pytest.raises(UpdateError):
        session.save()
    assert not BrowserSession.objects.filter(session_key=session.session_key).exists()


def test_the_owner_is_notified_by_mail(life: Json, mailoutbox: list[Any]) -> None:
    mailoutbox.clear()
    erase(life)
    (mail,) = mailoutbox
    assert mail.to == [EMAIL]
    assert "Your account was erased" in mail.subject
    assert BROWSER_IP not in mail.body


def test_a_new_export_verifies_and_does_not_name_the_person(
    life: Json, developer: Api, anonymous: Api, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(exports, "pause", lambda seconds: sequencer.sequence())
    sequencer.sequence()
    assert RESOURCE.encode() in body_of(developer.get("/audit/export"))

    erase(life)
    body = body_of(developer.get("/audit/export"))

    assert [trace for trace in TRACES if trace.encode() in body] == []
    key = parse_key(body_of(anonymous.get("/audit/key")).decode(), ED25519)
    path = tmp_path / "export.jsonl"
    path.write_bytes(body)
    assert verify_export(path, key).entries > 10
