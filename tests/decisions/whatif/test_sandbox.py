"""The sandbox: it answers as verify does, and it touches nothing but the log."""

import pytest
from django.apps import apps
from django.db import connection

from audit.entries.personal_keys import destroy_keys
from audit.events import Event
from audit.models import Stream
from audit.sequencing.sequencer import sequence
from consent.terms import GivenTerms
from core.errors import Invalid, NotFound
from decisions.requests import VerifyRequest
from decisions.services import decide
from decisions.whatif.sandbox import MAX_QUESTIONS, ask_in_trial, record_trial, trial_for_organization
from developers.acting import as_developer
from developers.errors import OrganizationSuspended
from developers.services import suspend_organization
from insights.models import RollUp
from insights.services import count_log
from policies.services import create_policy
from tests.core.test_nesting import nested
from tests.log import log_entries, log_entry
from tests.threads import race
from tests.world import ANONYMOUS, allow, ask, make_agent, make_developer, make_grant, make_user

READ, SEND, PAY = "email:read", "email:send", "payments:charge"
TWO_PER_HOUR = {"type": "rate_limit", "config": {"maxRequests": 2, "windowSeconds": 3600, "scope": "global"}}
NO_SENDING = {"type": "action_blocklist", "config": {"actions": [SEND]}}
DAILY = {"maxAmount": "50", "currency": "EUR", "windowSeconds": 86400, "scope": "per_user"}
FIFTY = {"type": "spend_limit", "config": DAILY}


@pytest.fixture
def developer(db):
    return make_developer("dev@example.com")


@pytest.fixture
def actor(developer):
    return as_developer(ANONYMOUS, developer)


@pytest.fixture
def agent(developer):
    return make_agent(developer)


@pytest.fixture
def start(actor, agent):
    def start(granted=(READ,), requested=(READ, SEND, PAY), **given):
        return record_trial(actor=actor, agent=agent, requested=requested, granted=granted, given=GivenTerms(**given))

    return start


@pytest.fixture
def question(actor, agent):
    def question(trial_id, scope=READ, context=None, action=None):
        trial = trial_for_organization(agent.organization_id, agent, trial_id)
        asked = ask_in_trial(actor=actor, trial=trial, scope=scope, action=action, context=context or {})
        return asked.answer, asked.reason

    return question


def counts():
    """Return the number of rows in each table but those of the log."""
    names = [model._meta.db_table for model in apps.get_models() if not model._meta.db_table.startswith("audit_")]
    with connection.cursor() as cursor:
        found = {}
        for name in names:
            cursor.execute(f'SELECT count(*) FROM "{name}"')
            found[name] = cursor.fetchone()[0]
        return found


def test_it_answers_by_what_was_granted(start, question):
    trial = start([READ, SEND, PAY], modes={SEND: "ask"}, limits={PAY: [FIFTY]})
    assert question(trial, READ) == ("allowed", None)
    assert question(trial, SEND) == ("asked", "approval_required")
    assert question(trial, PAY, {"amount": {"value": "80", "currency": "EUR"}}) == ("denied", "policy_denied")
    assert question(trial, "calendar:freebusy") == ("denied", "insufficient_scope")
    assert question(start(granted=[])) == ("denied", "invalid_token")


def test_a_trial_answers_as_verify_does_to_the_same_grant(developer, actor, question):
    grant = make_grant(developer="other@example.com", scopes=[READ, SEND])
    owner = as_developer(ANONYMOUS, grant.agent.organization.developers.get())
    create_policy(actor=owner, organization=grant.agent.organization, name="Quiet", rules=[NO_SENDING])
    trial_id = record_trial(actor=owner, agent=grant.agent, requested=[READ, SEND], granted=[READ, SEND])
    for scope in (READ, SEND, PAY):
        real = decide([VerifyRequest(grant.access_token, [scope], ANONYMOUS)])[0]
        trial = trial_for_organization(grant.agent.organization_id, grant.agent, trial_id)
        asked = ask_in_trial(actor=owner, trial=trial, scope=scope, context={})
        assert (asked.answer == "allowed", asked.reason) == (real.allowed, real.reason), scope
        assert (asked.policy_id, asked.metadata.get("policyName")) == (
            (real.policy.policy_id, "Quiet") if real.policy else (None, None)
        )


def test_limits_count_only_the_questions_of_the_trial(start, question, actor, agent):
    create_policy(actor=actor, organization=agent.organization, name="Slow", rules=[TWO_PER_HOUR])
    first, second = start(), start()
    assert [question(first)[0] for _ in range(3)] == ["allowed", "allowed", "denied"]
    assert question(second)[0] == "allowed"
    consent = allow(ask(agent, scopes=[READ]), make_user("ada@example.com"))
    assert consent.pk  # a live connection does not change what a trial counts
    assert question(second)[0] == "allowed"


def test_policies_decide_as_they_are_now(start, question, actor, agent):
    trial = start([SEND])
    assert question(trial, SEND)[0] == "allowed"
    create_policy(actor=actor, organization=agent.organization, name="Quiet", rules=[NO_SENDING], mode="shadow")
    assert question(trial, SEND)[0] == "allowed"
    create_policy(actor=actor, organization=agent.organization, name="Quiet", rules=[NO_SENDING])
    assert question(trial, SEND) == ("denied", "policy_denied")


def test_only_the_log_changes(start, question, actor, agent):
    create_policy(actor=actor, organization=agent.organization, name="Slow", rules=[TWO_PER_HOUR])
    before = counts()
    trial = start([READ, SEND], modes={SEND: "ask"})
    question(trial, READ)
    question(trial, SEND)
    assert counts() == before


def test_the_entries_are_marked_and_belong_to_no_person_and_no_total(start, question, agent):
    trial = start([READ])
    question(trial, READ, {"recipient": "ada@example.com"}, action="mail.read")
    question(trial, SEND)
    entries = list(log_entries(event__in=[Event.SANDBOX_CONSENT, Event.SANDBOX_VERIFY]))
    assert len(entries) == 3
    for entry in entries:
        assert (entry.outcome, entry.user_id, entry.consent_id) == ("info", None, None)
        assert entry.content["metadata"]["sandbox"] is True
        assert entry.organization_ids == [agent.organization_id]
        assert entry.agent_id == agent.id
    assert [entry.content["metadata"]["wouldBe"] for entry in entries] == ["denied", "allowed", "allowed"]
    assert "ada@example.com" not in str(entries[1].content)  # what the developer typed can be erased
    assert log_entry(entries[1].id).personal["context"] == {"recipient": "ada@example.com"}
    assert not Stream.objects.exclude(allowed=0, denied=0).exists()
    count_log()
    assert not RollUp.objects.exists()


def test_a_trial_of_another_agent_or_organization_looks_absent(start, agent, developer):
    trial = start()
    other, rival = make_agent(developer), make_developer("rival@example.com")
    for organization_id, of in (
        (developer.organization_id, other),
        (rival.organization_id, agent),
        (rival.organization_id, make_agent(rival)),
    ):
        with pytest.raises(NotFound):
            trial_for_organization(organization_id, of, trial)
    created = log_entries(event=Event.AGENT_CREATED, agent_id=agent.id).get()
    with pytest.raises(NotFound):
        trial_for_organization(developer.organization_id, agent, created.id)


@pytest.mark.parametrize(
    ("requested", "granted", "field"),
    [(["drive:read"], [], "requested"), ([READ], [SEND], "scopes"), (["nonsense"], ["nonsense"], "requested")],
)
def test_scopes_that_the_agent_cannot_request_are_refused(start, requested, granted, field):
    with pytest.raises(Invalid) as caught:
        start(granted, requested)
    assert [error.field for error in caught.value.errors] == [field]
    assert not log_entries(event=Event.SANDBOX_CONSENT).exists()


@pytest.mark.parametrize(
    "context",
    [{"text": "x" * 5000}, {"text": "\0"}, {"ip": "nowhere"}, {"ip": None}, {"number": 1 << 80}, {"a": nested(32)}],
    ids=["long", "NUL", "address", "null", "huge", "deep"],
)
def test_a_context_that_the_log_cannot_hold_or_verify_refuses_is_refused(start, question, context):
    with pytest.raises(Invalid) as caught:
        question(start(), READ, context)
    assert [error.field for error in caught.value.errors] == ["context"]
    assert not log_entries(event=Event.SANDBOX_VERIFY).exists()


def test_a_context_may_be_nested_as_deeply_as_for_verify(start, question):
    question(start(), READ, {"a": nested(31)})
    assert log_entries(event=Event.SANDBOX_VERIFY).count() == 1


def test_a_trial_has_room_for_a_number_of_questions(start, question, monkeypatch):
    monkeypatch.setattr("decisions.whatif.sandbox.MAX_QUESTIONS", 2)
    trial = start()
    question(trial)
    question(trial)
    with pytest.raises(Invalid):
        question(trial)
    assert log_entries(event=Event.SANDBOX_VERIFY).count() == 2
    assert MAX_QUESTIONS == 50


def test_a_suspended_organization_tries_nothing(start, question, developer):
    trial = start()
    suspend_organization(actor=ANONYMOUS, organization=developer.organization, reason="Spam")
    with pytest.raises(OrganizationSuspended):
        start()
    with pytest.raises(OrganizationSuspended):
        question(trial)


def test_a_trial_is_gone_once_what_the_developer_typed_is_erased(start, question, developer, agent):
    trial = start()
    question(trial)
    sequence()
    destroy_keys([developer.id])
    with pytest.raises(NotFound):
        trial_for_organization(agent.organization_id, agent, trial)


@pytest.mark.django_db(transaction=True)
def test_two_questions_at_once_are_both_answered_and_logged(start, question):
    trial = start()
    assert race([lambda: question(trial), lambda: question(trial, SEND)]) == [
        ("allowed", None),
        ("denied", "insufficient_scope"),
    ]
    assert log_entries(event=Event.SANDBOX_VERIFY).count() == 2
