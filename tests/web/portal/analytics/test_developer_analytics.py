"""The page of the analytics: its numbers are those of the log, and lead to the rows behind them."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest

from agents.models import Agent
from audit.events import Outcome
from audit.sequencing.sequencer import sequence
from core import clock
from developers.models import Developer
from insights.services import HOURS_LIFETIME, count_log
from tests.audit.journals import write_row
from tests.shared import cases, rows_of_module
from tests.web.browser.pages import analytics
from tests.web.markup import inline_code, main_of, text_of
from tests.world import sign_in
from web.portal.analytics import breakdown
from web.portal.analytics import report as report_module
from web.portal.analytics.charts import nice_top, stacked_bars
from web.portal.analytics.counts import Count, percent
from web.portal.analytics.periods import PERIODS

PATH = "/developer/analytics"
LINK = re.compile(r'<a href="(/developer/[a-z]+\?[^"]*from=[^"]*)">([\d,]+)</a>')


@pytest.fixture(scope="module")
def _sample(django_db_setup, django_db_blocker):
    with rows_of_module(django_db_blocker):
        analytics.make()
        yield


@pytest.fixture
def filled(_sample, db):
    """Return a client and the organization of the pages' sample."""
    developer = Developer.objects.get(user__email="charts@example.com")
    return sign_in(developer.user), developer.organization_id


def links_of(page: str) -> set[tuple[str, int]]:
    return {(unescape(url), int(number.replace(",", ""))) for url, number in LINK.findall(page)}


def test_one_agent_cannot_be_told_apart_by_agents(filled):
    client, _ = filled
    agent = Agent.objects.get(name="Travel Desk")
    page = text_of(client, f"{PATH}?agent={agent.id}&by=agent&period=90d")
    assert f'value="Travel Desk ({agent.id})"' in page
    assert "by=agent" not in main_of(page)


@cases("by", ["outcome", "rule", "agent", "scope"])
def test_the_trend_on_top_is_of_all_decisions_however_they_are_broken_down(filled, by):
    client, _ = filled
    report = client.get(f"{PATH}?period=90d&by={by}").context["report"]
    steps = [sum(cell for cell, _ in step.cells) for step in report.breakdown.steps]
    outcome = client.get(f"{PATH}?period=90d").context["report"]
    assert report.summary.spark == outcome.summary.spark
    if by == "agent":
        # Two of the seven agents have no color of their own.
        assert len(report.breakdown.plot.paths) == 6
        assert sum(steps) < report.summary.decisions.number


def test_the_time_before_is_that_of_all_outcomes_of_what_is_shown(filled, monkeypatch):
    """The page reads only what it compares. It must show the same as if it read everything."""
    client, organization_id = filled
    agent_id, now = Agent.objects.get(name="Courier").id, clock.now()
    fields = {"organization_id": organization_id, "agent_id": agent_id, "scopes": ["files:read"]}
    earlier = now - timedelta(days=7, hours=8)
    write_row(10, earlier, outcome=Outcome.DENIED, reason="insufficient_scope", **fields)
    write_row(300, now - timedelta(minutes=5), outcome=Outcome.ALLOWED, **fields)
    sequence()
    count_log()
    monkeypatch.setattr(breakdown, "LISTED", 3)

    def compared(query):
        report = client.get(f"{PATH}?{query}").context["report"]
        return [row.count for row in report.breakdown.rows], [one.count for one in report.denials]

    by_agent, *others = "by=agent", "by=scope", "by=agent&show=all", "by=rule", f"by=rule&agent={agent_id}"
    shown = [compared(query) for query in (by_agent, *others)]
    assert shown[0][0][0].before >= 10
    monkeypatch.setattr(report_module, "_compared", lambda choice, current: {})
    assert shown == [compared(query) for query in (by_agent, *others)]


def test_names_replace_ids_and_markup_is_escaped(filled):
    client, _ = filled
    Agent.objects.filter(name="Courier").update(name="<b>Courier</b>")
    page = text_of(client, f"{PATH}?period=90d&by=agent")
    assert "<b>Courier" not in client.get(f"{PATH}?period=90d&by=agent").content.decode()
    assert "No weekends" in page
    assert "A limit of the user" in page
    assert "Scope not granted" in page
    assert not re.search(r">\s*agt_", page)
    assert inline_code(client.get(PATH).content) == []


def test_what_was_deleted_or_is_unknown_has_words(filled):
    client, organization_id = filled
    Agent.objects.filter(name="Courier").delete()
    denied = {"organization_id": organization_id, "outcome": Outcome.DENIED, "reason": "policy_denied"}
    own = {"policy_id": "pol_gone", "policy_organization_id": organization_id, "metadata": {"ruleType": "gone_rule"}}
    others = {"policy_id": "pol_9", "policy_organization_id": "org_9", "metadata": {"ruleType": "time_window"}}
    write_row(30, **denied, **own, agent_id="agt_gone")
    write_row(30, **denied, **others, agent_id=None)
    write_row(30, **{**denied, "reason": "new_reason"})
    sequence()
    count_log()
    page = text_of(client, f"{PATH}?period=24h&by=rule")
    known = ("agt_gone", "A deleted policy", "gone_rule", "No agent", "A rule of another organization", "new_reason")
    for words in known:
        assert words in page
    assert "pol_9" not in page


def test_a_long_list_is_shown_on_demand(filled, monkeypatch):
    client, organization_id = filled
    for number in range(12):
        write_row(1, organization_id=organization_id, agent_id=f"agt_{number}", scopes=[f"many:{number}"])
    sequence()
    count_log()
    short = text_of(client, f"{PATH}?by=agent&period=24h")
    assert "Show" in short
    assert "agt_11" not in main_of(short) or "agt_9" not in main_of(short)
    full = text_of(client, f"{PATH}?by=agent&period=24h&show=all")
    assert all(f"agt_{number}" in full for number in range(12))
    assert "more</a>" not in full
    assert "more occurred less often" not in full
    monkeypatch.setattr(breakdown, "ALL_LISTED", 10)
    assert "9 more occurred less often" in text_of(client, f"{PATH}?by=agent&period=24h&show=all")


def test_another_organization_sees_none_of_it(filled, as_rival):
    page = text_of(as_rival, f"{PATH}?period=90d")
    assert "Nothing happened in this period" in page
    assert links_of(page) == set()
    agent = Agent.objects.get(name="Travel Desk")
    assert "Your organization has no agent with this ID." in text_of(as_rival, f"{PATH}?agent={agent.id}")


@cases("query", ["period=1y", "by=person", "show=some", "agent=%00", "period=&by="])
def test_unknown_parameters_change_nothing(as_developer, query):
    page = text_of(as_developer, f"{PATH}?{query}")
    assert '<a href="?period=7d&by=outcome" aria-current="page">7 days</a>' in page


def test_users_who_are_not_developers_see_nothing(as_ada, client):
    assert as_ada.get(PATH).headers["Location"] == "/developer/"
    assert client.get(PATH).headers["Location"].startswith("/accounts/login/")
    assert as_ada.post(PATH).status_code == 405


def test_bars_are_stacked_within_the_plot():
    plot = stacked_bars([[10, 0, 1000], [30, 0, 0]])
    assert (plot.top, plot.width) == (1000, 30)
    assert plot.paths == ["M1 99h8v1h-8zM21 0h8v100h-8z", "M1 96h8v3h-8z"]
    assert stacked_bars([]).paths == []


@cases(("value", "top"), [(0, 1), (1, 1), (7, 8), (10, 10), (11, 20), (1234, 2000), (0.0023, 0.003)])
def test_scales_end_at_round_numbers(value, top):
    assert nice_top(value) == pytest.approx(top)


def test_changes_are_percentages_where_they_say_something():
    assert [Count(*numbers, "").change for numbers in ((12, 10), (5, 10), (10, 10), (3, 0), (0, 3), (200, 1))] == [
        "+20%", "-50%", "±0", "new", "", "",
    ]  # fmt: skip
    assert [percent(1, 3), percent(1, 1000), percent(0, 5), percent(1, 0)] == ["33%", "0.1%", "0%", ""]


@cases("period", PERIODS, ids=lambda period: period.name)
def test_a_period_is_compared_with_what_is_kept_of_the_time_before(period):
    now = datetime(2026, 3, 10, 12, 30, tzinfo=UTC)
    window = period.window(now)
    before = period.window_before(window)
    assert window.until == datetime(2026, 3, 10, 13, tzinfo=UTC)
    assert before.since == window.since - period.length
    if period.name == "90d":
        assert before.until == datetime(2025, 12, 11, tzinfo=UTC)  # whole days
    else:
        assert before.until == window.until - period.length
        assert now - before.until < HOURS_LIFETIME
