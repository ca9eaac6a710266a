"""What becomes of pauses when an account is reclaimed, erased, or deactivated for a while."""

import pytest

from accounts.erasure import erase_user
from accounts.models import User
from accounts.services import deactivate_user, reactivate_user
from audit.proof.stops import connection_level, person_level, prove_stop
from consent.errors import NotConnected, OthersPause
from consent.granting import approve_consent
from consent.models import Consent
from consent.pausing import pause_agent, pause_all_agents, paused_all_since, resume_agent, resume_all_agents
from core.actor import SYSTEM, Actor
from decisions.requests import VerifyRequest
from decisions.services import decide
from tests.shared import cases
from tests.world import ANONYMOUS, Grant, allow, as_user, ask, make_grant, make_user, reclaim
from tokens.exchange import exchange_code
from tokens.issuing import IssuedTokens

pytestmark = pytest.mark.django_db


@pytest.fixture
def paused() -> Grant:
    """A connection that is paused, of a user who pauses all agents, too."""
    grant = make_grant()
    pause_agent(actor=as_user(grant.user), consent=grant.consent, reason="It scares Ada.")
    pause_all_agents(actor=as_user(grant.user), user=grant.user, reason="All of them do.")
    return grant


def reason_for(token: str) -> str | None:
    (decision,) = decide([VerifyRequest(token=token, required_scopes=["email:read"], actor=ANONYMOUS)])
    return decision.reason


def connect_again(grant: Grant, user: User) -> str:
    """Return an access token of a new connection."""
    approved = approve_consent(actor=as_user(user), consent=ask(grant.agent, scopes=["email:read"]), user=user)
    issued = exchange_code(actor=ANONYMOUS, agent=grant.agent, code=approved.code)
    assert isinstance(issued, IssuedTokens)
    return issued.access_token


def test_the_owner_who_reclaims_the_account_decides_about_the_pause_of_all_agents(paused: Grant) -> None:
    """It denies more, so it stays. The pause of one agent ends with its connection."""
    reclaim(paused.user)
    owner = User.objects.get(pk=paused.user.pk)
    token = connect_again(paused, owner)

    assert reason_for(paused.access_token) == "token_revoked"
    assert reason_for(token) == "consent_paused"
    assert Consent.objects.get(status="approved").paused_at is None

    resume_all_agents(actor=as_user(owner), user=owner)
    assert reason_for(token) is None


def test_an_erasure_lifts_no_pause_and_erases_its_reason(paused: Grant) -> None:
    levels = [connection_level(paused.user.id, paused.agent.id), person_level(paused.user.id)]
    before = [prove_stop(level) for level in levels]
    assert [proof.reason for proof in before if proof] == ["It scares Ada.", "All of them do."]

    erase_user(actor=SYSTEM, user=paused.user)

    assert paused_all_since(paused.user) is not None
    assert reason_for(paused.access_token) == "token_revoked"
    after = [prove_stop(level) for level in levels]
    assert [proof.reason for proof in after if proof] == [None, None]
    assert [proof.entry_id for proof in after if proof] == [proof.entry_id for proof in before if proof]
    assert all(proof and proof.allowed_after == 0 for proof in after)


def test_a_reactivated_user_finds_the_pauses_as_they_were(paused: Grant) -> None:
    deactivate_user(actor=SYSTEM, user=paused.user, reason="Fraud.")
    reactivate_user(actor=SYSTEM, user=paused.user, reason="Cleared.")

    assert reason_for(paused.access_token) == "consent_paused"
    assert Consent.objects.get().paused_at is not None


@cases("kind", ["administrator", "developer", "system", "agent", "anonymous", "other user"])
def test_only_the_user_pauses_and_resumes(kind: str, paused: Grant) -> None:
    other = make_user("bob@example.com")
    actor = as_user(other) if kind == "other user" else Actor(kind, paused.user.id)  # type: ignore[arg-type]
    for act in (
        lambda: pause_agent(actor=actor, consent=paused.consent),
        lambda: resume_agent(actor=actor, consent=paused.consent, user=paused.user),
        lambda: pause_all_agents(actor=actor, user=paused.user),
        lambda: resume_all_agents(actor=actor, user=paused.user),
    ):
        with pytest.raises(OthersPause):
            act()

    assert paused_all_since(paused.user) is not None
    assert Consent.objects.get().paused_at is not None


def test_an_undecided_request_cannot_be_paused(paused: Grant) -> None:
    pending = ask(paused.agent)

    with pytest.raises(OthersPause):
        pause_agent(actor=as_user(paused.user), consent=pending)


def test_an_expired_connection_passes_on_no_pause(paused: Grant) -> None:
    """It has ended, as a revoked one. The user who allows the agent again does so anew."""
    Consent.objects.update(expires_at=paused.consent.created_at)
    with pytest.raises(NotConnected):
        resume_agent(actor=as_user(paused.user), consent=paused.consent, user=paused.user)

    assert allow(ask(paused.agent), paused.user).paused_at is None
