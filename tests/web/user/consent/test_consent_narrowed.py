"""A consent page that was opened before the user narrowed the connection does not undo the narrowing."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from consent.models import Consent
from consent.narrowing import Narrowing, narrow_consent
from consent.terms import GivenTerms
from tests.constants import PASSWORD
from tests.shared import cases
from tests.world import allow, as_user

SCOPES = ["email:read", "email:send"]
ASKING = Narrowing(terms=GivenTerms(modes={"email:send": "ask"}))
LOOSE = {"mode-email:send": "allow", "guard_offered": "yes", "guard": "ask"}


@pytest.fixture
def live(ask: Callable[..., Consent], ada: User) -> Consent:
    return allow(ask(scopes=SCOPES), ada)


def url(consent: Consent) -> str:
    return f"/consent/{consent.id}"


def opened(client: Client, consent: Consent, *scopes: str) -> dict[str, Any]:
    """Return the form of the page as it is now, with these scopes ticked and the least that it can bound them."""
    shown = client.get(url(consent)).context["connection_state"]
    return {"decision": "allow", "connection": shown, "scopes": scopes or SCOPES, **LOOSE}


def narrow(user: User, live: Consent, narrowing: Narrowing) -> None:
    narrow_consent(actor=as_user(user), user=user, consent=live, narrowing=narrowing)


@cases(
    "narrowing",
    [ASKING, Narrowing(terms=GivenTerms(guards={"data_flow": "deny"})), Narrowing(remove_scopes=["email:send"])],
    ids=["mode", "guard", "scope"],
)
def test_is_shown_again(
    as_ada: Client, ada: User, ask: Callable[..., Consent], live: Consent, narrowing: Narrowing
) -> None:
    consent = ask(scopes=SCOPES)
    form = opened(as_ada, consent)
    narrow(ada, live, narrowing)
    narrowed = Consent.objects.get(pk=live.pk)
    answer = as_ada.post(url(consent), form)
    assert answer.status_code == 409
    assert "has changed since you opened this page" in answer.content.decode()
    kept = Consent.objects.get(user=ada, status="approved")
    assert (kept.id, kept.terms, kept.granted_scopes) == (live.id, narrowed.terms, narrowed.granted_scopes)
    form["connection"] = answer.context["connection_state"]
    assert as_ada.post(url(consent), form).status_code == 303, "the user has now seen the narrowed connection"


def test_counts_if_nothing_has_changed(as_ada: Client, ada: User, ask: Callable[..., Consent], live: Consent) -> None:
    narrow(ada, live, ASKING)
    consent = ask(scopes=SCOPES)
    form = opened(as_ada, consent)
    narrow(ada, live, ASKING)
    first, second = (as_ada.post(url(consent), form) for _ in range(2))
    assert first.status_code == 303
    assert first["Location"] == second["Location"], "a double click is one decision"


def test_choices_kept_for_the_password_are_dropped(
    as_ada: Client, ada: User, ask: Callable[..., Consent], live: Consent
) -> None:
    consent = ask(scopes=["payments:charge"])
    answer = as_ada.post(url(consent), opened(as_ada, consent, *SCOPES, "payments:charge"))
    assert answer["Location"].startswith("/accounts/reauthenticate/")
    narrow(ada, live, ASKING)
    as_ada.post(answer["Location"], {"password": PASSWORD, "next": url(consent)})
    page = as_ada.get(url(consent)).content.decode()
    assert "Your choices are still selected below." not in page
    assert 'name="mode-email:send" value="ask" checked' in page
