"""After an erasure, nothing that can be read names the person, and everything that they allowed has ended."""

import re
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from django.contrib.sessions.backends.base import UpdateError
from django.core import mail
from django.db import transaction
from django.test import override_settings

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
from core.actor import SYSTEM, Actor
from core.errors import NotAuthenticated
from developers.models import Developer, Organization
from tests.administration.world import sign_in
from tests.api.conftest import Api, Json, credentials, expect, verify
from tests.api.erased_life import (
    BROWSER_IP,
    CONTEXT_IP,
    EMAIL,
    NAME,
    OTHERS,
    OTHERS_BROWSER,
    RESOURCE,
    TEXT,
    THROTTLES,
    TRACES,
    administrate,
    erase,
    make_life,
    traces,
)
from tests.api.test_evidence import body_of
from tests.audit.test_evidence import naive_root, signed_root
from tests.constants import CALLBACK, PASSWORD
from tests.dumps import readable_dump
from tests.verifier import ED25519, parse_key, verify_export
from tokens.models import TokenFamily


@pytest.fixture(scope="module")
def shared_life(developer: Api, agent: Json) -> Iterator[Json]:
    with pytest.MonkeyPatch.context() as patch, override_settings(**THROTTLES):
        patch.setattr(transaction, "on_commit", lambda work, using=None, robust=False: work())
        yield make_life(developer, agent, mail.outbox)


@pytest.fixture
def life(shared_life: Json, db: None) -> Json:
    return deepcopy(shared_life)


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
        *(Event.MEMBER_LEFT, Event.ORGANIZATION_SUSPENDED),
        *(Event.CONSENT_DENIED, Event.CONSENT_REVOKED, Event.CONSENT_REVOKED),
        *(Event.TOKEN_REVOKED, Event.TOKEN_REVOKED, Event.USER_ERASED),
    ]
    assert [entry.user_id for entry in entries if entry.event != Event.ORGANIZATION_SUSPENDED] == [life["user"]] * 7
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


def test_the_owner_is_notified_by_mail(life: Json, mails: list[Any]) -> None:
    erase(life)
    (mail,) = mails
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
