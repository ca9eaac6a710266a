"""A narrowing beside decisions, approvals, revocations, exchanges and other narrowings."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from accounts.models import User
from agents.models import Agent
from approvals.models import Approval
from approvals.selectors import approval_for_user
from approvals.services import approve_approval
from consent.connections import Choice
from consent.errors import ConnectionChanged, ConsentAlreadyDecided
from consent.granting import Granted, approve_consent
from consent.models import Consent
from consent.narrowing import Narrowing, narrow_consent
from consent.selectors import connection_state
from consent.services import revoke_consent
from consent.terms import GivenTerms
from core.errors import Invalid
from decisions.requests import VerifyRequest
from decisions.services import decide
from tests.log import log_entries
from tests.threads import race, rounds
from tests.world import ANONYMOUS, Grant, allow, as_user, ask, make_grant
from tokens.exchange import exchange_code
from tokens.issuing import IssuedTokens
from tokens.refresh import refresh_tokens

pytestmark = pytest.mark.django_db(transaction=True)
SCOPES = ["email:read", "email:send"]
RATE = {"type": "rate_limit", "config": {"maxRequests": 9, "windowSeconds": 60, "scope": "per_user"}}


@pytest.fixture
def grant() -> Grant:
    return make_grant(scopes=SCOPES)


def narrowing(grant: Grant, **changes: Any) -> Callable[[], Any]:
    def act() -> Consent:
        consent = Consent.objects.get(pk=grant.consent.pk)
        return narrow_consent(
            actor=as_user(grant.user), user=grant.user, consent=consent, narrowing=Narrowing(**changes)
        )

    return act


def deciding(token: str, scope: str = "email:send") -> Callable[[], Any]:
    return lambda: decide([VerifyRequest(token=token, required_scopes=(scope,), actor=ANONYMOUS)])[0]


def sending(token: str, text: str = "hello") -> Callable[[], Any]:
    context = {"recipient": "bob@corp.example", "text": text}
    request = VerifyRequest(token=token, required_scopes=("email:send",), actor=ANONYMOUS, context=context)
    return lambda: decide([request])[0]


def approving_for_a_day(user: User, approval_id: str) -> Callable[[], Any]:
    def act() -> Approval:
        found = approval_for_user(user, approval_id)
        terms = {"for_target": True, "expires_in_seconds": 86_400}
        return approve_approval(actor=as_user(user), approval=found, user=user, signed_in_at=None, **terms)

    return act


def approving(agent: Agent, user: User, *scopes: str) -> Callable[[], Any]:
    pending = ask(agent, scopes=list(scopes))
    return lambda: allow(Consent.objects.select_related("agent__organization").get(pk=pending.pk), user)


def live_consent(user: User) -> Consent:
    return Consent.objects.get(user=user, status=Consent.Status.APPROVED)


@rounds(6)
def test_no_decision_after_it_uses_the_removed_scope(grant: Grant, number: int) -> None:
    """In the log, no allowed use of the scope comes after the narrowing."""
    remove = narrowing(grant, remove_scopes=["email:send"])
    decisions = race([remove, *[deciding(grant.access_token)] * 4])[1:]
    assert {decision.reason for decision in decisions} <= {None, "insufficient_scope"}
    assert deciding(grant.access_token)().reason == "insufficient_scope"
    (narrowed,) = log_entries(event="consent.narrowed")
    uses = log_entries(event="token.verify", outcome="allowed")
    assert all(use.leaf_index < narrowed.leaf_index for use in uses)


@rounds(6)
def test_two_narrowings_both_hold(grant: Grant, number: int) -> None:
    asking = narrowing(grant, terms=GivenTerms(modes={"email:read": "ask"}))
    limiting = narrowing(grant, terms=GivenTerms(limits={"email:read": [RATE]}, guards={"data_flow": "deny"}))
    race([asking, limiting, narrowing(grant, remove_scopes=["email:send"])])
    consent = live_consent(grant.user)
    assert consent.granted_scopes == ["email:read"]
    assert consent.terms == {
        "modes": {"email:read": "ask"},
        "limits": {"email:read": [RATE]},
        "guards": {"data_flow": "deny"},
    }
    assert log_entries(event="consent.narrowed").count() == 3


@rounds(6)
def test_a_renewal_that_says_nothing_keeps_it(grant: Grant, number: int) -> None:
    """Whichever is first, the connection asks afterwards, and its limit holds."""
    tighten = narrowing(grant, terms=GivenTerms(modes={"email:send": "ask"}, limits={"email:send": [RATE]}))
    race([approving(grant.agent, grant.user, "profile:read"), tighten])
    consent = live_consent(grant.user)
    assert set(consent.granted_scopes) == {*SCOPES, "profile:read"}
    assert consent.terms == {"modes": {"email:send": "ask"}, "limits": {"email:send": [RATE]}}


@rounds(6)
def test_a_page_that_allows_without_asking_keeps_it(grant: Grant, number: int) -> None:
    """The narrowing is first, and the page is refused, or it narrows what the page has granted."""
    choice = Choice(
        scopes=SCOPES,
        is_whole=True,
        shown_state=connection_state(live_consent(grant.user)),
        terms=GivenTerms(modes={"email:send": "allow"}),
    )
    pending = ask(grant.agent, scopes=SCOPES)
    tighten = narrowing(grant, terms=GivenTerms(modes={"email:send": "ask"}))
    approve = lambda: approve_consent(actor=ANONYMOUS, consent=pending, user=grant.user, choice=choice)  # noqa: E731
    approved, _ = race([approve, tighten])
    assert isinstance(approved, Granted | ConnectionChanged)
    assert live_consent(grant.user).terms == {"modes": {"email:send": "ask"}}


@rounds(6)
def test_a_renewal_of_other_scopes_does_not_return_a_removed_one(grant: Grant, number: int) -> None:
    race([approving(grant.agent, grant.user, "profile:read"), narrowing(grant, remove_scopes=["email:send"])])
    assert "email:send" not in live_consent(grant.user).granted_scopes
    allow(ask(grant.agent, scopes=["email:send"]), grant.user)
    assert deciding(grant.access_token)().reason == "insufficient_scope"


@rounds(6)
def test_after_a_revocation_nothing_is_live(grant: Grant, number: int) -> None:
    tighten = narrowing(grant, terms=GivenTerms(modes={"email:send": "ask"}))
    revoke = lambda: revoke_consent(actor=ANONYMOUS, consent=grant.consent)  # noqa: E731
    narrowed, _ = race([tighten, revoke])
    assert isinstance(narrowed, Consent | ConsentAlreadyDecided)
    assert Consent.objects.get(pk=grant.consent.pk).status == "revoked"
    assert deciding(grant.access_token)().reason == "consent_revoked"


@rounds(6)
def test_a_code_that_is_redeemed_meanwhile_loses_the_scope_for_good(number: int) -> None:
    grant = make_grant(scopes=SCOPES)
    pending = ask(grant.agent, scopes=SCOPES)
    code = approve_consent(actor=as_user(grant.user), consent=pending, user=grant.user).code
    exchange = lambda: exchange_code(actor=ANONYMOUS, agent=grant.agent, code=code)  # noqa: E731
    _, issued = race([narrowing(grant, remove_scopes=["email:send"]), exchange])
    assert isinstance(issued, IssuedTokens)
    allow(ask(grant.agent, scopes=["email:send"]), grant.user)
    assert deciding(issued.access_token)().reason == "insufficient_scope"
    assert deciding(issued.access_token, "email:read")().allowed


@rounds(6)
def test_a_refresh_meanwhile_works_without_the_scope(grant: Grant, number: int) -> None:
    refresh = lambda: refresh_tokens(  # noqa: E731
        actor=ANONYMOUS, agent=grant.agent, refresh_token=grant.refresh_token
    )
    _, renewed = race([narrowing(grant, remove_scopes=["email:send"]), refresh])
    assert isinstance(renewed, IssuedTokens)
    assert deciding(renewed.access_token)().reason == "insufficient_scope"
    assert deciding(renewed.access_token, "email:read")().allowed


@rounds(6)
def test_no_approval_for_a_time_survives_it(grant: Grant, number: int) -> None:
    """Either the narrowing ends the approval, or the approval comes later and would outlive the connection."""
    narrowing(grant, terms=GivenTerms(modes={"email:send": "ask"}))()
    asked = sending(grant.access_token)()
    tighten = narrowing(grant, terms=GivenTerms(limits={"email:send": [RATE]}), lifetime=timedelta(hours=2))
    others = [sending(grant.access_token, f"text {each}") for each in range(3)]
    approved, narrowed, *_ = race([approving_for_a_day(grant.user, asked.approval_id), tighten, *others])
    assert isinstance(narrowed, Consent)
    status = Approval.objects.get(pk=asked.approval_id).status
    assert status == ("pending" if isinstance(approved, Invalid) else "expired")
    assert sending(grant.access_token, "later")().reason == "approval_required"


def test_all_reasons_are_known_to_the_decisions_that_are_at_once(grant: Grant) -> None:
    """When several decisions at once ask for the same reason, one creates the request and the others find it."""
    narrowing(grant, terms=GivenTerms(guards={"data_flow": "ask"}))()
    assert deciding(grant.access_token, "email:read")().allowed
    first = sending(grant.access_token)().approval_id
    narrowing(grant, terms=GivenTerms(modes={"email:send": "ask"}))()
    found = {decision.approval_id for decision in race([sending(grant.access_token)] * 4)}
    assert len(found - {first}) == len(found) == 1
