"""Downloads of the history: exactly what the pages show."""

import csv
import io
import json
import re
from urllib.parse import urlencode

import pytest
import time_machine
from django.conf import settings

from audit.events import Event, Outcome
from audit.selectors import entries_for_user
from tests.shared import cases
from tests.web.ledger import say_about
from tests.world import make_agent, sign_in_recently
from web.user.activity.exports import COLUMNS

FORMULAS = ["=1+1", "+1", "-1", "@x", "\t=1", '=HYPERLINK("https://x")']


@pytest.fixture
def as_ada(ada):
    return sign_in_recently(ada)


@pytest.fixture
def as_bob(bob):
    return sign_in_recently(bob)


@pytest.fixture
def say(agent, ada):
    return say_about(agent, ada)


@pytest.fixture
def history(say, granted, world, developer, ada):
    """Write entries of every kind."""
    other = make_agent(developer, name="Ledgerbot")
    world.allow(world.ask(other), ada)
    tell = say_about(other, ada)
    for number in range(9):
        say(outcome=Outcome.ALLOWED, scopes=["email:read"], resource=f"https://mail.example/{number}")
        tell(outcome=Outcome.DENIED, reason="insufficient_scope", scopes=["email:send"])
        if number % 4 == 0:
            amount = {"value": "12.50", "currency": "EUR"}
            tell(outcome=Outcome.ALLOWED, scopes=["payments:charge"], personal={"amount": amount})
    return granted


def download(client, path, **query):
    return client.post(f"{path}?{urlencode(query)}")


def table(client, **query):
    response = download(client, "/activity.csv", **query)
    assert response.status_code == 200
    return list(csv.DictReader(io.StringIO(response.getvalue().decode())))


def data(client, **query):
    response = download(client, "/activity.json", **query)
    assert response.status_code == 200
    return json.loads(response.getvalue())["items"]


def on_all_pages(client, query):
    """Return the ids of all entries on the pages, in order."""
    found, path = [], "/activity"
    while path:
        page = client.get(path, query).content.decode()
        found += re.findall('data-entry="([^"]+)"', page)
        following = re.search(r'href="([^"]+)" rel="next"', page)
        path, query = (f"/activity{following[1].replace('&amp;', '&')}", {}) if following else (None, {})
    return found


def test_texts_are_in_the_language_of_the_page(as_ada):
    """The rows are written while they are sent, when the request is over."""
    as_ada.post("/preferences", {"language": "de"})
    assert [row["summary"] for row in table(as_ada) if row["event"] == "user.profile_changed"] == [
        "Ihr Profil wurde geändert"
    ]


def test_has_all_that_the_service_said(as_ada, say):
    context = {"amount": {"value": "10.00", "currency": "EUR", "multiplier": 100}, "account": "DE1"}
    say(outcome=Outcome.ALLOWED, scopes=["email:send"], personal={"context": context, "amount": {"unreadable": True}})
    assert json.loads(table(as_ada)[0]["context"]) == context
    (found,) = (each for each in data(as_ada) if each["event"] == "token.verify")
    assert (found["context"], found["amount"]) == (context, None)


@cases(
    "query",
    [
        {},
        {"outcome": "denied"},
        {"kind": "actions"},
        {"kind": "audit", "since": "2026-01-01"},
        {"q": "mail.example"},
        {"q": "payments", "outcome": "allowed"},
        {"agent": "SmartMail", "kind": "actions", "outcome": "allowed"},
        {"since": "2099-01-01"},
    ],
)
def test_the_rows_are_those_of_all_pages(as_ada, history, monkeypatch, query):
    monkeypatch.setattr("web.user.activity.search.READ", 4)
    monkeypatch.setattr("web.user.activity.search.SEARCHED", 7)
    shown = on_all_pages(as_ada, query)
    # Each line stands where the newest of its entries does.
    assert sorted(shown) == sorted(row["id"] for row in data(as_ada, **query))
    exports = sum(entry.event == Event.AUDIT_EXPORTED for entry in entries_for_user(history.user_id))
    rows = [row["id"] for row in table(as_ada, **query) if row["event"] != Event.AUDIT_EXPORTED]
    assert exports == 1
    assert sorted(rows) == sorted(shown)
    assert rows == sorted(rows, reverse=True)


def test_a_row_says_what_was_touched_and_when(as_ada, say):
    as_ada.cookies["timezone"] = "Europe/Berlin"
    context = {"verb": "send", "recipient": "anna@example.com", "target": "Report.pdf"}
    amount = {"value": "12.50", "currency": "EUR"}
    with time_machine.travel("2026-03-10T12:00:00Z", tick=False):
        entry_id = say(
            outcome=Outcome.ALLOWED,
            scopes=["email:read", "email:send"],
            resource="https://mail.example/7",
            personal={"context": context, "amount": amount},
        )
    (row,) = data(as_ada, until="2026-03-10")
    expected = {
        "id": entry_id,
        "time": "2026-03-10T12:00:00.000000Z",
        "localTime": "2026-03-10 13:00:00+01:00",
        "timeZone": "Europe/Berlin",
        "agent": "SmartMail",
        "outcome": "allowed",
        "summary": "Send an email for €12.50: anna@example.com (Report.pdf) · SmartMail",
        "scopes": ["email:read", "email:send"],
        "recipient": "anna@example.com",
        "target": "Report.pdf",
        "verb": "send",
        "resource": "https://mail.example/7",
        "amount": "12.50",
        "currency": "EUR",
        "reason": None,
    }
    assert {name: row[name] for name in expected} == expected
    assert tuple(row) == ("id", "time", "localTime", "timeZone", *COLUMNS)
    (cells,) = table(as_ada, until="2026-03-10")
    expected |= {"scopes": "email:read email:send", "reason": ""}
    assert {name: cells[name] for name in expected} == expected


@cases("formula", FORMULAS)
def test_no_cell_of_the_table_is_a_formula(as_ada, say, formula):
    say(outcome=Outcome.ALLOWED, scopes=["email:send"], personal={"context": {"recipient": formula}}, resource=formula)
    row = table(as_ada, kind="actions")[0]
    assert not [cell for cell in row.values() if cell.lstrip("\t\r\n").startswith(("=", "+", "-", "@"))]
    assert data(as_ada, kind="actions")[0]["recipient"] == formula.strip()


@cases("text", ["x;=1+1", "x\t=1+1", 'x"=1+1', 'x";"@A1', "x; \uff1d1", "a@b;-1", "x\r\n+1"])
def test_no_cell_is_a_formula_where_other_signs_separate(as_ada, say, text):
    say(outcome=Outcome.ALLOWED, scopes=["email:send"], resource=text)
    written = download(as_ada, "/activity.csv?kind=actions").getvalue().decode()
    cells = re.split(r"[;\t\r\n\"]", written)
    assert not [cell for cell in cells if cell.lstrip(" ").startswith(("=", "+", "-", "@", "\uff1d"))]
    assert data(as_ada, kind="actions")[0]["resource"] == re.sub(r"\s+", " ", text)


def test_a_download_is_logged_and_not_in_itself(as_ada, ada, granted):
    assert "audit.exported" not in [row["event"] for row in table(as_ada)]
    newest = next(iter(entries_for_user(ada.id)))
    assert (newest.event, newest.content["metadata"]) == ("audit.exported", {"format": "csv"})


def test_a_download_is_a_file_that_no_cache_keeps(as_ada):
    response = download(as_ada, "/activity.csv")
    response.getvalue()
    assert response["Content-Disposition"].startswith('attachment; filename="agentgate-activity-')
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert "no-store" in response["Cache-Control"]


def test_downloads_are_throttled(as_ada, monkeypatch):
    monkeypatch.setattr(settings, "THROTTLE_EXPORT", "1/hour")
    table(as_ada)
    response = download(as_ada, "/activity.json")
    assert response.status_code == 429
    assert int(response["Retry-After"]) > 0


def test_a_download_has_a_limit(as_ada, say, monkeypatch):
    monkeypatch.setattr("web.requests.downloads.MAX_ENTRIES", 3)
    for _ in range(3):
        say(outcome=Outcome.ALLOWED, scopes=["email:send"])
    assert len(table(as_ada, kind="actions")) == 3
    response = download(as_ada, "/activity.csv")
    assert response.status_code == 400
    assert "at most 3 entries" in response.content.decode()


def test_a_place_is_free_again_after_a_download_and_after_a_refusal(as_ada, say, monkeypatch):
    monkeypatch.setattr("web.requests.downloads.MAX_ENTRIES", 0)
    for _ in range(3):
        assert download(as_ada, "/activity.csv").status_code == 400
    monkeypatch.undo()
    for _ in range(3):
        table(as_ada)


@cases("path", ["/activity.csv", "/activity.json"])
def test_only_the_user_downloads_their_history(client, as_bob, history, path):
    assert client.post(path)["Location"] == f"/accounts/login/?next={path}"
    assert "SmartMail" not in download(as_bob, path).getvalue().decode()


@cases("path", ["/activity.csv", "/activity.json"])
def test_a_link_downloads_nothing_and_costs_nothing(as_ada, ada, monkeypatch, path):
    monkeypatch.setattr(settings, "THROTTLE_EXPORT", "1/hour")
    for _ in range(2):
        assert as_ada.get(path)["Location"] == "/activity"
    assert Event.AUDIT_EXPORTED not in [entry.event for entry in entries_for_user(ada.id)]
    assert download(as_ada, path).status_code == 200


def test_the_forms_keep_the_filters_in_their_address(as_ada):
    page = as_ada.get("/activity", {"outcome": "denied"}).content.decode()
    assert 'method="post" action="/activity.csv?outcome=denied"' in page
    assert 'method="post" action="/activity.json?outcome=denied"' in page
