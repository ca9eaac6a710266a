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


def shares(page):
    return [(one.sentence, one.url) for one in page.context["findings"].shares]


def ids_at(client, url):
    """Return the ids of the entries that a page lists, from the log or from the findings."""
    context = client.get(url).context
    return [row.id for row in context["rows"]] if "rows" in context else [one["id"] for one in context["entries"]]


def test_each_number_of_the_findings_leads_to_exactly_its_entries(as_developer, grant, policy):
    assert "There were no calls yet." in words_of(open_policy(as_developer, policy))
    assert call(grant, "email:send", "email:read", "email:send") == [True] * 3
    page = open_policy(as_developer, policy)
    findings = page.context["findings"]
    assert [(row.sentence, row.count.number, row.is_denied) for row in findings.rows] == [
        ("Never email:send", 2, True),
        ("Never email:read", 1, True),
    ]
    mail, reading = (ids_at(as_developer, row.count.url) for row in findings.rows)
    assert (len(mail), len(reading), set(mail) & set(reading)) == (2, 1, set())
    ((sentence, url),) = shares(page)
    assert sentence == "Would have denied 3 of 3 calls"
    assert sorted(ids_at(as_developer, url)) == sorted([*mail, *reading])
    assert (findings.calls.number, len(ids_at(as_developer, findings.calls.url))) == (3, 3)


def test_rules_of_one_type_and_what_users_would_be_asked_are_told_apart(as_developer, developer, grant):
    guard = {"type": "data_flow", "config": {"windowSeconds": 60, "then": "ask"}}
    rules = [{**NO_READING, "config": {"actions": ["calendar:*"]}}, NO_MAIL, guard]
    actor = acting_as(ANONYMOUS, developer)
    policy = create_policy(actor=actor, organization=developer.organization, name="Trial", rules=[guard], mode="shadow")
    other = create_policy(actor=actor, organization=developer.organization, name="Both", rules=rules, mode="shadow")
    decide([VerifyRequest(grant.access_token, ["email:read", "email:send"], ANONYMOUS)])
    page = open_policy(as_developer, policy)
    denied, asked = shares(page)
    assert denied == ("Would have denied 0 of 1 call", "")
    assert asked[0] == "Would have asked the user about 1 of 1 call"
    assert len(ids_at(as_developer, asked[1])) == 1
    (row,) = open_policy(as_developer, other).context["findings"].rows
    assert (row.sentence, row.is_denied) == ("Never email:send", True)


def test_a_place_without_findings_lists_no_calls(as_developer, grant, policy):
    call(grant, "email:send")
    url = f"/developer/policies/{policy.id}/findings"
    assert len(ids_at(as_developer, url)) == 1
    for query in ("rule=0", "rule=x", "agent=agt_other", "would=asked", "would=denied&rule=9"):
        page = as_developer.get(f"{url}?{query}")
        assert (page.status_code, page.context["entries"]) == (200, [])
        assert "No calls." in words_of(page)


def test_findings_begin_with_the_last_change_of_what_is_decided(as_developer, developer, grant, policy):
    call(grant, "email:send")
    actor = acting_as(ANONYMOUS, developer)
    policy = update_policy(actor=actor, policy=policy, changes={"name": "Renamed"})
    assert open_policy(as_developer, policy).context["findings"].listed == 1
    policy = update_policy(actor=actor, policy=policy, changes={"rules": [NO_MAIL]})
    assert open_policy(as_developer, policy).context["findings"].listed == 0
    call(grant, "email:send")
    assert open_policy(as_developer, policy).context["findings"].listed == 1


def test_many_findings_are_all_counted_and_the_newest_are_listed(as_developer, grant, policy, monkeypatch):
    monkeypatch.setattr("web.portal.policies.findings.MOST", 2)
    call(grant, "email:send", "email:read", "email:send")
    page = open_policy(as_developer, policy)
    ((sentence, url),) = shares(page)
    assert sentence == "Would have stopped 3 of 3 calls"
    assert len(ids_at(as_developer, url)) == 3
    assert "The newest 2 by rule and agent" in words_of(page)
    assert [row.count.number for row in page.context["findings"].rows] == [1, 1]
    assert "The log has all of them." in words_of(as_developer.get(f"/developer/policies/{policy.id}/findings"))


def test_a_policy_in_force_says_how_many_calls_it_has_stopped(as_developer, grant, policy):
    assert open_policy(as_developer, policy).context["stopped"] is None
    set_status(as_developer, policy, "enforced")
    assert call(grant, "email:send", "calendar:freebusy") == [False, False]
    stopped = open_policy(as_developer, policy).context["stopped"]
    assert (stopped.number, len(ids_at(as_developer, stopped.url))) == (1, 1)


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


def test_another_organization_cannot_switch_it_and_sees_no_findings(as_rival, policy):
    assert as_rival.get(f"/developer/policies/{policy.id}/findings").status_code == 404
    assert set_status(as_rival, policy, "off").status_code == 404
    policy.refresh_from_db()
    assert policy.enabled
