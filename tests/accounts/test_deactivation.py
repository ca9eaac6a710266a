"""A deactivation ends sessions of browsers and of the API for good: a reactivation does not bring them back."""

import pytest
from django.contrib.sessions.backends.base import UpdateError
from django.test import Client

from accounts.models import BrowserSession, SessionToken, User
from accounts.services import deactivate_user, open_session, reactivate_user
from accounts.sessions import SessionStore
from core.actor import SYSTEM
from tests.world import ANONYMOUS, make_user, sign_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada() -> User:
    return make_user("ada@example.com")


def test_sessions_end_and_do_not_come_back(ada: User) -> None:
    browser, others = sign_in(ada), sign_in(make_user("bob@example.com"))
    token = open_session(actor=ANONYMOUS, user=ada).token
    program = Client(headers={"Authorization": f"Bearer {token}"})
    assert browser.get("/account").status_code == 200

    deactivate_user(actor=SYSTEM, user=ada, reason="Stolen.")

    assert not BrowserSession.objects.filter(user_id=ada.id).exists()
    assert not SessionToken.objects.filter(user=ada).exists()
    reactivate_user(actor=SYSTEM, user=ada, reason="Cleared.")
    assert browser.get("/account").status_code == 302
    assert program.get("/api/v1/users/me/consents").status_code == 401
    assert others.get("/account").status_code == 200


def test_a_sign_in_in_progress_leaves_no_session(ada: User) -> None:
    """The session's row gets its user when it is saved, after the deactivation has looked for the user's rows."""
    store = SessionStore()
    store.create()
    store["_auth_user_id"] = ada.id
    deactivate_user(actor=SYSTEM, user=ada, reason="Stolen.")

    with pytest.raises(UpdateError):
        store.save()

    assert not BrowserSession.objects.filter(user_id=ada.id).exists()
