"""The admin list of the log: all entries, wherever they are, page by page, by filters and ids."""

import re
from datetime import timedelta
from html import unescape
from typing import Any
from urllib.parse import parse_qs

from django.test import Client

from agents.services import stop_agent
from audit.entries.personal_keys import destroy_keys
from audit.events import Outcome
from audit.models import Entry
from audit.sequencing.sequencer import sequence
from core import clock
from core.actor import SYSTEM
from core.ids import new_id
from tests.administration.test_pages import form_url, list_url
from tests.administration.world import World
from tests.audit.journals import ACTOR, write_drafts, write_row
from tests.audit.journals import decision as decided
from tests.shared import cases


def listed(site: Client, **query: str) -> list[str]:
    """Return the ids on all pages."""
    ids: list[str] = []
    url = list_url(Entry)
    answer = site.get(url, query)
    while True:
        assert answer.status_code == 200
        changelist = answer.context["cl"]
        ids += [row.pk for row in changelist.result_list]
        if not changelist.older:
            return ids
        assert len(changelist.result_list) == 36
        answer = site.get(url + changelist.older)


def test_all_entries_are_listed_newest_first_page_by_page(site: Client, world: World) -> None:
    logged = [one.id for one in write_row(70)]
    sequence()
    waiting = [one.id for one in write_row(70)]
    ids = listed(site)
    assert ids[:140] == [*waiting[::-1], *logged[::-1]]
    assert len(ids) == len(set(ids)) == Entry.objects.count() + 70


@cases("is_logged", [True, False])
def test_filters_and_searches_combine(site: Client, world: World, is_logged: bool) -> None:
    fields = {"organization_id": "org_7", "user_id": "usr_7", "agent_id": "agt_7", "consent_id": "cns_7"}
    wanted, other = write_drafts([decided(**fields), decided(**fields, outcome=Outcome.DENIED)])
    write_row(1)
    if is_logged:
        sequence()
    for text in fields.values():
        assert listed(site, q=text) == [other.id, wanted.id]
        assert listed(site, q=text, outcome__exact="allowed", event__exact="token.verify", days="1") == [wanted.id]
    assert listed(site, q=wanted.id) == [wanted.id]
    assert listed(site, q=wanted.id, outcome__exact="denied") == []
    assert listed(site, q="log_" + "0" * 32) == []


@cases("is_logged", [True, False])
def test_a_request_is_searched_for_if_its_id_is_our_own(site: Client, world: World, is_logged: bool) -> None:
    request_id = new_id("req")
    wanted, _other = write_drafts([decided(actor=ACTOR._replace(request_id=request_id)), decided()])
    if is_logged:
        sequence()
    assert listed(site, q=request_id) == [wanted.id]
    answer = site.get(list_url(Entry), {"q": "req_chosen"})
    assert "Nothing was searched." in answer.content.decode()
    assert list(answer.context["cl"].result_list) == []


def test_the_filters_name_outcomes_as_the_rows_do(site: Client, world: World) -> None:
    html = site.get(list_url(Entry)).content.decode()
    for value, words in (("allowed", "Allowed"), ("denied", "Denied"), ("info", "Recorded")):
        assert f'<a href="?outcome__exact={value}">{words}</a>' in html
    rows = re.findall(r"<code>([^<]+)</code></span></div></th>\s*<td[^>]*><span[^>]*>([^<]+)", html)
    assert {words for event, words in rows if event == "user.signed_in"} == {"Recorded"}


def test_the_age_is_that_of_the_timestamp(site: Client, world: World) -> None:
    (old,) = write_row(1, clock.now() - timedelta(days=2), user_id="usr_7")
    assert [listed(site, q="usr_7", days=days) for days in ("1", "7")] == [[], [old.id]]


@cases("is_logged", [True, False])
def test_who_acted_is_a_filter_by_kind_or_by_administrator(site: Client, world: World, is_logged: bool) -> None:
    stop_agent(actor=SYSTEM.acting_as("administrator", world.administrator.id), agent=world.agent, reason="Spam.")
    if is_logged:
        sequence()
    assert len(listed(site, actor="administrator")) == len(listed(site, actor=world.administrator.id)) == 1
    assert listed(site, actor=world.ada.id, event__exact="agent.stopped") == []
    assert len(listed(site, actor="developer")) > 1


def test_a_number_links_to_a_time_in_the_log(site: Client, world: World) -> None:
    now = clock.now()
    ids = [write_row(1, now - timedelta(hours=ago), user_id="usr_7")[0].id for ago in (3, 2, 1)]
    ends = {"from": (now - timedelta(hours=2)).isoformat(), "to": (now - timedelta(hours=1)).isoformat()}
    assert listed(site, q="usr_7", **ends) == [ids[1]]
    assert "Clear filters" in site.get(list_url(Entry), ends).content.decode()


@cases("is_logged", [True, False])
def test_a_number_links_to_reasons_in_the_log(site: Client, world: World, is_logged: bool) -> None:
    reasons = ("policy_denied", "approval_required", "token_expired")
    denied = [decided(user_id="usr_7", outcome=Outcome.DENIED, reason=reason) for reason in reasons]
    policy, _asked, expired = write_drafts(denied)
    if is_logged:
        sequence()
    assert listed(site, q="usr_7", reasons="token_expired,policy_denied") == [expired.id, policy.id]
    assert listed(site, q="usr_7", reasons="") == listed(site, q="usr_7", reasons="," * 100) == []
    assert "Clear filters" in site.get(list_url(Entry), {"reasons": "policy_denied"}).content.decode()


def test_a_time_in_the_log_stays_on_all_pages_and_in_all_filters(site: Client, world: World) -> None:
    now = clock.now()
    ids = [one.id for one in write_row(60, now - timedelta(hours=2), user_id="usr_7")]
    write_row(60, user_id="usr_7")
    query = {
        "q": "usr_7",
        "outcome__exact": "allowed",
        "from": (now - timedelta(hours=3)).isoformat(),
        "to": (now - timedelta(hours=1)).isoformat(),
    }
    assert listed(site, **query) == ids[::-1]
    page = site.get(list_url(Entry), query)
    changelist: Any = page.context["cl"]
    links = [choice["query_string"] for spec in changelist.filter_specs for choice in spec.choices(changelist)]
    for url in (changelist.older, *links):
        assert {"from", "to"} <= parse_qs(url.removeprefix("?")).keys(), url
    assert parse_qs(changelist.clear_all_filters_qs.removeprefix("?")) == {"q": ["usr_7"]}
    main = page.content.decode().split("<main")[1].split("</main")[0]
    hidden = re.findall(r'type="hidden" name="([^"]+)" value="([^"]+)"', main)
    typed = {name: unescape(value) for name, value in hidden if name != "csrfmiddlewaretoken"}
    assert {"q": "usr_7", **typed} == query, "a search keeps the filters"


@cases("query", [{"actor": "x"}, {"actor": "org_1"}, {"from": "x"}, {"to": "2026-01-01T00:00:00"}])
def test_an_unknown_actor_or_time_is_refused(query: dict[str, str], site: Client, world: World) -> None:
    assert site.get(list_url(Entry), query).status_code == 400


def test_links_to_filters_start_at_the_first_page(site: Client, world: World) -> None:
    write_row(60)
    changelist: Any = site.get(list_url(Entry)).context["cl"]
    page = site.get(list_url(Entry) + changelist.older)
    (outcomes,) = [one for one in page.context["cl"].filter_specs if one.title == "outcome"]
    assert all("cursor" not in choice["query_string"] for choice in outcomes.choices(page.context["cl"]))
    assert [row.pk for row in site.get(list_url(Entry) + page.context["cl"].newest).context["cl"].result_list] == [
        row.pk for row in changelist.result_list
    ]


@cases("cursor", ["log_" + "0" * 32, "x", "\0", "usr_1"])
def test_a_cursor_that_is_not_an_entry_is_refused(cursor: str, site: Client, world: World) -> None:
    assert site.get(list_url(Entry), {"cursor": cursor}).status_code == 400


@cases(
    ("reason", "metadata", "why"),
    [
        ("insufficient_scope", {"missingScopes": ["email:send"]}, "The permission had not been granted."),
        ("insufficient_scope", {}, "No scope covers the action."),
        ("approval_required", {}, "It needs an approval first."),
        ("approval_required", {"approvalStatus": "denied"}, "The request for approval was denied."),
        ("policy_denied", {"limitedBy": "user"}, "A limit of the connection denied it."),
        ("of the past", {}, "of the past"),
    ],
)
def test_an_entry_says_why(reason: str, metadata: dict[str, Any], why: str, site: Client, world: World) -> None:
    (entry,) = write_drafts([decided(outcome=Outcome.DENIED, reason=reason, metadata=metadata)])
    page = site.get(form_url(Entry(pk=entry.id))).content.decode()
    assert why in page
    assert "It was denied." not in page
    asks = why == "It needs an approval first."
    for html in (page, site.get(list_url(Entry), {"q": entry.id}).content.decode()):
        assert (">Asked</span>" in html, ">Denied</span>" in html) == (asks, not asks)


@cases("is_logged", [True, False])
def test_an_entry_opens_with_all_its_parts(site: Client, world: World, is_logged: bool) -> None:
    (entry,) = write_drafts(
        [
            decided(
                policy_id="pol_7",
                metadata={"policyName": "Night", "ruleIndex": 0, "limitedBy": "user", "askedScopes": ["email:send"]},
                personal={"context": {"to": "Zoë", "ip": "203.0.113.7"}, "callerIp": "203.0.113.7"},
            )
        ]
    )
    if is_logged:
        sequence()
    url = form_url(Entry(pk=entry.id))
    page = site.get(url).content.decode()
    for text in (entry.id, "pol_7", "Night", "Zoë", "203.0.113.7", "org_1"):
        assert text in page
    facts = re.findall(r'<dt><bdi>([^<]+)</bdi></dt><dd><bdi translate="no">([^<]+)', page)
    assert {
        ("Policy name", "Night"),
        ("Limited by", "The user&#x27;s own limit"),
        ("Asked for", "Send email as you"),
        ("to", "Zoë"),
    } <= {*facts}
    assert [label for label, text in facts if text == "203.0.113.7"] == ["IP address"]
    assert ("not numbered and signed yet" in page) is not is_logged
    destroy_keys(["usr_1"])
    page = site.get(url).content.decode()
    assert "erased" in page
    assert "203.0.113.7" not in page
