"""Replaying a draft in the editor, and what a policy has stopped or would have."""

import pytest

from audit.sequencing.sequencer import sequence
from decisions.requests import VerifyRequest
from decisions.services import decide
from decisions.whatif import simulation
from developers.acting import as_developer as acting_as
from policies.models import Policy
from policies.services import create_policy, update_policy
from tests.log import log_entries
from tests.shared import cases
from tests.web.markup import words_of
from tests.web.portal.policies.test_developer_policies import BLOCKLIST, form_of
from tests.world import ANONYMOUS, make_grant, sign_in_recently

NO_MAIL = {"type": "action_blocklist", "config": {"actions": ["email:send"]}}
NO_READING = {"type": "action_blocklist", "config": {"actions": ["email:read"]}}
NEW = "/developer/policies/new"


@pytest.fixture
def grant(db):
    return make_grant(scopes=["email:read", "email:send"])


@pytest.fixture
def developer(grant):
    return grant.agent.organization.developers.get()


@pytest.fixture
def as_developer(developer):
    return sign_in_recently(developer.user)


@pytest.fixture
def policy(developer):
    actor = acting_as(ANONYMOUS, developer)
    rules = [NO_READING, NO_MAIL]
    return create_policy(actor=actor, organization=developer.organization, name="Trial", rules=rules, mode="shadow")


def call(grant, *scopes):
    decisions = decide([VerifyRequest(grant.access_token, [scope], ANONYMOUS) for scope in scopes])
    sequence()
    return [decision.allowed for decision in decisions]


def replay(client, *rules, url=NEW, days="7", **fields):
    return client.post(url, form_of(*rules, **{"name": "", "replay": days, **fields}))


def test_a_replay_counts_by_rule_and_agent_and_writes_nothing(as_developer, grant):
    call(grant, "email:send", "email:read", "email:send")
    entries = log_entries().count()
    page = replay(as_developer, {**BLOCKLIST, "actions": "email:read"}, {**BLOCKLIST, "actions": "email:send"})
    assert page.status_code == 200
    assert page.context["replayed"].sentences == ["Would have denied 3 of 3 calls."]
    assert [(row.rule, row.agent, row.denied) for row in page.context["replayed"].places] == [
        ("Never allowed: email:send", grant.agent.name, 2),
        ("Never allowed: email:read", grant.agent.name, 1),
    ]
    assert (Policy.objects.count(), log_entries().count()) == (0, entries)


def test_a_draft_in_place_of_a_policy_allows_what_that_denied(as_developer, grant, policy):
    url = f"/developer/policies/{policy.id}"
    as_developer.post(f"{url}/status", {"status": "enforced"})
    assert call(grant, "email:send") == [False]
    page = replay(as_developer, url=f"{url}/edit", version="2")
    assert page.context["replayed"].sentences == ["Would have allowed 1 of 1 call that was denied."]
    assert "Trial" in words_of(page)


def test_a_replay_of_no_calls_says_so(as_developer, grant):
    assert "There were no calls." in words_of(replay(as_developer, BLOCKLIST))


def test_a_replay_that_was_cut_says_so(as_developer, grant, monkeypatch):
    call(grant, "email:send", "email:send")
    monkeypatch.setattr(simulation, "MAX_DECISIONS", 1)
    page = replay(as_developer, {**BLOCKLIST, "actions": "email:send"})
    assert page.context["replayed"].sentences == ["Would have denied 1 of 1 call."]
    assert "The replay took too long" in words_of(page)


def test_the_rarest_rules_and_agents_are_only_counted(as_developer, grant, monkeypatch):
    monkeypatch.setattr("web.portal.policies.replays.MAX_PLACES", 1)
    call(grant, "email:send", "email:read")
    page = replay(as_developer, {**BLOCKLIST, "actions": "email:read"}, {**BLOCKLIST, "actions": "email:send"})
    assert "And 1 less frequent combination of rule and agent." in words_of(page)


def test_an_invalid_draft_is_not_replayed(as_developer, grant):
    page = replay(as_developer, {**BLOCKLIST, "actions": "emial:send"})
    assert (page.status_code, page.context["replayed"]) == (422, None)


def test_replays_are_throttled_with_those_of_the_api(as_developer, grant, monkeypatch):
    monkeypatch.setattr("decisions.whatif.simulation.REPLAY_RATE", "1/hour")
    assert replay(as_developer, BLOCKLIST).status_code == 200
    body = {"policy": {"rules": [NO_MAIL]}, "replay": {"days": 1}}
    assert as_developer.post("/api/v1/policies/simulate", body, content_type="application/json").status_code == 429
    assert "Too many" in words_of(replay(as_developer, BLOCKLIST))


def open_policy(client, policy):
    return client.get(f"/developer/policies/{policy.id}")


def set_status(client, policy, status):
    return client.post(f"/developer/policies/{policy.id}/status", {"status": status})


def number_listed(client, count):
    return len(client.get(count.url).context["rows"])


def test_what_a_policy_that_only_records_has_found_leads_to_exactly_these_entries(as_developer, grant, policy):
    assert "of no calls yet" in words_of(open_policy(as_developer, policy))
    assert call(grant, "email:send", "email:read", "email:send") == [True] * 3
    found = open_policy(as_developer, policy).context["recorded"]
    assert (found.stopped.number, number_listed(as_developer, found.stopped)) == (3, 3)
    assert (found.calls.number, number_listed(as_developer, found.calls)) == (3, 3)


def test_findings_begin_with_the_last_change_of_what_is_decided(as_developer, developer, grant, policy):
    call(grant, "email:send")
    actor = acting_as(ANONYMOUS, developer)
    policy = update_policy(actor=actor, policy=policy, changes={"name": "Renamed"})
    assert open_policy(as_developer, policy).context["recorded"].stopped.number == 1
    policy = update_policy(actor=actor, policy=policy, changes={"rules": [NO_MAIL]})
    assert open_policy(as_developer, policy).context["recorded"].stopped.number == 0


def test_a_policy_in_force_says_how_many_calls_it_has_stopped(as_developer, grant, policy):
    assert open_policy(as_developer, policy).context["stopped"] is None
    set_status(as_developer, policy, "enforced")
    assert call(grant, "email:send", "calendar:freebusy") == [False, False]
    stopped = open_policy(as_developer, policy).context["stopped"]
    assert (stopped.number, number_listed(as_developer, stopped)) == (1, 1)


def test_a_policy_is_switched_on_and_off(as_developer, grant, policy):
    assert set_status(as_developer, policy, "enforced").status_code == 303
    assert call(grant, "email:send") == [False]
    assert open_policy(as_developer, policy).context["recorded"] is None
    set_status(as_developer, policy, "off")
    assert call(grant, "email:send") == [True]
    set_status(as_developer, policy, "shadow")
    policy.refresh_from_db()
    assert (policy.enabled, policy.mode, policy.version) == (True, "shadow", 4)


@cases("status", ["", "on", "ENFORCED"])
def test_an_unknown_status_is_refused(as_developer, policy, status):
    assert set_status(as_developer, policy, status).status_code == 400
    policy.refresh_from_db()
    assert policy.version == 1


def test_another_organization_cannot_switch_it(as_rival, policy):
    assert set_status(as_rival, policy, "off").status_code == 404
    policy.refresh_from_db()
    assert policy.enabled
