"""Approvals of calls of agents that were handed the work: they name the chain, and end with what was handed on."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine

from agents.models import Agent
from approvals.errors import ConnectionInactive, SuggestionChanged
from approvals.history import read_history
from approvals.models import Approval
from approvals.selectors import approval_for_agent
from approvals.services import approve_approval
from approvals.standing_rules import accept_suggestion
from approvals.suggestions import MIN_EVIDENCE
from audit.events import Event
from consent.models import Consent
from core import clock
from core.errors import Invalid
from decisions.requests import Decision, Reason
from tests.approvals import make_approval
from tests.decisions.drivers import asking, bound, decide_on_django
from tests.log import log_entries
from tests.threads import race
from tests.world import ANONYMOUS, Grant, as_user, hand_over, let_delegate, make_agent, make_grant
from tokens.delegations import end_delegation
from tokens.families import end_family, family_of
from tokens.models import Delegation

pytestmark = pytest.mark.django_db

CONTEXT = {"verb": "send", "recipient": "bob@acme.com", "text": "Hello"}
SEND = ["email:send"]


@pytest.fixture
def grant() -> Grant:
    grant = make_grant(scopes=["email:read", "email:send"])
    bound(grant, modes={"email:send": "ask"})
    let_delegate(grant.access_token)
    return grant


@pytest.fixture
def helper(grant: Grant) -> Agent:
    assert grant.agent.organization is not None
    return make_agent(grant.agent.organization.developers.earliest("pk"), name="Summarizer")


@pytest.fixture
def handed(grant: Grant, helper: Agent) -> tuple[Delegation, str]:
    delegation, issued = hand_over(grant.access_token, helper, SEND)
    return delegation, issued.access_token


def send(token: str) -> Decision:
    (decision,) = decide_on_django(asking(token, "email:send", context=CONTEXT))
    return decision


def asked(token: str) -> Approval:
    return Approval.objects.get(pk=send(token).approval_id)


def approve(grant: Grant, approval: Approval, **more: Any) -> Approval:
    user = grant.user
    return approve_approval(actor=as_user(user), approval=approval, user=user, signed_in_at=clock.now(), **more)


def status_of(approval: Approval) -> str:
    return Approval.objects.get(pk=approval.pk).status_at(clock.now())


def test_it_names_the_chain_and_belongs_to_the_connection(grant: Grant, helper: Agent, handed: Any) -> None:
    delegation, token = handed
    approval = asked(token)
    assert approval.chain == [[grant.agent.id, None], [helper.id, delegation.id]]
    assert approval.consent == grant.consent
    assert approval_for_agent(helper, approval.id) == approval
    approve(grant, approval)
    (entry,) = [one for one in log_entries() if one.event == Event.APPROVAL_APPROVED]
    assert [link["agentId"] for link in entry.content["chain"]] == [grant.agent.id, helper.id]
    assert send(token).allowed
    assert send(token).reason is Reason.APPROVAL_REQUIRED


def test_a_request_that_was_not_handed_on_has_no_chain(grant: Grant) -> None:
    approval = asked(grant.access_token)
    assert Approval.objects.filter(chain__isnull=True).get() == approval


def test_it_can_only_be_approved_once(grant: Grant, handed: Any) -> None:
    _delegation, token = handed
    with pytest.raises(Invalid) as refused:
        approve(grant, asked(token), for_target=True, expires_in_seconds=60)
    assert refused.value.errors[0].field == "for"


def test_no_rule_is_learned_from_it(grant: Grant, helper: Agent, handed: Any) -> None:
    delegation, _token = handed
    chain = [[grant.agent.id, None], [helper.id, delegation.id]]
    answers = {"status": Approval.Status.USED, "decided_at": clock.now(), "chain": chain, "agent": helper}
    made = [make_approval(grant.consent, **answers) for _ in range(MIN_EVIDENCE)]
    history = read_history(grant.user, clock.now(), agent_id=grant.agent.id)
    assert (history.number, history.questions) == (MIN_EVIDENCE, [])
    with pytest.raises(SuggestionChanged):
        accept_suggestion(actor=as_user(grant.user), example=made[0], user=grant.user, ceiling=None, per_day=1)


def test_it_ends_when_what_was_handed_on_expires(grant: Grant, helper: Agent) -> None:
    delegation, issued = hand_over(grant.access_token, helper, SEND, lifetime=timedelta(minutes=10))
    approval = asked(issued.access_token)
    assert approval.expires_at == delegation.expires_at
    Approval.objects.filter(pk=approval.pk).update(expires_at=clock.now() + timedelta(hours=1))
    assert approve(grant, approval).expires_at == delegation.expires_at


def test_a_lasting_one_can_be_used_for_an_hour(grant: Grant, helper: Agent) -> None:
    _delegation, issued = hand_over(grant.access_token, helper, SEND, lifetime=timedelta(hours=5))
    approval = asked(issued.access_token)
    with time_machine.travel(clock.now() + timedelta(minutes=30), tick=False):
        assert approve(grant, approval).expires_at == clock.now() + timedelta(hours=1)


def test_ending_what_was_handed_on_ends_what_waits_and_what_was_approved(
    grant: Grant, helper: Agent, handed: Any
) -> None:
    delegation, token = handed
    _other, issued = hand_over(grant.access_token, helper, SEND)
    waiting, unaffected, own = asked(token), asked(issued.access_token), asked(grant.access_token)
    approved = approve(grant, waiting)
    again = make_approval(grant.consent, agent=helper, chain=waiting.chain)
    end_delegation(actor=as_user(grant.user), delegation=delegation)
    assert {status_of(approved), status_of(again)} == {Approval.Status.EXPIRED}
    assert {status_of(unaffected), status_of(own)} == {Approval.Status.PENDING}
    ended = [one for one in log_entries() if one.event == Event.APPROVAL_EXPIRED]
    assert {one.content["metadata"]["approvalId"] for one in ended} == {approved.id, again.id}


def test_the_end_of_the_tokens_that_handed_it_on_ends_it(grant: Grant, handed: Any) -> None:
    approval = asked(handed[1])
    family = family_of(grant.access_token)
    assert family is not None
    end_family(family, actor=ANONYMOUS, event=Event.TOKEN_REVOKED, now=clock.now())
    assert status_of(approval) == Approval.Status.EXPIRED


def test_it_cannot_be_approved_once_the_chain_no_longer_holds(grant: Grant, helper: Agent, handed: Any) -> None:
    approval = asked(handed[1])
    Consent.objects.filter(pk=grant.consent.pk).update(delegation=Consent.Delegation.NONE)
    with pytest.raises(ConnectionInactive):
        approve(grant, approval)
    Consent.objects.filter(pk=grant.consent.pk).update(delegation=Consent.Delegation.DEVELOPER)
    approve(grant, approval)


@pytest.mark.django_db(transaction=True)
def test_an_approval_and_an_end_at_the_same_time_allow_nothing(grant: Grant, handed: Any) -> None:
    delegation, token = handed
    approval = asked(token)
    race(
        [
            lambda: approve(grant, approval),
            lambda: end_delegation(actor=as_user(grant.user), delegation=delegation),
        ]
    )
    assert send(token).reason is Reason.DELEGATION_ENDED
    assert status_of(approval) != Approval.Status.PENDING
