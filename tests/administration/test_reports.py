"""Users report entries as not theirs, and agents. No page of the admin site says who did, as the pages promise."""

import re
from dataclasses import dataclass
from html import unescape
from typing import Any

import pytest
from django.test import Client

from agents.models import ReportedAgent
from agents.reports import mark_reported
from audit.models import Entry
from audit.selectors import entries_for_user
from audit.sequencing.sequencer import sequence
from tests.administration.test_edits import page_url
from tests.administration.test_log_pages import listed
from tests.administration.test_pages import form_url, list_url
from tests.administration.test_roles import SAFETY, SUPPORT, member
from tests.administration.test_words import words
from tests.administration.world import World, sign_in
from tests.audit.journals import decision as decided
from tests.audit.journals import write_drafts
from tests.log import log_entries
from tests.shared import cases

EVENT = "user.activity_disputed"
WORDS = "It says that it is my bank."
ADDRESS, DEVICE = "203.0.113.80", "Lynx/2.9"


@dataclass
class Report:
    """A report, the page on which its user decided about it, and all that would lead an administrator to its user."""

    id: str
    request_id: str
    page: str
    traces: list[str]


@pytest.fixture(params=[True, False], ids=["logged", "waiting"])
def report(world: World, request: Any) -> Report:
    """Let Ada report on the page what the agent did."""
    ids = {"user_id": world.ada.id, "agent_id": world.agent.id, "consent_id": world.consent.id}
    (entry,) = write_drafts([decided(**ids, organization_id=world.developer.organization_id)])
    path = f"/activity/{entry.id}/dispute"
    browser = sign_in(world.ada)
    page = unescape(browser.get(path).content.decode())
    answer = browser.post(path, {"stop": "nothing"}, REMOTE_ADDR=ADDRESS, HTTP_USER_AGENT=DEVICE)
    assert answer.status_code == 303
    if request.param:
        sequence()
    (found,) = [one for one in entries_for_user(world.ada.id) if one.event == EVENT]
    content = found.content
    assert content["actor"]["id"] == world.ada.id
    assert found.personal["ip"] == ADDRESS
    traces = [world.ada.id, world.ada.email, world.consent.id, entry.id, content["requestId"], ADDRESS, DEVICE]
    return Report(found.id, content["requestId"], page, traces)


@pytest.fixture
def reader(world: World) -> Client:
    return sign_in(member(SAFETY))


def row_of(html: str, entry_id: str) -> str:
    """Return the row of an entry in a table of the log."""
    (row,) = [row for row in html.split("<tr") if form_url(Entry(pk=entry_id)) in row]
    return row


def test_its_page_leads_to_the_agent_and_not_to_the_user(
    site: Client, reader: Client, world: World, report: Report
) -> None:
    for browser in (site, reader, sign_in(member(SUPPORT))):
        html = browser.get(form_url(Entry(pk=report.id))).content.decode()
        main = html[html.index("<main") :]
        assert [one for one in report.traces if one in main] == []
        assert form_url(world.agent) in main
        assert "Activity was reported as unauthorized." in words(html)
        assert "token.verify" in words(html)


def test_lists_and_searches_name_only_the_agent(reader: Client, world: World, report: Report) -> None:
    pages = [
        reader.get(list_url(Entry), {"event__exact": EVENT}),
        reader.get(list_url(Entry), {"q": world.agent.id}),
        reader.get("/admin/search/", {"q": report.id}),
        reader.get(form_url(world.agent)),
    ]
    for page in pages:
        row = row_of(page.content.decode(), report.id)
        assert [one for one in report.traces if one in row] == []
        assert ("SmartMail" in row) is (page is not pages[-1])  # which is the page of the agent


def test_no_search_by_what_names_the_user_finds_it(reader: Client, world: World, report: Report) -> None:
    assert report.id in listed(reader)
    for text in (world.ada.id, world.consent.id, report.request_id):
        assert report.id not in listed(reader, q=text)
        assert listed(reader, q=text, event__exact=EVENT) == []
    assert listed(reader, actor=world.ada.id, event__exact=EVENT) == []
    assert listed(reader, actor=world.ada.id, q=report.id) == []
    assert report.id in listed(reader, actor="user")
    for page in (reader.get(form_url(world.ada)), reader.get("/admin/search/", {"q": report.request_id})):
        assert report.id not in page.content.decode()


@cases("filters", [{}, {"event__exact": EVENT}])
def test_it_is_a_cursor_of_no_list_that_names_a_person(
    site: Client, world: World, report: Report, filters: Any
) -> None:
    """It was accepted in the list of its user only, which told administrators who the user is."""
    subjects = [{"q": one} for one in (world.ada.id, world.developer.user_id, world.consent.id, report.request_id)]
    for subject in (*subjects, {"actor": world.ada.id}):
        assert site.get(list_url(Entry), {**subject, **filters, "cursor": report.id}).status_code == 400
    assert site.get(list_url(Entry), {"q": world.agent.id, "cursor": report.id}).status_code == 200


def test_it_leaves_no_gap_in_what_is_listed_of_its_user(site: Client, world: World, report: Report) -> None:
    """A page had one row less, or led on with the id of the report."""
    ids = {"user_id": world.ada.id, "agent_id": world.agent.id, "consent_id": world.consent.id}
    drafts = [decided(**ids, organization_id=world.developer.organization_id) for _ in range(49)]
    write_drafts(drafts[:9])
    assert site.get(form_url(world.ada)).content.decode().count(f'href="{list_url(Entry)}log_') == 10
    write_drafts(drafts[9:])
    found = site.get(list_url(Entry), {"q": world.ada.id}).context["cl"]
    assert len(found.result_list) == 36
    assert report.id not in found.older


def test_the_page_of_the_report_promises_that(report: Report) -> None:
    assert "a user reported an entry of this agent, but not which user or which entry." in report.page
    assert "What you stop or end is logged like everything you do" in report.page


def test_the_user_and_the_developer_still_read_it(world: World, report: Report) -> None:
    answer = sign_in(world.ada).get(f"/activity/{report.id}")
    assert ADDRESS in answer.content.decode()
    page = sign_in(world.developer.user).get(f"/developer/{world.developer.organization_id}/logs/{report.id}")
    assert world.ada.id in page.content.decode()
    assert [one for one in (world.ada.email, ADDRESS, DEVICE) if one in page.content.decode()] == []


def test_administrators_read_why_an_agent_was_reported_and_not_by_whom(
    site: Client, reader: Client, world: World
) -> None:
    path, browser = f"/agents/{world.agent.id}/report", sign_in(world.ada)
    assert "but do not see who you are" in browser.get(path).content.decode()
    given = {"concern": "deceptive", "text": WORDS}
    assert browser.post(path, given, REMOTE_ADDR=ADDRESS, HTTP_USER_AGENT=DEVICE).status_code == 303
    (found,) = [one for one in entries_for_user(world.ada.id) if one.event == "agent.reported"]
    for page in (site, reader):
        for url in (form_url(Entry(pk=found.id)), form_url(world.agent)):
            html = page.get(url).content.decode()
            main = html[html.index("<main") :] if "/entry/" in url else row_of(html, found.id)
            assert WORDS in main
            assert "deceptive" in main
            traces = (world.ada.id, world.ada.email, found.content["requestId"], ADDRESS, DEVICE)
            assert [one for one in traces if one in main] == []
        assert found.id not in page.get(form_url(world.ada)).content.decode()
        assert found.id not in listed(page, q=world.ada.id)


def test_a_reported_agent_is_listed_until_it_is_reviewed(reader: Client, world: World) -> None:
    assert "Reported agents <span" not in reader.get("/admin/").content.decode()
    sign_in(world.ada).post(f"/agents/{world.agent.id}/report", {"concern": "other"})
    home = reader.get("/admin/").content.decode()
    assert form_url(world.agent) in home[home.index("Reported agents") : home.index("New agents")]
    page = reader.get(form_url(world.agent)).content.decode()
    assert "1 new report" in page
    (url,) = re.findall(r'href="([^"]+)">Reports about it', page)
    assert [row.event for row in reader.get(unescape(url)).context["cl"].result_list] == ["agent.reported"]
    url = page_url(type(world.agent), "act", world.agent.pk, "review")
    asked = reader.get(url).content.decode()
    (decided_on,) = re.findall(r'name="decided_on" value="([^"]*)"', asked)
    mark_reported(world.agent.id)
    sent = {"confirmed": "yes", "reason": "A misunderstanding.", "decided_on": unescape(decided_on)}
    assert reader.post(url, sent).status_code == 422  # another report came meanwhile
    (decided_on,) = re.findall(r'name="decided_on" value="([^"]*)"', reader.get(url).content.decode())
    assert reader.post(url, {**sent, "decided_on": unescape(decided_on)}).status_code == 303
    assert log_entries(event="agent.reviewed").count() == 1
    assert "Reported agents <span" not in reader.get("/admin/").content.decode()


def test_a_disputed_entry_of_an_agent_is_a_report_about_it(world: World, report: Report) -> None:
    assert ReportedAgent.objects.get().agent_id == world.agent.id
    reader = sign_in(member(SAFETY))
    for page, link in ((form_url(world.agent), "Reported activity"), ("/admin/", "Activity that users reported")):
        (url,) = re.findall(rf'href="([^"]+)">{link}', reader.get(page).content.decode())
        assert report.id in [row.pk for row in reader.get(unescape(url)).context["cl"].result_list]
