"""Delegations when their consent is replaced or narrowed: what it still permits goes on, and the rest ends for good."""

from datetime import timedelta
from typing import Any

import pytest

from agents.models import Agent
from consent.connections import Choice
from consent.details import AuthorizationDetail
from consent.granting import approve_consent
from consent.models import Consent
from consent.narrowing import Narrowing, narrow_consent
from consent.targets import Pick
from core import clock
from decisions.requests import Decision, VerifyRequest
from decisions.services import decide
from developers.models import Organization
from tests.log import log_entries, log_entry
from tests.world import ANONYMOUS, Grant, as_user, ask, hand_over, let_delegate, make_agent, make_developer, make_grant
from tokens.delegations import Wanted, create_delegation
from tokens.exchange import redeem_delegation
from tokens.issuing import Refusal
from tokens.models import Delegation, TokenFamily

pytestmark = pytest.mark.django_db

READ, SEND, DELEGATE = "email:read", "email:send", "agents:delegate"
SCOPES = [READ, SEND]


@pytest.fixture
def grant() -> Grant:
    grant = make_grant(scopes=[READ, SEND, DELEGATE])
    let_delegate(grant.access_token, "verified")
    return grant


def of_developer(grant: Grant, name: str) -> Agent:
    assert grant.agent.organization is not None
    return make_agent(grant.agent.organization.developers.earliest("pk"), name=name, allowed_scopes=SCOPES)


@pytest.fixture
def second(grant: Grant) -> Agent:
    return of_developer(grant, "Summarizer")


@pytest.fixture
def third(grant: Grant) -> Agent:
    return of_developer(grant, "Translator")


@pytest.fixture
def foreign() -> Agent:
    agent = make_agent(make_developer("bob@books.example", "Books"), name="Reader", allowed_scopes=SCOPES)
    Organization.objects.filter(pk=agent.organization_id).update(is_verified=True)
    agent.refresh_from_db()
    return agent


def approve(grant: Grant, *requested: str, **choice: Any) -> Consent:
    fields = {"scopes": list(requested or [READ]), **choice.pop("request", {})}
    asked = ask(grant.agent, **fields)
    actor, now = as_user(grant.user), clock.now()
    return approve_consent(
        actor=actor, consent=asked, user=grant.user, choice=Choice(**choice), signed_in_at=now
    ).consent


def narrow(grant: Grant, **changes: Any) -> Consent:
    consent = Consent.objects.get(user=grant.user, status=Consent.Status.APPROVED)
    narrowing = Narrowing(**changes)
    return narrow_consent(actor=as_user(grant.user), user=grant.user, consent=consent, narrowing=narrowing)


def ask_with(token: str, scope: str = READ, **fields: Any) -> Decision:
    return decide([VerifyRequest(token=token, required_scopes=(scope,), actor=ANONYMOUS, **fields)])[0]


def reason(token: str, scope: str = READ) -> str | None:
    return ask_with(token, scope).reason


def has_ended(delegation: Delegation) -> bool:
    delegation.refresh_from_db()
    return delegation.ended_at is not None


def test_a_replaced_consent_takes_its_delegations_along(grant: Grant, second: Agent, third: Agent) -> None:
    first, summarizer = hand_over(grant.access_token, second, [READ])
    below, translator = hand_over(summarizer.access_token, third, [READ])
    replacement = approve(grant, SEND)
    for delegation, issued in ((first, summarizer), (below, translator)):
        assert not has_ended(delegation)
        assert delegation.consent_id == replacement.id
        assert TokenFamily.objects.get(pk=issued.family.pk).consent_id == replacement.id
        assert reason(issued.access_token) is None
    assert log_entries(event="delegation.ended").count() == 0


@pytest.mark.parametrize("how", ["replaced", "narrowed"])
def test_what_the_mode_no_longer_permits_ends_for_good(
    grant: Grant, second: Agent, third: Agent, foreign: Agent, how: str
) -> None:
    """Each delegation whose own receiver is not permitted now is marked, and no other one."""
    stays, summarizer = hand_over(grant.access_token, second, [READ])
    goes, reader = hand_over(summarizer.access_token, foreign, [READ])
    above, other_reader = hand_over(grant.access_token, foreign, [READ])
    below, translator = hand_over(other_reader.access_token, third, [READ])
    if how == "replaced":
        replacement = approve(grant, READ, delegation="developer")
    else:
        replacement = narrow(grant, delegation="developer")
    assert [has_ended(each) for each in (stays, goes, above, below)] == [False, True, True, False]
    assert reason(summarizer.access_token) is None
    for ended in (reader, other_reader, translator):
        assert reason(ended.access_token) == "delegation_ended"
    approve(grant, READ, delegation="verified")
    for ended in (reader, other_reader, translator):
        assert reason(ended.access_token) == "delegation_ended"
    entries = [log_entry(entry.id) for entry in log_entries(event="delegation.ended").order_by("leaf_index")]
    contents = [entry.content for entry in entries]
    assert {content["chain"][-1]["delegationId"] for content in contents} == {goes.id, above.id}
    assert [content["metadata"] for content in contents] == [{"reason": f"consent_{how}"}] * 2
    assert [content["consentId"] for content in contents] == [replacement.id] * 2
    assert {content["actor"]["id"] for content in contents} == {grant.user.id}


def test_lowering_it_to_none_ends_all_and_a_token_not_redeemed_yet(grant: Grant, second: Agent, third: Agent) -> None:
    first, summarizer = hand_over(grant.access_token, second, [READ])
    below, _ = hand_over(summarizer.access_token, third, [READ])
    token = offer(grant, third)
    narrow(grant, remove_scopes=[DELEGATE])
    assert has_ended(first)
    assert has_ended(below)
    assert reason(summarizer.access_token) == "delegation_ended"
    assert isinstance(redeem_delegation(actor=ANONYMOUS, agent=third, token=token), Refusal)
    approve(grant, READ, DELEGATE)
    assert reason(summarizer.access_token) == "delegation_ended"
    assert isinstance(redeem_delegation(actor=ANONYMOUS, agent=third, token=token), Refusal)


def test_a_developer_that_is_not_verified_at_the_moment_ends_nothing(grant: Grant, foreign: Agent) -> None:
    """That is asked at each call, so it is denied until the developer is verified again."""
    delegation, issued = hand_over(grant.access_token, foreign, [READ])
    Organization.objects.filter(pk=foreign.organization_id).update(is_verified=False)
    approve(grant, SEND)
    assert not has_ended(delegation)
    assert reason(issued.access_token) == "delegation_ended"
    Organization.objects.filter(pk=foreign.organization_id).update(is_verified=True)
    assert reason(issued.access_token) is None


@pytest.mark.parametrize("how", ["replaced", "narrowed"])
def test_a_removed_scope_takes_only_that_scope(grant: Grant, second: Agent, third: Agent, how: str) -> None:
    """Granting it again on another device returns it to no delegation. One without another scope ends."""
    both, summarizer = hand_over(grant.access_token, second, SCOPES)
    below, _ = hand_over(summarizer.access_token, third, [SEND])
    only, translator = hand_over(grant.access_token, third, [SEND])
    if how == "replaced":
        approve(grant, SEND, scopes=[READ, DELEGATE])
    else:
        narrow(grant, remove_scopes=[SEND])
    assert [has_ended(each) for each in (both, below, only)] == [False, True, True]
    approve(grant, SEND)
    assert reason(grant.access_token, SEND) == "insufficient_scope"
    assert reason(summarizer.access_token, SEND) == "insufficient_scope"
    assert reason(summarizer.access_token, READ) is None
    assert reason(translator.access_token, SEND) == "delegation_ended"


def test_what_follows_one_that_ends_has_no_mark_of_its_own(grant: Grant, second: Agent, third: Agent) -> None:
    above, summarizer = hand_over(grant.access_token, second, [SEND])
    below, translator = hand_over(summarizer.access_token, third, [SEND])
    narrow(grant, remove_scopes=[SEND])
    assert [has_ended(above), has_ended(below)] == [True, False]
    assert reason(translator.access_token, SEND) == "delegation_ended"
    assert log_entries(event="delegation.ended").count() == 1


def test_scopes_that_are_removed_one_after_the_other_leave_nothing(grant: Grant, second: Agent) -> None:
    """The first one is granted again in between, to another device."""
    delegation, _ = hand_over(grant.access_token, second, SCOPES)
    narrow(grant, remove_scopes=[READ])
    approve(grant, READ)
    assert not has_ended(delegation)
    narrow(grant, remove_scopes=[SEND])
    assert has_ended(delegation)


def test_without_a_target_nothing_is_left_of_a_scope(grant: Grant, second: Agent) -> None:
    detail = AuthorizationDetail(type="target", actions=[SEND], identifiers=["ann", "bob"])
    approve(grant, SEND, request={"authorization_details": [detail]})
    delegation, _ = hand_over(grant.access_token, second, [SEND])
    bounds = [{"type": "target", "field": "target", "identifiers": ["bob"]}]
    Delegation.objects.filter(pk=delegation.pk).update(targets={SEND: bounds})
    narrow(grant, targets=[Pick("target", ["ann"])])
    assert has_ended(delegation)


def test_other_narrowings_end_nothing(grant: Grant, second: Agent) -> None:
    """What the developer has taken from an agent may return, so it ends nothing either."""
    delegation, issued = hand_over(grant.access_token, second, [READ])
    Agent.objects.filter(pk=grant.agent.pk).update(allowed_scopes=[SEND, DELEGATE])
    narrow(grant, lifetime=timedelta(hours=2))
    assert not has_ended(delegation)
    Agent.objects.filter(pk=grant.agent.pk).update(allowed_scopes=[READ, SEND, DELEGATE])
    assert reason(issued.access_token) is None


def test_as_many_as_a_connection_can_have_end_in_few_statements(
    grant: Grant, second: Agent, django_assert_max_num_queries: Any
) -> None:
    delegation, _ = hand_over(grant.access_token, second, [READ])
    for number in range(40):
        delegation.pk = f"del_{number:026}"
        delegation.path, delegation.token_digest = [delegation.pk], str(number)
        delegation.save(force_insert=True)
    with django_assert_max_num_queries(40):
        narrow(grant, delegation="none")
    assert Delegation.objects.filter(ended_at=None).count() == 0
    assert log_entries(event="delegation.ended").count() == 41


def offer(grant: Grant, to: Agent) -> str:
    """Hand work on, and return the token that is not redeemed yet."""
    wanted = Wanted(to=to.client_id, scopes=[READ])
    return create_delegation(actor=ANONYMOUS, agent=grant.agent, token=grant.access_token, wanted=wanted).token
