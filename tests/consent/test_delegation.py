"""To which agents an agent may hand work: chosen with an approval, kept by later ones, and lowered at any time."""

from datetime import timedelta
from typing import Any

import pytest

from accounts.errors import ReauthenticationRequired
from accounts.models import User
from accounts.tasks import mail_notices
from agents.models import Agent
from agents.registration import ClientMetadata, register_stock_client
from consent.connections import Choice
from consent.errors import ConnectionChanged, WouldWiden
from consent.granting import Granted, approve_consent, repeat_decision
from consent.models import Consent
from consent.narrowing import Narrowing, narrow_consent
from consent.selectors import connection_state
from core import clock
from core.errors import Invalid
from developers.models import Developer
from tests.constants import CALLBACK, CHALLENGE
from tests.log import log_entries, log_entry
from tests.shared import cases
from tests.world import ANONYMOUS, as_user, ask, make_agent

pytestmark = pytest.mark.django_db

READ, CHARGE, DELEGATE = "email:read", "payments:charge", "agents:delegate"


@pytest.fixture
def agent(developer: Developer) -> Agent:
    return make_agent(developer, allowed_scopes=[READ, CHARGE, DELEGATE])


@pytest.fixture
def stock() -> Agent:
    metadata = ClientMetadata(name="Inspector", redirect_uris=[CALLBACK], auth_method=Agent.AuthMethod.POST)
    return register_stock_client(actor=ANONYMOUS, metadata=metadata).agent


def grant(agent: Agent, user: User, *scopes: str, recently: bool = True, **choice: Any) -> Granted:
    asked = ask(agent, scopes=list(scopes), code_challenge=CHALLENGE)
    now = clock.now() if recently else None
    return approve_consent(actor=as_user(user), consent=asked, user=user, choice=Choice(**choice), signed_in_at=now)


def narrow(consent: Consent, user: User, **changes: Any) -> Consent:
    return narrow_consent(actor=as_user(user), user=user, consent=consent, narrowing=Narrowing(**changes))


def metadata(event: str) -> dict[str, Any]:
    newest = log_entries(event=event).first()
    assert newest is not None
    return log_entry(newest.pk).content["metadata"]


@cases(
    "scopes, said, mode",
    [
        ([READ], None, "none"),
        ([READ, DELEGATE], None, "developer"),
        ([READ, DELEGATE], "none", "none"),
        ([READ, DELEGATE], "verified", "verified"),
        ([READ], "developer", "developer"),
    ],
)
def test_a_first_approval_says_or_implies_it(
    agent: Agent, ada: User, scopes: list[str], said: str | None, mode: str
) -> None:
    assert grant(agent, ada, *scopes, delegation=said).consent.delegation == mode
    before_and_after = None if mode == "none" else {"before": "none", "after": mode}
    assert metadata("consent.approved").get("delegation") == before_and_after


@cases(
    "before, said, scopes, removed, mode",
    [
        ("verified", None, [READ], [], "verified"),
        ("verified", None, [READ, DELEGATE], [], "verified"),
        ("none", None, [READ, DELEGATE], [], "none"),
        ("verified", "developer", [READ], [], "developer"),
        ("none", "developer", [READ], [], "developer"),
        ("verified", None, [READ, DELEGATE], [DELEGATE], "none"),
    ],
)
def test_a_later_approval_keeps_it_unless_the_user_says_more(
    agent: Agent, ada: User, before: str, said: str | None, scopes: list[str], removed: list[str], mode: str
) -> None:
    """The connection has the scope, with the mode that the user chose for it."""
    grant(agent, ada, READ, DELEGATE, delegation=before)
    kept = [scope for scope in scopes if scope not in removed]
    assert grant(agent, ada, *scopes, scopes=kept, delegation=said).consent.delegation == mode


def test_a_new_connection_begins_with_none(agent: Agent, ada: User) -> None:
    """What an earlier one allowed does not return when it has ended."""
    earlier = grant(agent, ada, READ, delegation="verified").consent
    Consent.objects.filter(pk=earlier.pk).update(expires_at=clock.now() - timedelta(seconds=1))
    assert grant(agent, ada, READ).consent.delegation == "none"


def test_a_wider_mode_widens_each_scope(agent: Agent, ada: User) -> None:
    """So it takes a recent sign-in if a critical scope can be handed on."""
    grant(agent, ada, READ, CHARGE, delegation="developer")
    for said in ("none", "developer", None):
        grant(agent, ada, READ, recently=False, lifetime=None, delegation=said)
        grant(agent, ada, READ, lifetime=None, delegation="developer")
    with pytest.raises(ReauthenticationRequired):
        grant(agent, ada, READ, recently=False, lifetime=None, delegation="verified")


def test_a_wider_mode_is_mailed(agent: Agent, ada: User, mailoutbox: list[Any]) -> None:
    for said, receivers in (
        (None, None),
        ("developer", "other agents of Acme"),
        ("verified", "other agents of Acme, and agents of developers that AgentGate verified"),
    ):
        grant(agent, ada, READ, delegation=said)
        mail_notices()
        body = str(mailoutbox.pop().body)
        assert "- Read your email (Standard risk)\n" in body
        assert ("It may hand work to" in body) == (receivers is not None)
        assert receivers is None or f"It may hand work to: {receivers}\n" in body
    grant(agent, ada, READ, delegation="none")
    assert mail_notices() == 0


def test_a_stock_client_hands_nothing_on(stock: Agent, ada: User) -> None:
    for said in ("developer", "verified"):
        with pytest.raises(Invalid) as refused:
            grant(stock, ada, READ, delegation=said)
        assert [error.field for error in refused.value.errors] == ["delegation"]
    for said in (None, "none"):
        assert grant(stock, ada, READ, DELEGATE, delegation=said).consent.delegation == "none"


def test_a_page_shown_before_a_change_is_refused(agent: Agent, ada: User) -> None:
    consent = grant(agent, ada, READ, delegation="developer").consent
    shown = connection_state(consent)
    narrow(consent, ada, delegation="none")
    with pytest.raises(ConnectionChanged):
        grant(agent, ada, READ, shown_state=shown, delegation="developer")


def test_a_double_click_is_the_same_decision_only_with_the_same_mode(agent: Agent, ada: User) -> None:
    granted = grant(agent, ada, READ, delegation="developer")
    clicked = Choice(scopes=[READ], is_whole=True, delegation="developer")
    assert repeat_decision(consent=granted.consent, user=ada, choice=clicked) == granted.redirect_url
    other = Choice(scopes=[READ], is_whole=True, delegation="verified")
    assert repeat_decision(consent=granted.consent, user=ada, choice=other) is None


def test_a_narrowing_only_lowers_it(agent: Agent, ada: User) -> None:
    consent = grant(agent, ada, READ, DELEGATE, delegation="verified").consent
    assert narrow(consent, ada, delegation="developer").delegation == "developer"
    assert metadata("consent.narrowed")["before"]["delegation"] == "verified"
    assert metadata("consent.narrowed")["after"]["delegation"] == "developer"
    with pytest.raises(WouldWiden) as refused:
        narrow(consent, ada, delegation="verified")
    assert [error.field for error in refused.value.errors] == ["delegation"]
    assert narrow(consent, ada, lifetime=timedelta(hours=1)).delegation == "developer"
    assert narrow(consent, ada, delegation="developer", remove_scopes=[DELEGATE]).delegation == "none"
    assert Consent.objects.get(pk=consent.pk).delegation == "none"
