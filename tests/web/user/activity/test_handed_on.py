"""Sentences and pages about work that one agent handed to another."""

from collections.abc import Callable, Sequence

import pytest

from agents.models import Agent
from audit.events import Event, Outcome
from core.actor import Actor
from core.chains import Link
from decisions.requests import Reason
from developers.acting import as_developer
from policies.services import create_policy
from tests.shared import cases
from tests.web.ledger import say_about, words_of
from tests.world import ANONYMOUS, grant_to, hand_over, let_delegate, make_agent

RATE = {"type": "rate_limit", "config": {"maxRequests": 2, "windowSeconds": 3600, "scope": "per_user"}}
LIMITED = {"ruleType": "rate_limit", "ruleIndex": 0, "limitedBy": "delegation"}


@pytest.fixture
def helper(rival) -> Agent:
    """An agent of another developer, which gets work from the user's agent."""
    return make_agent(rival, name="Summarizer")


@pytest.fixture
def chain(agent, helper) -> Sequence[Link]:
    return Link(agent.id, None, agent.organization_id), Link(helper.id, "del_1", helper.organization_id)


@pytest.fixture
def say(helper, ada, chain) -> Callable[..., str]:
    """Write an entry about what the helper did for Ada's agent, and return its id."""
    write = say_about(helper, ada)
    return lambda *event, **fields: write(*event, **{"chain": chain, "scopes": ["email:read"], **fields})


def test_a_call_names_the_agents_through_which_it_was_made(as_ada, say, developer, agent, helper, chain):
    say(outcome=Outcome.ALLOWED)
    assert "Read your email SmartMail, through Summarizer" in words_of(as_ada)
    third = make_agent(developer, name="A, B")
    say(outcome=Outcome.ALLOWED, agent_id=third.id, chain=[*chain, Link(third.id, "del_2", third.organization_id)])
    assert "Read your email SmartMail, through Summarizer and A, B" in words_of(as_ada)
    named = '<bdi class="named">SmartMail</bdi>, through <bdi class="named">Summarizer</bdi>'
    assert named in as_ada.get("/activity").content.decode()


def test_calls_of_different_chains_have_lines_of_their_own(as_ada, say):
    say(outcome=Outcome.ALLOWED)
    say(outcome=Outcome.ALLOWED)
    say(outcome=Outcome.ALLOWED, chain=())
    words = words_of(as_ada)
    assert "Read your email SmartMail, through Summarizer 2 times" in words
    assert "Read your email Summarizer" in words


def test_questions_through_others_share_a_line_with_the_chain(as_ada, say):
    for name in "ab":
        say(Event.APPROVAL_APPROVED, outcome=Outcome.ALLOWED, metadata={"approvalId": f"apr_{name}"})
    say(Event.APPROVAL_APPROVED, outcome=Outcome.ALLOWED, metadata={"approvalId": "apr_c"}, chain=())
    assert "You approved 2 requests of SmartMail, through Summarizer" in words_of(as_ada)


@cases(
    ("event", "actor", "words"),
    [
        (Event.DELEGATION_CREATED, "agent", "SmartMail handed work for you to Summarizer Permissions: Read your email"),
        (Event.DELEGATION_ENDED, "user", "You ended what SmartMail had handed to Summarizer"),
        (
            Event.DELEGATION_ENDED,
            "agent",
            "What SmartMail had handed to Summarizer was ended Done by the agent",
        ),
        (
            Event.RESERVATION_LAPSED,
            "system",
            "A reservation of Summarizer expired and was released For SmartMail, which handed the work on",
        ),
    ],
)
def test_events_name_who_handed_on_to_whom(as_ada, say, event, actor, words):
    say(event, actor=Actor(actor))
    assert words in words_of(as_ada)


def test_a_redemption_is_shown_only_by_filters(as_ada, say):
    say(Event.DELEGATION_REDEEMED)
    words = "Summarizer took over the work that SmartMail had handed to it"
    assert words not in words_of(as_ada)
    assert words in words_of(as_ada, kind="account")


def test_the_entry_shows_the_agents_with_their_developers(as_ada, say):
    words = words_of(as_ada, f"/activity/{say(outcome=Outcome.ALLOWED)}")
    assert "Agents SmartMail Acme Robotics" in words
    assert "handed it to Summarizer Rival Robotics" in words
    assert "You had allowed SmartMail to do this without asking you, and to hand work to other agents." in words


def test_the_entry_of_a_delegation_shows_what_bounds_it(as_ada, say):
    personal = {"task": "Trip to Rome", "terms": {"limits": {"email:read": [RATE]}}}
    metadata = {"expiresAt": "2036-12-01T10:00:00Z"}
    words = words_of(as_ada, f"/activity/{say(Event.DELEGATION_CREATED, metadata=metadata, personal=personal)}")
    assert "Limits Read your email: At most 2 times per hour" in words
    assert "Task Trip to Rome" in words
    assert "2036" in words


def test_the_limit_of_a_delegation_names_the_agent_that_set_it(as_ada, ada, developer):
    agent, helper = (make_agent(developer, name=name) for name in ("Planner", "Booker"))
    token = grant_to(agent, ada, ["email:read"])
    let_delegate(token)
    delegation, _issued = hand_over(token, helper, ["email:read"], limits={"email:read": [RATE]})
    chain = (Link(agent.id, None, None), Link(helper.id, delegation.pk, None))
    metadata = {**LIMITED, "delegationId": delegation.pk}
    write = say_about(helper, ada)
    fields = {"chain": chain, "scopes": ["email:read"], "reason": Reason.POLICY_DENIED, "metadata": metadata}
    words = words_of(as_ada, f"/activity/{write(outcome=Outcome.DENIED, **fields)}")
    assert "Planner set a limit when it handed the work to Booker. That limit denied this." in words
    assert "Limit that Planner set when it handed the work over At most 2 times per hour" in words
    assert "You do not need to do anything. The agent that handed the work over set this limit" in words
    delegation.delete()
    assert "It has been changed or removed since" in words_of(
        as_ada, f"/activity/{write(outcome=Outcome.DENIED, **fields)}"
    )


def test_a_policy_of_an_agent_above_is_attributed_to_its_developer(as_ada, say, developer):
    rules = [{"type": "action_blocklist", "config": {"actions": ["email:*"]}}]
    actor = as_developer(ANONYMOUS, developer)
    policy = create_policy(actor=actor, organization=developer.organization, name="No mail", rules=rules)
    entry_id = say(
        outcome=Outcome.DENIED,
        reason=Reason.POLICY_DENIED,
        policy_id=policy.id,
        policy_organization_id=policy.organization_id,
        metadata={"ruleType": "action_blocklist", "ruleIndex": 0, "policyName": policy.name},
    )
    words = words_of(as_ada, f"/activity/{entry_id}")
    assert "A policy of the developer of SmartMail denied this: No mail." in words
    assert "Rule of the developer of SmartMail, who calls it No mail" in words
