"""Backtests on pages: the counts, exactly the calls behind them, and what is only counted."""

from datetime import timedelta

import pytest
import time_machine

from audit.sequencing.sequencer import sequence
from core import clock
from decisions.requests import VerifyRequest
from decisions.services import decide
from decisions.tasks import sweep_backtests
from decisions.whatif import backtests, replaying, simulation
from developers.acting import as_developer as acting_as
from policies.models import Backtest, Policy
from policies.rules import RULES, RuleContext
from policies.rules.ledger import Ledger
from policies.services import create_policy
from tests.log import log_entries
from tests.policies.test_cases import ONE_OF_EACH
from tests.web.markup import words_of
from tests.web.portal.policies.test_developer_policies import BLOCKLIST, form_of
from tests.world import ANONYMOUS, make_agent, make_grant

NO_MAIL = {"type": "action_blocklist", "config": {"actions": ["email:send"]}}
NO_READING = {"type": "action_blocklist", "config": {"actions": ["email:read"]}}
RECIPIENT = {
    "type": "context_match",
    "config": {"conditions": [{"field": "recipient", "operator": "ends_with", "value": "@acme.com"}]},
}


@pytest.fixture
def grant(db):
    return make_grant(scopes=["email:read", "email:send"])


@pytest.fixture
def developer(grant):
    return grant.agent.organization.developers.get()


@pytest.fixture
def calls(grant):
    """Three calls that were allowed, of which two send mail. Return the ids of these two, newest first."""
    token = grant.access_token
    for scope in ("email:send", "email:read", "email:send"):
        decide([VerifyRequest(token, [scope], ANONYMOUS, context={"recipient": "bob@evil.com"})])
    sequence()
    return [one.id for one in log_entries(event="token.verify").order_by("-leaf_index") if one.leaf_index != second()]


def second():
    return log_entries(event="token.verify").order_by("leaf_index")[1].leaf_index


def make_policy(developer, *rules, **fields):
    actor, fields = acting_as(ANONYMOUS, developer), {"name": "Mine", "mode": "shadow", **fields}
    return create_policy(actor=actor, organization=developer.organization, rules=list(rules), **fields)


def run(client, policy, days=7):
    answer = client.post(f"/developer/policies/{policy.id}/backtest", {"days": days})
    assert answer.status_code == 303
    return answer["Location"]


def listed(answer):
    return [entry["id"] for entry in answer.context["entries"]]


def test_a_backtest_shows_exactly_the_calls_that_it_counts(as_developer, developer, calls):
    policy = make_policy(developer, NO_MAIL)
    before = log_entries().count()
    url = run(as_developer, policy)
    page = as_developer.get(url)
    assert "Would have denied 2 of 3 calls" in words_of(page)
    assert "entries" not in page.context
    assert listed(as_developer.get(f"{url}?show=denied")) == calls
    assert "entries" not in as_developer.get(f"{url}?show=allowed").context
    assert url in as_developer.get(f"/developer/policies/{policy.id}/backtest").content.decode()
    assert log_entries().count() == before


def numbers_of(page):
    """Return the numbers of each row of the table, with the ids of the calls to which each leads."""
    rows = [[place.denied, place.asked, place.allowed] for place in page.context["result"].places]
    return [[(one.number, one.url) for one in row] for row in rows]


def test_each_number_by_rule_and_agent_leads_to_exactly_its_calls(as_developer, developer, grant, calls):
    url = run(as_developer, make_policy(developer, NO_READING, NO_MAIL))
    page = as_developer.get(url)
    assert [(place.rule, place.denied.number) for place in page.context["result"].places] == [
        ("Never email:send", 2),
        ("Never email:read", 1),
    ]
    (mail, *others), (reading, *_) = numbers_of(page)
    assert [number for number, _ in others] == [0, 0]
    assert listed(as_developer.get(f"{url}{mail[1]}")) == calls
    (read,) = listed(as_developer.get(f"{url}{reading[1]}"))
    assert {read, *calls} == {*listed(as_developer.get(f"{url}?show=denied"))}
    assert 'href="?show=denied&amp;place=0#calls">2</a>' in page.content.decode()
    for absent in ("2", "999999999"):
        assert "entries" not in as_developer.get(f"{url}?show=denied&place={absent}").context
    assert "entries" not in as_developer.get(f"{url}?show=asked&place=0").context


def test_all_calls_of_a_backtest_are_in_the_log(as_developer, developer, calls):
    page = as_developer.get(run(as_developer, make_policy(developer, NO_MAIL)))
    rows = as_developer.get(page.context["result"].url).context["rows"]
    assert (len(rows), {row.event for row in rows}) == (3, {"token.verify"})


def test_the_rarest_rules_and_agents_are_only_counted(as_developer, developer, calls, monkeypatch):
    monkeypatch.setattr(backtests, "MAX_PLACES", 1)
    page = as_developer.get(run(as_developer, make_policy(developer, NO_READING, NO_MAIL)))
    assert len(page.context["result"].places) == 1
    assert "And 1 rarer pair of a rule and an agent." in words_of(page)


def test_the_list_of_earlier_backtests_reads_no_names(as_developer, developer, calls, django_assert_max_num_queries):
    policy = make_policy(developer, NO_MAIL)
    for _ in range(5):
        run(as_developer, policy)
    path = f"/developer/policies/{policy.id}/backtest"
    as_developer.get(path)
    with django_assert_max_num_queries(6):
        page = as_developer.get(path)
    assert words_of(page).count("Would have denied 2 of 3 calls") == 5


def test_calls_are_only_counted_if_they_would_tell_their_context(as_developer, developer, calls):
    url = run(as_developer, make_policy(developer, RECIPIENT, NO_MAIL))
    page = as_developer.get(f"{url}?show=denied")
    assert "Would have denied 3 of 3 calls" in words_of(page)
    assert "They are counted only" in words_of(page)
    assert "entries" not in page.context
    report = Backtest.objects.get().report
    assert (report["found"], report["places"][0]["found"]) == ({}, {})
    assert page.context["result"].places[0].denied == (3, "")


def test_what_others_policies_read_hides_what_is_newly_allowed(developer):
    draft, stored = Policy(organization=developer.organization, rules=[NO_MAIL]), make_policy(developer, NO_READING)
    assert backtests.shown_changes(draft, stored) == frozenset(replaying.Change)
    make_policy(developer, RECIPIENT, enabled=False)
    assert backtests.shown_changes(draft, stored) == frozenset(replaying.Change)
    make_policy(developer, RECIPIENT)
    assert backtests.shown_changes(draft, stored) == {replaying.Change.NEWLY_DENIED}


class Guarded(dict):
    """A context that nothing may read."""

    def __getattribute__(self, name):
        raise AssertionError(f"The rule reads the context ({name})")

    __getitem__ = __contains__ = __iter__ = __len__ = None


@pytest.mark.parametrize("rule", ONE_OF_EACH, ids=lambda rule: rule.type)
def test_rules_that_say_so_do_not_read_the_context(rule):
    context = RuleContext(clock.now(), "agt_1", ("email:send",), context=Guarded(), labels=frozenset({"outbound"}))
    if not rule.reads_context:
        rule.check(context)
        assert rule.flow(Ledger("pol_1"), context) is None
    assert rule.reads_context is (rule.type in {"cedar", "context_match", "data_flow", "spend_limit"})
    assert {one.type for one in ONE_OF_EACH} == RULES.keys()


def test_only_the_beginning_of_many_calls_is_kept(as_developer, developer, calls, monkeypatch):
    monkeypatch.setattr(replaying, "MAX_FOUND", 1)
    page = as_developer.get(f"{run(as_developer, make_policy(developer, NO_MAIL))}?show=denied")
    assert listed(page) == calls[1:]
    assert "And 1 later call." in words_of(page)


def test_the_calls_are_paged(as_developer, developer, calls, monkeypatch):
    monkeypatch.setattr("web.requests.paging.PAGE_SIZE", 1)
    url = run(as_developer, make_policy(developer, NO_MAIL))
    pages = [as_developer.get(f"{url}?show=denied{after}") for after in ("", "&after=1")]
    assert [listed(page) for page in pages] == [calls[:1], calls[1:]]
    assert tuple(page.context["part"].more for page in pages) == (1, None)
    for wrong in ("x", "-1", "9" * 30):
        assert listed(as_developer.get(f"{url}?show=denied&after={wrong}")) == calls[:1]
    assert listed(as_developer.get(f"{url}?show=denied&after=99")) == []


def test_a_backtest_that_was_cut_says_so(as_developer, developer, calls, monkeypatch):
    monkeypatch.setattr(simulation, "MAX_DECISIONS", 1)
    page = as_developer.get(run(as_developer, make_policy(developer, NO_MAIL)))
    assert "Would have denied 1 of 1 call." in words_of(page)
    assert "took too long and ended before the newest calls" in words_of(page)


def test_a_draft_is_tested_and_then_edited_further(as_developer, developer, calls):
    answer = as_developer.post("/developer/policies/new", form_of(BLOCKLIST, name="Draft", backtest="7"))
    page = as_developer.get(answer["Location"])
    assert "Would have denied 2 of 3 calls" in words_of(page)
    assert not Policy.objects.exists()
    editor = as_developer.get(page.context["edit_url"]).context["editor"]
    assert editor.fields["name"].value() == "Draft"
    assert [rule.wording for rule in editor.rules] == ["Never email:send"]


def test_a_draft_in_place_of_a_policy_allows_what_that_denied(as_developer, developer, grant):
    policy = make_policy(developer, NO_MAIL, mode="enforce")
    token = grant.access_token
    decide([VerifyRequest(token, ["email:send"], ANONYMOUS), VerifyRequest(token, ["email:read"], ANONYMOUS)])
    sequence()
    sent = form_of({**BLOCKLIST, "actions": "email:read"}, backtest="7")
    answer = as_developer.post(f"/developer/policies/{policy.id}/edit", sent)
    page = as_developer.get(f"{answer['Location']}?show=allowed")
    assert "Would have allowed 1 of 2 calls that were denied" in words_of(page)
    assert [entry["outcome"] for entry in page.context["entries"]] == ["denied"]
    policy.refresh_from_db()
    assert policy.rules == [NO_MAIL]
    other = make_policy(developer, NO_READING)
    draft = Backtest.objects.get().id
    assert as_developer.get(f"/developer/policies/{policy.id}/edit?draft={draft}").status_code == 200
    assert as_developer.get(f"/developer/policies/{other.id}/edit?draft={draft}").status_code == 404
    assert as_developer.get(f"/developer/policies/new?draft={draft}").status_code == 404


def test_an_invalid_draft_is_not_tested(as_developer, db):
    answer = as_developer.post("/developer/policies/new", form_of({**BLOCKLIST, "actions": "emial:send"}, backtest="7"))
    assert answer.status_code == 422
    assert 'Did you mean "email:send"?' in words_of(answer)
    assert not Backtest.objects.exists()


@pytest.mark.parametrize("days", ["", "0", "31", "x"])
def test_only_the_offered_days_are_tested(as_developer, developer, days):
    policy = make_policy(developer, NO_MAIL)
    assert as_developer.post(f"/developer/policies/{policy.id}/backtest", {"days": days}).status_code == 422
    assert not Backtest.objects.exists()


def test_backtests_are_throttled_with_replays_of_the_api(as_developer, developer, settings):
    settings.THROTTLE_REPLAY = "1/hour"
    policy = make_policy(developer, NO_MAIL)
    run(as_developer, policy)
    assert as_developer.post(f"/developer/policies/{policy.id}/backtest", {"days": 7}).status_code == 429
    with simulation._place():
        settings.THROTTLE_REPLAY = "9/hour"
        assert as_developer.post(f"/developer/policies/{policy.id}/backtest", {"days": 7}).status_code == 503


def test_old_backtests_are_absent_and_deleted(as_developer, developer, monkeypatch):
    policy = make_policy(developer, NO_MAIL)
    with time_machine.travel(clock.now() - timedelta(days=8)):
        Backtest.objects.create(
            organization=developer.organization, content={}, days=1, report={}, created_at=clock.now()
        )
    old = Backtest.objects.get()
    assert as_developer.get(f"/developer/policies/backtests/{old.id}").status_code == 404
    url = run(as_developer, policy)
    assert sweep_backtests() == 1
    assert as_developer.get(url).status_code == 200
    monkeypatch.setattr(backtests, "MOST_PER_ORGANIZATION", 1)
    newest = run(as_developer, policy)
    assert (as_developer.get(url).status_code, as_developer.get(newest).status_code) == (404, 200)


def test_backtests_of_others_are_absent(as_rival, as_developer, developer, calls):
    policy = make_policy(developer, NO_MAIL, agent=make_agent(developer, name="Other"))
    url = run(as_developer, policy)
    assert as_rival.get(url).status_code == 404
    assert as_rival.get(f"/developer/policies/new?draft={Backtest.objects.get().id}").status_code == 404
    assert as_rival.get(f"/developer/policies/{policy.id}/backtest").status_code == 404
    assert as_rival.post(f"/developer/policies/{policy.id}/backtest", {"days": 7}).status_code == 404
    assert Backtest.objects.count() == 1
