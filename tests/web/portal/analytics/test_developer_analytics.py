"""The page of the analytics: its numbers are those of the log, and lead to the rows behind them."""

import re
from datetime import UTC, datetime
from html import unescape

import pytest

from agents.models import Agent
from audit.events import Outcome
from audit.sequencing.sequencer import sequence
from developers.models import Developer
from insights.services import count_log
from tests.audit.journals import write_row
from tests.shared import cases, rows_of_module
from tests.web.browser.pages import analytics
from tests.web.markup import inline_code, text_of
from tests.world import sign_in
from web.portal.analytics.charts import nice_top, stacked_bars
from web.portal.analytics.periods import PERIODS
from web.portal.analytics.report import percent

PATH = "/developer/analytics"
LINK = re.compile(r'<a href="(/developer/\w+/[a-z]+\?[^"]*from=[^"]*)">([\d,]+)</a>')


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


def test_the_steps_add_up_to_the_totals(filled):
    client, _ = filled
    agent = Agent.objects.get(name="Travel Desk")
    for query in ("period=90d", "period=24h", f"period=30d&agent={agent.id}"):
        decisions = client.get(f"{PATH}?{query}").context["report"].decisions
        sums = [sum(pair[place].number for _, pair in decisions.steps) for place in (0, 1)]
        assert sums == [decisions.allowed.number, decisions.denied.number]


def test_each_chart_has_a_table_with_its_numbers(filled):
    client, _ = filled
    sections = re.findall(r"<section.*?</section>", text_of(client, f"{PATH}?period=90d"), re.DOTALL)
    with_charts = [section for section in sections if '<svg class="chart__plot"' in section]
    assert with_charts
    assert all("<table" in section.partition('<svg class="chart__plot"')[2] for section in with_charts)


def test_one_agent_has_its_name_in_the_field_and_no_list_of_agents(filled):
    client, _ = filled
    agent = Agent.objects.get(name="Travel Desk")
    page = text_of(client, f"{PATH}?agent={agent.id}&period=90d")
    assert f'value="Travel Desk ({agent.id})"' in page
    assert 'id="by-agent"' in text_of(client, f"{PATH}?period=90d")
    assert 'id="by-agent"' not in page


def test_names_replace_ids_and_markup_is_escaped(filled):
    client, _ = filled
    Agent.objects.filter(name="Courier").update(name="<b>Courier</b>")
    page = text_of(client, f"{PATH}?period=90d")
    assert "<b>Courier" not in client.get(f"{PATH}?period=90d").content.decode()
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
    page = text_of(client, f"{PATH}?period=24h")
    known = ("agt_gone", "A deleted policy", "gone_rule", "No agent", "A rule of another organization", "new_reason")
    for words in known:
        assert words in page
    assert "pol_9" not in page


def test_another_organization_sees_none_of_it(filled, as_rival):
    page = text_of(as_rival, f"{PATH}?period=90d")
    assert "Nothing happened in this period" in page
    assert links_of(page) == set()
    agent = Agent.objects.get(name="Travel Desk")
    assert "Your organization has no agent with this ID." in text_of(as_rival, f"{PATH}?agent={agent.id}")


@cases("query", ["period=1y", "period=%00", "by=person", "agent=%00", "period="])
def test_unknown_parameters_change_nothing(as_developer, query):
    page = text_of(as_developer, f"{PATH}?{query}")
    assert '<a href="?period=24h&agent=" aria-current="page">24 hours</a>' in page


def test_a_week_is_the_default_once_there_are_decisions_before_yesterday(filled, as_rival):
    client, _ = filled
    assert '<a href="?period=7d&agent=" aria-current="page">7 days</a>' in text_of(client, PATH)
    assert '<a href="?period=24h&agent=" aria-current="page">24 hours</a>' in text_of(as_rival, PATH)


def test_users_who_are_not_developers_see_nothing(as_ada, client):
    assert as_ada.get(PATH).headers["Location"] == "/developer/"
    assert client.get(PATH).headers["Location"].startswith("/accounts/login/")
    assert as_ada.post(PATH).status_code == 405


def test_bars_are_stacked_within_the_plot():
    plot = stacked_bars([[10, 0, 1000], [30, 0, 0]])
    assert (plot.top, plot.width) == (1000, 30)
    assert plot.paths == ["M1 99h8v1h-8zM21 0h8v100h-8z", "M1 96h8v3h-8z"]


@cases(("value", "top"), [(0, 1), (1, 1), (7, 8), (10, 10), (11, 20), (1234, 2000)])
def test_scales_end_at_round_numbers(value, top):
    assert nice_top(value) == top


def test_shares_are_percentages_where_they_say_something():
    assert [percent(1, 3), percent(1, 1000), percent(0, 5), percent(1, 0)] == ["33%", "0.1%", "0%", ""]


@cases("period", PERIODS, ids=lambda period: period.name)
def test_a_period_ends_with_the_current_hour(period):
    window = period.window(datetime(2026, 3, 10, 12, 30, tzinfo=UTC))
    assert window.until == datetime(2026, 3, 10, 13, tzinfo=UTC)
    assert window.starts()[-1] < window.until <= window.starts()[-1] + period.step
    assert window.since + period.length >= window.until
