"""What a policy that only records has found, and switching it on."""

import pytest

from audit.sequencing.sequencer import sequence
from decisions.requests import VerifyRequest
from decisions.services import decide
from developers.acting import as_developer as acting_as
from policies.services import create_policy, update_policy
from tests.web.markup import words_of
from tests.world import ANONYMOUS, make_grant

NO_MAIL = {"type": "action_blocklist", "config": {"actions": ["email:send"]}}
NO_READING = {"type": "action_blocklist", "config": {"actions": ["email:read"]}}


@pytest.fixture
def grant(db):
    return make_grant(scopes=["email:read", "email:send"])


@pytest.fixture
def developer(grant):
    return grant.agent.organization.developers.get()


@pytest.fixture
def policy(developer):
    actor = acting_as(ANONYMOUS, developer)
    rules = [NO_READING, NO_MAIL]
    return create_policy(actor=actor, organization=developer.organization, name="Trial", rules=rules, mode="shadow")


def call(grant, *scopes):
    decisions = decide([VerifyRequest(grant.access_token, [scope], ANONYMOUS) for scope in scopes])
    sequence()
    return [decision.allowed for decision in decisions]


def open_policy(client, policy):
    return client.get(f"/developer/policies/{policy.id}")


def set_status(client, policy, status):
    return client.post(f"/developer/policies/{policy.id}/status", {"status": status})


def test_findings_are_counted_by_rule_and_lead_to_their_entries(as_developer, grant, policy):
    assert "would have stopped no call" in words_of(open_policy(as_developer, policy))
    assert call(grant, "email:send", "email:read", "email:send") == [True] * 3
    page = open_policy(as_developer, policy)
    findings = page.context["findings"]
    assert (findings.number, findings.is_cut) == (3, False)
    assert [(row.sentence, row.number, row.is_denied) for row in findings.rows] == [
        ("Never email:send", 2, True),
        ("Never email:read", 1, True),
    ]
    entries = as_developer.get(findings.url).context["rows"]
    assert len(entries) == 3


def test_findings_begin_with_the_last_change_of_what_is_decided(as_developer, developer, grant, policy):
    call(grant, "email:send")
    actor = acting_as(ANONYMOUS, developer)
    policy = update_policy(actor=actor, policy=policy, changes={"name": "Renamed"})
    assert open_policy(as_developer, policy).context["findings"].number == 1
    policy = update_policy(actor=actor, policy=policy, changes={"rules": [NO_MAIL]})
    assert open_policy(as_developer, policy).context["findings"].number == 0
    call(grant, "email:send")
    assert open_policy(as_developer, policy).context["findings"].number == 1


def test_many_findings_are_cut(as_developer, grant, policy, monkeypatch):
    monkeypatch.setattr("web.policies.findings.MOST", 2)
    call(grant, "email:send", "email:read", "email:send")
    page = open_policy(as_developer, policy)
    assert page.context["findings"].is_cut
    assert "more than 2 calls" in words_of(page)


def test_a_policy_is_switched_on_and_off(as_developer, grant, policy):
    assert set_status(as_developer, policy, "enforced").status_code == 303
    assert call(grant, "email:send") == [False]
    assert open_policy(as_developer, policy).context["findings"] is None
    set_status(as_developer, policy, "off")
    assert call(grant, "email:send") == [True]
    set_status(as_developer, policy, "shadow")
    policy.refresh_from_db()
    assert (policy.enabled, policy.mode, policy.version) == (True, "shadow", 4)


@pytest.mark.parametrize("status", ["", "on", "ENFORCED"])
def test_an_unknown_status_is_refused(as_developer, policy, status):
    assert set_status(as_developer, policy, status).status_code == 400
    policy.refresh_from_db()
    assert policy.version == 1


def test_another_organization_cannot_switch_it(as_rival, policy):
    assert set_status(as_rival, policy, "off").status_code == 404
    policy.refresh_from_db()
    assert policy.enabled
