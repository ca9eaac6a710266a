"""Downloads of the organization's log: exactly what the pages show."""

import csv
import io
import json
from urllib.parse import urlencode

import pytest

from core import clock
from core.actor import Actor
from core.errors import NotAuthenticated
from developers.models import Developer
from tests.shared import cases
from tests.web.developer_log import FOREIGN_REQUEST, REQUEST


def table(client, **query):
    answer = client.post(f"/developer/logs.csv?{urlencode(query)}")
    assert answer.status_code == 200
    return list(csv.DictReader(io.StringIO(answer.getvalue().decode())))


def data(client, **query):
    return json.loads(client.post(f"/developer/logs.json?{urlencode(query)}").getvalue())["items"]


@cases(
    "query",
    [
        {},
        {"outcome": "denied"},
        {"rule": "rate_limit"},
        {"request": REQUEST, "action": "email:send"},
        {"request": FOREIGN_REQUEST},
        {"agent": "SmartMail", "server": "Service"},
        {"from": "2099-01-01"},
    ],
)
def test_they_have_what_all_pages_show(as_developer, write, limited, query, monkeypatch):
    monkeypatch.setattr("web.portal.logs.views.ROWS", 5)
    for number in range(8):
        write(actor=Actor("service", request_id=FOREIGN_REQUEST if number % 3 == 0 else REQUEST))
    shown, cursor = [], ""
    while True:
        answer = as_developer.get("/developer/logs", {**query, "cursor": cursor})
        shown += [row.id for row in answer.context["rows"]]
        if not (cursor := answer.context["page"].next_cursor):
            break
    assert [one["id"] for one in data(as_developer, **query)] == shown
    exports = 1 if query == {} else 0  # the first download is in the log by now
    assert [one["id"] for one in table(as_developer, **query)][exports:] == shown


def test_a_search_leads_to_the_page_that_has_its_filters(as_developer, limited):
    answer = as_developer.post("/developer/logs.csv?q=outcome:allowed")
    assert (answer.status_code, answer["Location"]) == (303, f"{as_developer.home}/logs?q=outcome%3Aallowed")


@cases("name", ["csv", "json"])
def test_an_invalid_filter_leads_back_to_the_page_that_says_so(as_developer, limited, name):
    answer = as_developer.post(f"/developer/logs.{name}?outcome=denied&agent=nobody")
    assert (answer.status_code, answer["Location"]) == (303, f"{as_developer.home}/logs?outcome=denied&agent=nobody")


def test_a_row_says_what_the_organization_may_know(as_developer, limited, policy, agent, server):
    (row,) = data(as_developer, rule="rate_limit")
    expected = {
        "id": limited,
        "outcome": "denied",
        "reason": "policy_denied",
        "rule": "rate_limit",
        "policy": "Office hours",
        "policyId": policy.id,
        "agent": "SmartMail",
        "agentId": agent.id,
        "actorId": server.id,
        "actorName": "Service",
        "ip": "198.51.100.9",
        "requestId": REQUEST,
    }
    assert expected.items() <= row.items()


def test_a_spreadsheet_evaluates_nothing_that_an_agent_sends(as_developer, write):
    formulas = ("=1+1", "+1", "-1", "@SUM(1)", "\uff1d1+1")
    for formula in formulas:
        write(action=formula)
    written = {row["action"] for row in table(as_developer)}
    assert {f"'{formula}" for formula in formulas} <= written
    assert written.isdisjoint(formulas)


def test_it_is_logged_and_others_get_nothing_of_it(as_developer, as_rival, denied):
    assert denied in [row["id"] for row in table(as_developer)]
    assert denied not in [row["id"] for row in table(as_rival)]
    assert [row["outcome"] for row in data(as_developer, event="audit.exported")] == ["info"]


@cases("name", ["csv", "json"])
def test_it_breaks_off_when_its_reader_leaves(as_developer, developer, write, monkeypatch, name):
    monkeypatch.setattr("web.portal.logs.exports.READ", 2)
    for _number in range(4):
        write()
    pieces = as_developer.post(f"/developer/logs.{name}").streaming_content
    next(pieces), next(pieces)
    Developer.objects.filter(pk=developer.pk).update(ended_at=clock.now())
    with pytest.raises(NotAuthenticated):
        list(pieces)


def test_too_many_entries_are_refused(as_developer, denied, monkeypatch):
    monkeypatch.setattr("web.requests.downloads.MAX_ENTRIES", 1)
    answer = as_developer.post("/developer/logs.csv")
    assert answer.status_code == 400
    assert "at most 1 entries" in answer.content.decode()


def test_a_link_to_a_download_leads_to_the_page(as_developer):
    assert as_developer.get(f"{as_developer.home}/logs.csv")["Location"] == f"{as_developer.home}/logs"
