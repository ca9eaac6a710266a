"""The page of one entry: what was touched, why a request was denied, and what the user can do."""

from datetime import timedelta

import pytest
import time_machine

from audit.events import Event, Outcome
from consent.narrowing import Narrowing, narrow_consent
from consent.pausing import pause_all_agents
from consent.terms import GivenTerms
from core import clock
from core.text import readable_json
from decisions.requests import Reason
from decisions.services import decide
from decisions.wording import REASONS
from developers.acting import as_developer
from policies.services import create_policy, update_policy
from tests.approvals import make_approval
from tests.decisions.drivers import asking, bound
from tests.shared import cases
from tests.web.ledger import say_about, words_of
from tests.world import ANONYMOUS, as_user, make_grant, sign_in

SPEND = {
    "type": "spend_limit",
    "config": {"maxAmount": "50.00", "currency": "EUR", "windowSeconds": 86400, "scope": "per_user"},
}


@pytest.fixture
def say(agent, ada):
    return say_about(agent, ada)


@pytest.fixture
def deny(say):
    """Write a denial and return its path."""

    def write(reason, **fields):
        entry_id = say(outcome=Outcome.DENIED, reason=reason, **{"scopes": ["email:send"], **fields})
        return f"/activity/{entry_id}"

    return write


@pytest.fixture
def policy(developer):
    actor = as_developer(ANONYMOUS, developer)
    rules = [{"type": "action_blocklist", "config": {"actions": ["email:*"]}}]
    return create_policy(actor=actor, organization=developer.organization, name="No mail", rules=rules)


def by_policy(policy, **metadata):
    return {
        "policy_id": policy.id,
        "policy_organization_id": policy.organization_id,
        "metadata": {"ruleType": "action_blocklist", "ruleIndex": 0, "policyName": policy.name, **metadata},
    }


def test_shows_everything_that_the_log_has(as_ada, say, granted, rival):
    amount = {"value": "12.50", "currency": "EUR"}
    context = {"verb": "send", "recipient": "anna@example.com", "target": "Report.pdf", "text": "Hello\u202e\nAnna"}
    entry_id = say(
        outcome=Outcome.ALLOWED,
        scopes=["email:send"],
        action="email:send",
        resource="https://mail.example/7",
        consent_id=granted.id,
        service_organization_ids=[rival.organization_id],
        personal={"amount": amount, "context": {**context, "amount": amount, "subject": "Re: x"}},
    )
    words = words_of(as_ada, f"/activity/{entry_id}")
    assert "Send an email for €12.50: anna@example.com (Report.pdf)" in words
    for shown in ("€12.50", "Recipient anna@example.com", "Target Report.pdf", "Verb send", "Action Send email as you"):
        assert shown in words
    assert "Resource https://mail.example/7" in words
    assert "Service of Rival Robotics" in words
    assert "Hello\\u202e Anna" in words
    assert '"subject": "Re: x"' in words
    page = as_ada.get(f"/activity/{entry_id}").content.decode()
    assert f'href="/api/v1/audit/{entry_id}/proof"' in page
    assert f'href="/connections/{granted.id}"' in page


@cases(
    "hidden",
    [
        {"amount": {"value": "10.00", "currency": "EUR", "multiplier": 100}},
        {"recipient": "x" * 300 + "@evil.example"},
        {"recipient": "", "target": "", "verb": ""},
        {"verb": "a\u200bb"},
        {"recipient": ["a", "b", "c", "d"]},
        {"account": "EVIL", "cc": ["eve@evil.example"], "": "no name"},
    ],
    ids=lambda hidden: ",".join(hidden),
)
def test_nothing_that_the_service_sent_is_hidden(as_ada, say, hidden):
    unreadable = {"amount": {"unreadable": True}} if "amount" in hidden else {}
    entry_id = say(outcome=Outcome.ALLOWED, scopes=["email:send"], personal={"context": hidden, **unreadable})
    words = words_of(as_ada, f"/activity/{entry_id}")
    assert " ".join(readable_json(hidden)[1:-1].split()) in words
    assert "€" not in words


def test_an_address_that_the_service_sent_is_a_fact(as_ada, say):
    entry_id = say(outcome=Outcome.ALLOWED, scopes=["email:send"], personal={"context": {"ip": "192.0.2.7"}})
    words = words_of(as_ada, f"/activity/{entry_id}")
    assert "IP address reported by the service 192.0.2.7" in words
    assert "What the service said" not in words


def test_only_what_follows_texts_is_everything_else(as_ada, say):
    entry_id = say(outcome=Outcome.ALLOWED, scopes=["email:send"], personal={"context": {"subject": "Re: x"}})
    page = as_ada.get(f"/activity/{entry_id}").content.decode()
    assert "<h3>Everything else" not in page
    assert "Re: x" in page


def test_a_shortened_context_shows_its_beginning(as_ada, say):
    shortened = {"size": 9000, "sha256": "00", "beginning": '{"text":"Dear', "fields": ["text"], "named": {}}
    entry_id = say(outcome=Outcome.ALLOWED, scopes=["email:send"], personal={"shortenedContext": shortened})
    assert "only the beginning of the 8.8 KB" in words_of(as_ada, f"/activity/{entry_id}").replace("\xa0", " ")


def test_an_entry_of_another_user_does_not_exist(as_bob, say):
    entry_id = say(outcome=Outcome.ALLOWED, scopes=["email:send"])
    assert as_bob.get(f"/activity/{entry_id}").status_code == 404
    assert as_bob.get("/activity/log_0").status_code == 404


def test_a_visitor_must_sign_in(client, say):
    entry_id = say(outcome=Outcome.ALLOWED, scopes=["email:send"])
    assert client.get(f"/activity/{entry_id}")["Location"] == f"/accounts/login/?next=/activity/{entry_id}"


def test_every_reason_has_a_text_and_advice():
    assert set(Reason) == set(REASONS)


@cases(
    ("reason", "why", "what"),
    [
        ("invalid_token", "did not issue the token", "This server did not issue the token."),
        ("token_expired", "The token had expired.", "Agents renew their tokens by themselves"),
        ("token_revoked", "The token had been revoked, or replaced by a refresh.", "It then gets a new token."),
        ("service_suspended", "The service is suspended, or", "suspended the service, and only they can lift that"),
        ("organization_suspended", "The agent's organization is suspended.", "suspended its developer"),
        ("organization_stopped", "has stopped all its agents.", "only they can lift that"),
        ("agent_suspended", "The agent is suspended or stopped.", "Its developer or an administrator suspended it"),
        ("user_inactive", "The account is deactivated.", "reactivate your account"),
        ("delegation_ended", "What another agent had handed over has ended.", "it expired, or the agent"),
        ("consent_revoked", "The access had been revoked.", "start from the agent"),
        ("consent_expired", "The access had expired.", "start from the agent"),
        ("consent_paused", "The access was paused.", "Resume the agent"),
        ("wrong_audience", "The token is for another service.", "which its developer must fix"),
        ("insufficient_scope", "The permission had not been granted.", "let it ask you for this permission"),
        ("policy_denied", "A policy of its developer denied this", "went against a rule"),
        ("approval_required", "It needs an approval first.", "Approve or deny the request"),
    ],
)
def test_every_reason_is_explained(as_ada, deny, reason, why, what):
    words = words_of(as_ada, deny(reason, metadata={"missingScopes": ["email:send"]}))
    assert "Nothing was done" in words
    assert why in words
    assert what in words


def test_a_pause_leads_to_the_connection(as_ada, deny, granted):
    page = as_ada.get(deny("consent_paused", consent_id=granted.id)).content.decode()
    assert f'class="button" href="/connections/{granted.id}"' in page


def test_a_pause_of_all_agents_leads_to_the_connections(as_ada, ada, deny, granted):
    pause_all_agents(actor=as_user(ada), user=ada)
    path = deny("consent_paused", consent_id=granted.id)
    assert "You paused all agents." in words_of(as_ada, path)
    assert 'class="button" href="/connections"' in as_ada.get(path).content.decode()


def test_a_question_leads_to_its_approval(as_ada, deny):
    page = as_ada.get(deny("approval_required", metadata={"approvalId": "apr_7"})).content.decode()
    assert 'class="button" href="/approvals/apr_7"' in page


def test_a_question_is_not_a_denial_in_words(as_ada, deny):
    words = words_of(as_ada, deny("approval_required"))
    assert "Send email as you Asked you SmartMail" in words
    assert "Denied" not in words


def test_a_request_that_the_user_denied_before_is_a_denial_in_words(as_ada, deny):
    path = deny("approval_required", metadata={"approvalId": "apr_7", "approvalStatus": "denied"})
    words = words_of(as_ada, path)
    assert "Send email as you Denied SmartMail" in words
    assert "Why it was denied" in words
    assert "The request for approval was denied." in words
    assert "the same one is denied without asking you" in words
    assert "while it waits" not in words
    assert 'class="button" href="/approvals/apr_7"' in as_ada.get(path).content.decode()


def test_a_request_about_which_the_user_was_not_asked_does_not_wait(as_ada, deny):
    words = words_of(as_ada, deny("approval_required", metadata={"retryAfterSeconds": 60}))
    assert "Send email as you Denied SmartMail" in words
    assert "Why it was denied" in words
    assert "It needs an approval, but the agent has asked too often." in words
    assert "The agent asked for too many approvals" in words
    assert "Asked you" not in words
    assert "while it waits" not in words


def test_missing_permissions_are_named(as_ada, deny):
    words = words_of(as_ada, deny("insufficient_scope", metadata={"missingScopes": ["email:send", "acme:x"]}))
    assert "It lacks: Send email as you and acme:x" in words


def test_an_action_that_no_permission_allows_is_not_to_be_asked_for(as_ada, deny, granted):
    words = words_of(as_ada, deny("insufficient_scope", action="payments:refund", consent_id=granted.id))
    assert "No scope covers the action." in words
    assert "There is no permission for this action that the agent could ask you for." in words
    assert "The permission had not been granted." not in words
    assert "let it ask you" not in words


def test_a_policy_is_named_and_quoted(as_ada, deny, policy):
    words = words_of(as_ada, deny("policy_denied", **by_policy(policy)))
    assert "Rule of the agent's developer, who calls it No mail" in words
    assert "Never allowed: everything in “Email”" in words
    assert "You cannot change this rule, but the agent's developer can." in words


def test_a_policy_that_was_changed_since_is_not_quoted(as_ada, deny, policy, developer):
    path = deny("policy_denied", **by_policy(policy))
    rules = [{"type": "action_blocklist", "config": {"actions": ["calendar:*"]}}]
    changes = {"name": "Renamed", "rules": rules}
    update_policy(actor=as_developer(ANONYMOUS, developer), policy=policy, changes=changes)
    words = words_of(as_ada, path)
    assert "who calls it No mail" in words
    assert "calendar:*" not in words
    assert "It has been changed or removed since" in words


def test_a_deleted_policy_keeps_its_name(as_ada, deny, policy):
    path = deny("policy_denied", **by_policy(policy))
    policy.delete()
    assert "who calls it No mail" in words_of(as_ada, path)


def test_a_policy_of_the_service_is_attributed_to_it(as_ada, deny, policy, rival):
    fields = {**by_policy(policy), "policy_organization_id": rival.organization_id}
    words = words_of(as_ada, deny("policy_denied", **fields))
    assert "Rule of the service, which calls it No mail" in words
    assert "You cannot change this rule, but the service can." in words


def test_the_users_own_limit_is_quoted_with_the_time_of_its_end(as_ada, ada, deny, granted):
    terms = GivenTerms(limits={"email:send": [SPEND]})
    narrow_consent(actor=as_user(ada), user=ada, consent=granted, narrowing=Narrowing(terms=terms))
    metadata = {"ruleType": "spend_limit", "limitedBy": "user", "retryAfterSeconds": 3600}
    path = deny("policy_denied", consent_id=granted.id, metadata=metadata)
    words = words_of(as_ada, path)
    assert "A limit of the connection denied it." in words
    assert "Your own limit for this connection" in words
    assert "50.00" in words
    assert "You can only tighten the limits" in words
    assert "The agent may try again after:" in words
    with time_machine.travel(clock.now() + timedelta(hours=1)):
        assert "The agent may try again now." in words_of(as_ada, path)


def test_a_call_without_a_readable_amount_is_not_cured_by_waiting(db):
    """As verify decides it: only what has counted leaves the window."""
    grant = make_grant(email="eve@example.com", developer="maker@example.com", scopes=["email:send"])
    bound(grant, limits={"email:send": [SPEND]})
    client = sign_in(grant.user)
    for context, is_cured in (
        ({"amount": {"value": "50.00", "currency": "EUR"}}, False),
        ({"amount": "much"}, False),
        ({"amount": {"value": "60.00", "currency": "EUR"}}, False),
        ({"amount": {"value": "1.00", "currency": "EUR"}}, True),
    ):
        (decision,) = decide([asking(grant.access_token, "email:send", context=context)])
        words = words_of(client, f"/activity/{decision.audit_id}")
        assert ("The agent may try again after:" in words) == is_cured


def test_an_own_limit_that_is_gone_is_not_quoted(as_ada, deny, granted):
    metadata = {"ruleType": "spend_limit", "limitedBy": "user"}
    words = words_of(as_ada, deny("policy_denied", consent_id=granted.id, metadata=metadata))
    assert "It has been changed or removed since" in words
    assert "The agent may try again after:" not in words


def test_a_sign_in_shows_where_it_came_from(as_ada, ada):
    from accounts.services import record_sign_in

    record_sign_in(actor=ANONYMOUS, user=ada, method="password")
    (entry_id,) = _ids(as_ada, Event.USER_SIGNED_IN)[:1]
    words = words_of(as_ada, f"/activity/{entry_id}")
    assert "You signed in" in words
    assert ANONYMOUS.ip in words
    assert ANONYMOUS.user_agent in words


def test_what_was_erased_is_gone(as_ada, say):
    entry_id = say(outcome=Outcome.ALLOWED, scopes=["email:send"], personal={})
    assert "What the service said" not in words_of(as_ada, f"/activity/{entry_id}")


def _ids(client, event):
    from tests.web.ledger import shown_entries

    return [entry_id for entry_id, found in shown_entries(client).items() if found == event]


def test_the_decision_about_a_request_leads_to_the_request(as_ada, say, granted):
    approval = make_approval(granted)
    for event in (Event.APPROVAL_APPROVED, Event.APPROVAL_DENIED):
        page = as_ada.get(f"/activity/{say(event=event, metadata={'approvalId': approval.id})}").content.decode()
        assert f'<a href="/approvals/{approval.id}">Open the request</a>' in page


def test_an_approval_shows_its_facts_and_what_followed(as_ada, say):
    amount = {"value": "12.50", "currency": "EUR"}
    said = {"personal": {"context": {"recipient": "Shop", "amount": amount}}, "scopes": ["payments:charge"]}
    entry_id = say(event=Event.APPROVAL_APPROVED, metadata={"approvalId": "apr_1"}, **said)
    words = words_of(as_ada, f"/activity/{entry_id}")
    assert "Take payments from you for €12.50: Shop You approved it" in words
    assert "Amount €12.50 Recipient Shop" in words
    assert "The agent has not used this approval." in words
    used = say(outcome=Outcome.ALLOWED, metadata={"approvalId": "apr_1"}, **said)
    other = say(outcome=Outcome.ALLOWED, metadata={"approvalId": "apr_2"}, **said)
    page = as_ada.get(f"/activity/{entry_id}").content.decode()
    assert f'href="/activity/{used}"' in page
    assert other not in page
