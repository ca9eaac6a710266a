"""Each number of the analytics and of the overview leads to exactly as many rows as it says."""

import re
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest
from django.http import QueryDict

from agents.models import Agent
from audit.entries.drafts import Draft
from audit.events import Event, Outcome
from audit.readers.finding import entries_below, sizes
from audit.selectors import entries_for_organization
from audit.sequencing.sequencer import sequence
from core import clock
from core.actor import Actor
from core.ids import new_id
from developers.models import Developer
from insights.services import rebuild
from policies.models import Policy
from tests.audit.journals import write_drafts
from tests.audit.segments import shrink_segments
from tests.shared import rows_of_module
from tests.web.browser.pages import analytics
from tests.web.markup import text_of
from tests.world import ANONYMOUS, Browser, make_agent, make_developer, sign_in
from web.portal.logs.forms import LogFilterForm
from web.portal.logs.names import suggested_names

OWNER = "charts@example.com"
ANALYTICS, OVERVIEW, LOGS = "/developer/analytics", "/developer/", "/developer/logs"
QUERIES = ("period=24h", "period=90d")
NUMBER = re.compile(r'<a href="(/developer/\w+/[a-z]+(?:\?[^"]*)?)">([\d,]+)</a>')
ATTENTION = re.compile(r'<a href="(/developer/\w+/[a-z]+\?[^"]*)">[A-Za-z ]*?(\d+) (?:agent|polic)')
SERVICE = Actor("service", "res_1")
MANY = [f"many:{number}" for number in range(30)]
TIME_WINDOW = {"ruleType": "time_window"}
SPEND = {"ruleType": "spend_limit"}


@pytest.fixture(autouse=True)
def _segments(db, monkeypatch):
    """Some entries are found by postings, and others by their columns."""
    shrink_segments(monkeypatch, 64)


@pytest.fixture(scope="module", autouse=True)
def _sample(django_db_setup, django_db_blocker):
    """Make the pages' sample, and what its numbers could be confused with."""
    with pytest.MonkeyPatch.context() as patch, rows_of_module(django_db_blocker):
        shrink_segments(patch, 64)
        analytics.make()
        write_drafts(list(_confusable(Developer.objects.get(user__email=OWNER))), clock.now())
        sequence()
        rebuild()
        yield


@pytest.fixture
def acme():
    return Developer.objects.get(user__email=OWNER)


def _confusable(developer: Developer) -> Iterator[Draft]:
    """Yield entries that share a rule, a reason, an event or a scope, and still count as something else."""
    owner, rival = developer.organization_id, make_developer("rival@example.com", "Rival").organization_id
    agent, policy = Agent.objects.get(name="Courier"), Policy.objects.get(name="No weekends")
    base: dict[str, Any] = {
        "organization_id": owner,
        "agent_id": agent.id,
        "user_id": "usr_1",
        "scopes": ["email:send"],
    }
    of_rival = {"policy_id": new_id("pol"), "policy_organization_id": rival, "service_organization_ids": [rival]}
    own = {"policy_id": policy.id, "policy_organization_id": owner, "service_organization_ids": [rival]}
    denials: list[dict[str, Any]] = [
        {"reason": "policy_denied", "metadata": SPEND, **own},
        {"reason": "policy_denied", "metadata": SPEND, **of_rival},
        {"reason": "policy_denied", "metadata": {**SPEND, "limitedBy": "user"}},
        {"reason": "policy_denied", "metadata": TIME_WINDOW, **of_rival},
        {"reason": "approval_required", "metadata": TIME_WINDOW, **own},
        {"reason": "approval_required"},
        {"reason": "policy_denied"},
        {"reason": "gone_reason"},
        {"reason": "policy_denied", "metadata": {"ruleType": "gone_rule"}, **own},
        {"reason": "token_revoked", "agent_id": None},
        {"reason": "insufficient_scope", "action": "email:send", "scopes": ["email:read"]},
        {"reason": "insufficient_scope", "scopes": MANY},
        {"reason": "insufficient_scope", "scopes": MANY, "metadata": {"indexedScopes": ["email:send"]}},
    ]
    for place, fields in enumerate(denials, 1):
        yield from [Draft(Event.TOKEN_VERIFY, SERVICE, Outcome.DENIED, **{**base, **fields})] * place
    yield from [Draft(Event.USER_SIGNED_IN, ANONYMOUS, organization_id=owner)] * 2
    yield from _requests(base, owner, rival)


def _requests(base: dict[str, Any], owner: str, rival: str) -> Iterator[Draft]:
    """Yield requests of the rival for our service, of ours for theirs, of a stock client, and grants that ended."""
    declined = {"requestedScopes": ["email:send", "email:read"], "notGranted": ["email:read"]}
    for asker, services in ((rival, [owner]), (owner, [rival]), (None, [owner]), (None, [owner, rival])):
        sides: dict[str, Any] = {**base, "organization_id": asker, "service_organization_ids": services}
        nobody = {**sides, "user_id": None}
        yield Draft(Event.CONSENT_REQUESTED, ANONYMOUS, **nobody)
        yield Draft(Event.CONSENT_APPROVED, ANONYMOUS, Outcome.ALLOWED, **sides)
        yield Draft(Event.CONSENT_APPROVED, ANONYMOUS, Outcome.ALLOWED, metadata=declined, **sides)
        yield Draft(Event.CONSENT_DENIED, ANONYMOUS, Outcome.DENIED, **sides)
        yield Draft(Event.CONSENT_EXPIRED, ANONYMOUS, **nobody)
        yield Draft(Event.CONSENT_EXPIRED, ANONYMOUS, **sides)


def numbers_of(client: Browser, path: str) -> set[tuple[str, int]]:
    """Return the URL and the number of each link of the page whose text has one."""
    page = text_of(client, path)
    found = NUMBER.findall(page) + ATTENTION.findall(page)
    return {(unescape(url), int(number.replace(",", ""))) for url, number in found}


def rows_behind(client: Browser, developer: Developer, names: Any, url: str) -> int:
    """Return the number of rows that the page at the URL lists, on all its pages."""
    path, _, query = url.partition("?")
    if path != client.at(LOGS):
        answer = client.get(url)
        assert answer.context["page"].next_cursor == ""
        return len(answer.context["page"].items)
    form = LogFilterForm(QueryDict(query), names=names)
    assert form.is_valid(), (url, form.errors)
    assert {*form.query().replace("%3A", ":").split("&")} == {*query.replace("%3A", ":").split("&")}
    criteria = entries_for_organization(developer.organization_id, form.filters()).criteria
    return sum(1 for _ in entries_below(sizes()[0], criteria, 500))


def wrong_numbers(client: Browser, developer: Developer, links: set[tuple[str, int]]) -> dict[str, tuple[int, int]]:
    """Return the numbers of a page, and those of the rows behind them, that differ. By URL."""
    assert links
    names = suggested_names(developer)
    found = {url: (number, rows_behind(client, developer, names, url)) for url, number in links}
    return {url: (said, rows) for url, (said, rows) in found.items() if said != rows}


def test_each_number_of_the_analytics_leads_to_as_many_rows(acme):
    client = sign_in(acme.user)
    for query in QUERIES:
        links = numbers_of(client, f"{ANALYTICS}?{query}")
        assert len(links) > 20
        assert wrong_numbers(client, acme, links) == {}
    agent = Agent.objects.get(name="Courier")
    links = numbers_of(client, f"{ANALYTICS}?period=90d&agent={agent.id}")
    assert all(f"agent={agent.id}" in url for url, _ in links)
    assert wrong_numbers(client, acme, links) == {}


def test_the_organization_of_a_service_counts_and_finds_only_its_own_requests(acme):
    """The other's requests are in both logs."""
    rival = Developer.objects.get(user__email="rival@example.com")
    client = sign_in(rival.user)
    assert wrong_numbers(client, rival, numbers_of(client, f"{ANALYTICS}?period=24h")) == {}
    assert {number for url, number in numbers_of(client, ANALYTICS) if "step=" in url or "declined=" in url} == {1}


def test_each_number_of_the_overview_leads_to_as_many_rows(acme):
    agents = list(Agent.objects.filter(organization=acme.organization).order_by("pk"))
    for agent in agents[:2]:
        Agent.objects.filter(pk=agent.pk).update(status=Agent.Status.SUSPENDED)
    Agent.objects.filter(pk=agents[2].pk).update(stopped_at=clock.now())
    Policy.objects.filter(name="No weekends").update(mode=Policy.Mode.SHADOW)
    make_agent(make_developer("third@example.com", "Third"))
    client = sign_in(acme.user)
    numbers = dict(numbers_of(client, OVERVIEW))
    assert {
        f"{client.home}/agents?status=suspended": 2,
        f"{client.home}/policies?status=shadow": 1,
    }.items() <= numbers.items()
    assert wrong_numbers(client, acme, numbers_of(client, OVERVIEW)) == {}


def test_the_overview_shows_decisions_before_the_first_count(acme):
    """The analytics count once per minute."""
    developer = make_developer("new@example.com", "Newcomer")
    agent, other = make_agent(developer), Agent.objects.get(name="Courier")
    for one, number in ((agent, 2), (other, 3)):
        ids: dict[str, Any] = {"organization_id": one.organization_id, "agent_id": one.id, "user_id": "usr_1"}
        write_drafts([Draft(Event.TOKEN_VERIFY, SERVICE, Outcome.ALLOWED, **ids)] * number, clock.now())
    sequence()
    client = sign_in(developer.user)
    assert {number for url, number in numbers_of(client, OVERVIEW) if "outcome=allowed" in url} == {2}
    assert wrong_numbers(client, developer, numbers_of(client, OVERVIEW)) == {}
