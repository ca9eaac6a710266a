"""Deleting an agent: what ends, what stays, and races with those who grant and decide."""

from functools import partial
from typing import Any

import pytest

from agents.client_secrets import create_client_secret
from agents.deletion import delete_agent
from agents.errors import InvalidClient
from agents.models import Agent
from agents.selectors import agent_for_client_id, agents_for_organization, all_agents_of_organization
from agents.services import authenticate_client, update_agent
from audit.proof.stops import agent_level, prove_stop
from consent.connections import Choice
from consent.granting import approve_consent
from consent.models import Consent
from core import clock
from core.errors import DomainError, NotFound
from decisions.requests import VerifyRequest
from decisions.services import decide
from developers.acting import as_developer
from developers.models import Developer
from policies.models import Policy
from policies.services import create_policy
from tests.log import log_entries, log_entry
from tests.threads import race
from tests.world import ANONYMOUS, Grant, allow, as_user, ask, make_grant, make_user
from tokens.refresh import refresh_tokens

pytestmark = pytest.mark.django_db


@pytest.fixture
def grant(db: None) -> Grant:
    return make_grant()


@pytest.fixture
def actor(grant: Grant) -> Any:
    return as_developer(ANONYMOUS, Developer.objects.get())


def verify(grant: Grant) -> Any:
    request = VerifyRequest(token=grant.access_token, required_scopes=["email:read"], actor=ANONYMOUS)
    return decide([request])[0]


def events() -> list[str]:
    return list(log_entries().order_by("id").values_list("event", flat=True))


def test_everything_that_the_agent_can_do_ends(grant: Grant, actor: Any) -> None:
    secret = create_client_secret(actor=actor, agent=grant.agent, name="production").value
    pending = ask(grant.agent)
    assert verify(grant).allowed
    delete_agent(actor=actor, agent=grant.agent)

    assert verify(grant).reason == "agent_suspended"
    assert not getattr(
        refresh_tokens(actor=ANONYMOUS, agent=grant.agent, refresh_token=grant.refresh_token), "access_token", None
    )
    with pytest.raises(InvalidClient):
        authenticate_client(actor=ANONYMOUS, client_id=grant.agent.client_id, client_secret=secret)
    assert agent_for_client_id(grant.agent.client_id) is None
    with pytest.raises(NotFound):
        allow(pending, make_user("bob@example.com"))
    assert {one.status for one in Consent.objects.all()} == {"revoked", "expired"}


def test_the_row_and_the_evidence_stay(grant: Grant, actor: Any) -> None:
    organization_id = str(grant.agent.organization_id)
    verify(grant)
    delete_agent(actor=actor, agent=grant.agent)
    assert not agents_for_organization(organization_id)
    assert all_agents_of_organization(organization_id).get().name == "SmartMail"
    assert {"agent.suspended", "consent.revoked", "agent.deleted", "token.verify"} <= set(events())
    proof = prove_stop(agent_level(grant.agent.id))
    assert proof is not None
    assert (proof.allowed_after, proof.lifted_at) == (0, None)
    entry = log_entry(log_entries(event="consent.revoked").get().pk)
    assert entry.content["metadata"] == {"reason": "agent_deleted"}
    assert entry.content["userId"] == grant.user.id


def test_policies_for_this_agent_alone_are_deleted(grant: Grant, actor: Any) -> None:
    organization = grant.agent.organization
    assert organization is not None
    rules = [{"type": "action_blocklist", "config": {"actions": ["payments:*"]}}]
    create_policy(actor=actor, organization=organization, name="All", rules=rules)
    create_policy(actor=actor, organization=organization, name="One", rules=rules, agent=grant.agent)
    delete_agent(actor=actor, agent=grant.agent)
    assert [policy.name for policy in Policy.objects.all()] == ["All"]
    assert "policy.deleted" in events()


def test_a_deleted_agent_cannot_be_changed_or_deleted_again(grant: Grant, actor: Any) -> None:
    delete_agent(actor=actor, agent=grant.agent)
    for act in (
        partial(update_agent, actor=actor, agent=grant.agent, changes={"status": "active"}),
        partial(create_client_secret, actor=actor, agent=grant.agent, name="late"),
        partial(delete_agent, actor=actor, agent=grant.agent),
    ):
        with pytest.raises(NotFound):
            act()
    assert Agent.objects.get().status == "suspended"
    assert events().count("agent.deleted") == 1


@pytest.mark.django_db(transaction=True)
def test_a_grant_at_the_same_time_leaves_no_live_connection(grant: Grant, actor: Any) -> None:
    bob = make_user("bob@example.com")
    asked = ask(grant.agent)
    granting = partial(
        approve_consent, actor=as_user(bob), consent=asked, user=bob, choice=Choice(), signed_in_at=clock.now()
    )
    race([partial(delete_agent, actor=actor, agent=grant.agent), granting])
    assert not Consent.objects.filter(status="approved").exists()


@pytest.mark.django_db(transaction=True)
def test_of_several_deletions_and_a_reactivation_one_deletion_succeeds(grant: Grant, actor: Any) -> None:
    update_agent(actor=actor, agent=grant.agent, changes={"status": "suspended"})
    delete = partial(delete_agent, actor=actor, agent=grant.agent)
    reactivate = partial(update_agent, actor=actor, agent=grant.agent, changes={"status": "active"})
    outcomes = race([delete, delete, delete, reactivate])
    assert sum(isinstance(outcome, DomainError) for outcome in outcomes[:3]) == 2
    assert Agent.objects.get().stopped_by is not None


@pytest.mark.django_db(transaction=True)
def test_no_verify_that_starts_after_the_deletion_is_allowed(grant: Grant, actor: Any) -> None:
    verify(grant)
    race([partial(delete_agent, actor=actor, agent=grant.agent), partial(verify, grant), partial(verify, grant)])
    assert not verify(grant).allowed
    proof = prove_stop(agent_level(grant.agent.id))
    assert proof is not None
    assert proof.allowed_after == 0
