"""The page of the organization's log: its rows, filters and entries."""

import re
from html import unescape
from urllib.parse import urlencode, urlsplit

from django.http import QueryDict

from agents.deletion import delete_agent
from audit.events import Event, Outcome
from audit.selectors import entries_for_organization
from audit.sequencing.sequencer import sequence
from core.actor import Actor
from core.ids import new_id
from decisions.requests import VerifyRequest
from decisions.services import decide
from developers.acting import as_developer as as_actor
from developers.api_keys import create_api_key
from tests.oauth.client import TICKETS
from tests.shared import cases
from tests.verifier import main
from tests.web.developer_log import FOREIGN_REQUEST, REQUEST, rows
from tests.web.markup import text_of, words_of
from tests.world import ANONYMOUS, grant_to, hand_over, let_delegate, make_agent, make_resource_server
from web.portal.logs.forms import LogFilterForm
from web.portal.logs.names import suggested_names
from web.portal.logs.search import read_search, write_search

EXAMPLE = re.compile(r'<dt><a href="([^"]+)" data-live>')


def test_each_linked_example_of_a_search_can_be_tried(as_developer, denied):
    links = EXAMPLE.findall(as_developer.get("/developer/logs").content.decode())
    assert {f"{as_developer.home}/logs?q=outcome%3Adenied", f"{as_developer.home}/logs?q=agent%3ASmartMail"} <= {*links}
    for link in links:
        assert as_developer.get(link, follow=True).context["form"].errors == {}


def test_a_row_says_when_what_who_and_why(as_developer, denied, limited, ada):
    text = text_of(as_developer, "/developer/logs")
    facts = ("token.verify", "Scope not granted", "SmartMail", "Service", "Resource server", "Office hours", ada.id)
    for fact in (denied, *facts):
        assert fact in text
    assert re.search(r"\d:\d\d:\d\d", text)
    assert "ada@example.com" not in text


def test_a_key_of_the_organization_is_named_and_can_be_searched_for(as_developer, developer, write):
    actor = as_actor(ANONYMOUS, developer)
    key = create_api_key(actor=actor, developer=developer, name="CI", owned_by_organization=True).row
    entry = write(actor=Actor("api_key", key.id, ip="203.0.113.7"), event=Event.AGENT_UPDATED, outcome=Outcome.INFO)
    for query in ({"actor": key.id}, {"actor": "api_key"}):
        (row,) = as_developer.get("/developer/logs", query).context["rows"]
        assert (row.id, row.actor, row.content["personal"]["ip"]) == (entry, "API key “CI”", "203.0.113.7")
    words = words_of(as_developer.get(f"/developer/logs/{entry}"))
    assert "API key of the organization <bdi>CI</bdi>" in words
    assert "API key “CI” changed the agent SmartMail" in words


def test_a_request_that_waits_for_its_user_was_asked(as_developer, write):
    asked = write(reason="approval_required")
    for path in ("/developer/logs", f"/developer/logs/{asked}"):
        html = as_developer.get(path).content.decode()
        assert (">Asked</span>" in html, ">Denied</span>" in html) == (True, False)


def test_markup_that_agents_send_is_escaped(as_developer, denied):
    for path in ("/developer/logs", f"/developer/logs?entry={denied}", f"/developer/logs/{denied}"):
        assert "send<b>" not in as_developer.get(path).content.decode()


def test_another_organization_sees_none_of_it(as_rival, denied):
    assert denied not in rows(as_rival)
    for path in (f"/developer/logs?entry={denied}", f"/developer/logs/{denied}"):
        assert as_rival.get(path, follow=True).status_code == 404


@cases("entry", ["log_" + "0" * 32, "\x00", "x" * 200, "usr_1"])
def test_an_unknown_entry_is_absent(as_developer, denied, entry):
    assert as_developer.get("/developer/logs", {"entry": entry}, follow=True).status_code == 404


def test_an_entry_of_another_page_opens_on_its_own(as_developer, denied):
    answer = as_developer.get("/developer/logs", {"outcome": "allowed", "entry": denied})
    assert (answer.status_code, answer["Location"]) == (302, f"{as_developer.home}/logs/{denied}")


FILTERS = [
    ({"event": "token.verify"}, True),
    ({"event": "agent.created"}, False),
    ({"outcome": "denied"}, True),
    ({"outcome": "allowed"}, False),
    ({"user": "usr_0000"}, False),
    ({"from": "2000-01-01"}, True),
    ({"to": "2000-01-01"}, False),
    ({"from": "2000-01-01T10:00", "to": "2099-12-31T23:59:59+02:00"}, True),
    ({"from": "2099-01-01T10:00"}, False),
    ({"action": "send<b>"}, True),
    ({"action": "email:send"}, True),
    ({"action": "email"}, False),
    ({"scope": "email:send"}, True),
    ({"scope": "send<b>"}, False),
    ({"agent": "-"}, False),
    ({"decider": "user"}, False),
    ({"step": "asked"}, False),
    ({"declined": "email:send"}, False),
    ({"reason": "insufficient_scope"}, True),
    ({"rule": "rate_limit"}, False),
    ({"actor": "service"}, True),
    ({"actor": "developer"}, False),
    ({"server": "Service"}, True),
    ({"server": "res_" + "0" * 32}, False),
    ({"policy": "pol_" + "0" * 32}, False),
    ({"consent": "cns_" + "a" * 32}, True),
    ({"consent": "cns_" + "b" * 32}, False),
    ({"request": REQUEST}, True),
    ({"request": new_id("req")}, False),
]


def found(developer, **query):
    """Return the ids of the entries that the page lists, without the page."""
    form = LogFilterForm(QueryDict(urlencode(query)), names=suggested_names(developer))
    assert form.is_valid(), form.errors
    return [entry.id for entry in entries_for_organization(developer.organization_id, form.filters())]


@cases("is_logged", [True, False])
def test_entries_can_be_filtered(developer, as_developer, denied, is_logged):
    if is_logged:
        sequence()
    for query, is_found in FILTERS:
        assert (denied in found(developer, **query)) is is_found, query
    for query, is_found in FILTERS[:2]:
        assert (denied in rows(as_developer, **query)) is is_found, query


def go(client, **query):
    """Return the query of the page to which a search leads, as a dictionary."""
    answer = client.get("/developer/logs", query)
    assert answer.status_code == 303, answer.context["form"].errors
    return QueryDict(urlsplit(answer["Location"]).query).dict()


def test_a_search_leads_to_its_filters_in_the_url(as_developer, denied, limited, agent, ada, policy, server):
    search = f'agent:smartmail outcome:denied since:2h policy:"{policy.name}" {ada.id} token.verify'
    sent = go(as_developer, q=search, outcome="allowed")
    assert sent == {
        "agent": "smartmail", "outcome": "denied", "from": "2h", "policy": policy.name, "user": ada.id,
        "event": "token.verify",
    }  # fmt: skip
    answer = as_developer.get("/developer/logs", sent)
    assert [row.id for row in answer.context["rows"]] == [limited]
    form = answer.context["form"]
    assert (form.cleaned_data["agent"], form.since) == (agent.id, "2h")
    assert form.search == f'event:token.verify user:{ada.id} policy:"{policy.name}"'
    assert f"agent={agent.id}" in answer.context["query"]


@cases(
    ("sent", "expected"),
    [
        ({"q": "", "outcome": "denied", "agent": "", "last": "24h"}, {"outcome": "denied", "from": "24h"}),
        ({"q": "since:2026-11-27 until:2026-11-28T10:00"}, {"from": "2026-11-27", "to": "2026-11-28T10:00"}),
        ({"q": "scope:email:send", "last": "times"}, {"scope": "email:send", "last": "times"}),
        ({"q": "policy:nothing", "cursor": "x", "entry": "y"}, {"policy": "nothing"}),
    ],
)
def test_the_fields_beside_the_search_are_filters_too(as_developer, sent, expected):
    assert go(as_developer, **sent) == expected


@cases("last", ["times", ""])
def test_a_beginning_and_an_end_have_fields(as_developer, last):
    text = as_developer.get("/developer/logs", {"last": last, "to": "" if last else "2026-11-28"}).content.decode()
    assert 'name="from"' in text
    assert 'name="last"' not in text


@cases(
    ("search", "error"),
    [
        ("colour:red", "“colour:” is not a filter. Those that are filters are below"),
        ("agnet:Postie", "“agnet:” is not a filter. Did you mean agent"),
        ("email:send", "For an action or a scope, write action:email:send."),
        ("Postie", "Say what “Postie” is, such as agent:Postie or action:Postie."),
        ("agent:", "“agent:” needs a value"),
        ('agent:"Postie', "Close the quotation marks after “agent:"),
        ("user:a user:b", "“user:” is there twice. Keep one."),
        ("x" * 2001, "at most 2000 characters"),
    ],
)
def test_a_search_that_cannot_be_read_says_why_and_keeps_what_was_typed(as_developer, denied, search, error):
    answer = as_developer.get("/developer/logs", {"q": search, "outcome": "denied"})
    text = unescape(answer.content.decode())
    assert error in text
    assert f'value="{search}"' in text
    assert '<option value="denied" selected>' in text
    assert answer.context["rows"] == []


@cases("value", ["Postie", "two words", 'a "quoted" one', "back\\slash", 'x"', "email:send", "\\", "a\nb", "-"])
def test_a_search_reads_what_it_writes(value):
    assert read_search(write_search({"agent": value, "from": "2h"}), ["agent", "from"]) == {
        "agent": value,
        "from": "2h",
    }


def test_the_log_of_a_policy_has_what_it_denied(as_developer, denied, limited, policy):
    assert limited in rows(as_developer, policy=policy.name, rule="rate_limit")
    assert denied not in rows(as_developer, policy=policy.id)


def test_another_organizations_policy_finds_nothing(as_rival, rival, write, policy):
    """The rival's service was asked, so the entry is in its log, but not whose policy denied."""
    entry = write(
        policy_id=policy.id,
        policy_organization_id=policy.organization_id,
        service_organization_ids=[rival.organization_id],
        metadata={"policyName": policy.name, "ruleType": "rate_limit"},
    )
    assert entry in rows(as_rival)
    assert entry in rows(as_rival, rule="rate_limit")
    assert rows(as_rival, policy=policy.id) == []
    text = text_of(as_rival, f"/developer/logs?entry={entry}")
    assert "A policy of another organization" in text
    for hidden in (policy.name, policy.id, "SmartMail", "198.51.100.9"):
        assert hidden not in text


def test_an_agent_that_is_gone_can_be_looked_for(as_developer, write):
    gone = "agt_" + "0" * 32
    entry = write(agent_id=gone)
    assert rows(as_developer, agent=gone) == [entry]


@cases(
    ("query", "error"),
    [
        ({"event": "token.verifi"}, "“event:token.verifi”: There is no such value. Did you mean token.verify"),
        ({"outcome": "deny"}, "“outcome:deny”: There is no such value. Did you mean denied?"),
        ({"step": "x"}, "Use one of these: asked, allowed, partly, denied, abandoned."),
        ({"from": "yesterday"}, "From: Must be a date between 2000 and 2099"),
        ({"to": "9999-12-31"}, "To: Must be a date"),
        ({"from": "0001-01-01T00:00+14:00"}, "From: Must be a date"),
        ({"to": "9999-12-31T23:59:59-14:00"}, "To: Must be a date"),
        ({"from": "9999-12-31T23:00Z"}, "From: Must be a date between 2000 and 2099"),
        ({"user": "\x00"}, "Null characters are not allowed."),
        ({"agent": "Nobody"}, "“agent:Nobody”: Nothing has this name or ID. Use one of these: SmartMail."),
        ({"rule": "x"}, "“rule:x”: There is no such value."),
        ({"actor": "dev_x"}, "“actor:dev_x”: There is no such value."),
    ],
)
def test_an_invalid_filter_is_named_and_shows_nothing(as_developer, denied, query, error):
    answer = as_developer.get("/developer/logs", {**query, "cursor": "\x00"})
    text = unescape(answer.content.decode())
    assert error in text
    ((name, typed),) = query.items()
    assert typed == "\x00" or f'value="{typed.removesuffix("Z")}' in text or f'value="{name}:{typed}"' in text
    assert answer.context["rows"] == []
    assert "Correct the filter above." in text
    assert "Table (CSV)" not in text


def test_a_name_is_found_in_any_case(as_developer, denied, agent):
    assert rows(as_developer, agent=agent.name.swapcase()) == rows(as_developer, agent=agent.id)
    assert denied in rows(as_developer, agent=agent.name.swapcase())


def test_a_period_that_ends_before_it_begins_is_an_error(as_developer, denied):
    assert "To: Must be after" in text_of(as_developer, "/developer/logs?from=2026-03-02&to=2026-03-01")
    assert "To: Must be after" not in text_of(as_developer, "/developer/logs?from=2026-03-02&to=2026-03-02")


def test_a_name_that_two_agents_have_is_ambiguous(as_developer, developer, denied, agent):
    make_agent(developer, name=agent.name)
    assert "Several have this name. Use the ID." in text_of(as_developer, f"/developer/logs?agent={agent.name}")


def test_a_request_id_that_the_caller_chose_is_searched_for_a_part_at_a_time(as_developer, write, monkeypatch):
    monkeypatch.setattr("web.portal.logs.views.SEARCHED", 3)
    wanted = write(actor=Actor("service", request_id=FOREIGN_REQUEST))
    for _ in range(4):
        write()
    answer = as_developer.get("/developer/logs", {"request": FOREIGN_REQUEST})
    assert "Search further back" in text_of(as_developer, f"/developer/logs?request={FOREIGN_REQUEST}")
    assert answer.context["rows"] == []
    assert rows(as_developer, request=FOREIGN_REQUEST, cursor=answer.context["page"].next_cursor) == [wanted]


def test_pages_keep_the_filters(as_developer, write):
    written = [write() for _ in range(27)]
    first = as_developer.get("/developer/logs", {"outcome": "denied"})
    following = unescape(re.search(r'href="([^"]+)" rel="next"', first.content.decode())[1])
    second = as_developer.get(following)
    shown = [row.id for answer in (first, second) for row in answer.context["rows"]]
    assert shown == written[::-1]
    assert "Newest" in second.content.decode()


def test_an_entry_of_a_deleted_agent_has_no_link_to_its_page(as_developer, denied, agent, developer):
    delete_agent(actor=as_actor(ANONYMOUS, developer), agent=agent)
    for path in (f"/developer/logs?entry={denied}", f"/developer/logs/{denied}"):
        page = as_developer.get(path).content.decode()
        assert f'href="{as_developer.home}/agents/{agent.id}' not in page
        assert f'href="{as_developer.home}/logs?agent={agent.id}"' in page
        assert "SmartMail" in page


def test_an_entry_opens_beside_the_table_and_has_a_page(as_developer, limited, policy, agent):
    for path in (f"/developer/logs?outcome=denied&entry={limited}", f"/developer/logs/{limited}"):
        text = text_of(as_developer, path)
        assert "SmartMail was denied: Send email as you." in text
        assert ">Edit policy <bdi>Office hours<" in text
        for fact in ("20 in an hour", "rule 1 of the policy", limited, REQUEST, '"ruleType": "rate_limit"'):
            assert fact in text, (path, fact)
        for link in (f"policies/{policy.id}", f"agents/{agent.id}", f"logs?request={REQUEST}"):
            assert f'href="{as_developer.home}/{link}' in text, (path, link)


def test_what_the_organization_may_not_read_is_not_on_the_page(as_developer, write):
    entry = write(personal={"context": {"recipient": "secret@example.com"}})
    assert "secret@example.com" not in text_of(as_developer, f"/developer/logs/{entry}")


def test_an_entry_says_that_it_is_not_numbered_yet(as_developer, denied):
    assert "not numbered and signed yet" in text_of(as_developer, f"/developer/logs/{denied}")
    sequence()
    assert "Place in the log" in text_of(as_developer, f"/developer/logs/{denied}")


def test_the_command_that_verifies_an_entry_runs(as_developer, denied, tmp_path, monkeypatch, capsys):
    """The page's own command runs, with the answers of the two requests in place of curl."""
    sequence()
    commands = as_developer.get(f"/developer/logs/{denied}").context["detail"].proof.commands.split("\n")
    for line in commands[:-1]:
        name, url = line.split()[2], line.split()[-1]
        answer = as_developer.get(url.removeprefix("http://localhost:8000"))
        assert answer.status_code == 200
        (tmp_path / name).write_bytes(answer.content)
    assert commands[-1].startswith("agentgate-audit ")
    monkeypatch.chdir(tmp_path)
    assert main(commands[-1].split()[1:]) == 0, capsys.readouterr()
    assert denied in capsys.readouterr().out


@cases("query", [{}, {"agent": "SmartMail", "server": "Service"}])
def test_needs_few_queries(as_developer, limited, write, query, django_assert_max_num_queries):
    cursor = write()
    sequence()
    rows(as_developer)  # records the session's use
    with django_assert_max_num_queries(12):
        rows(as_developer, **query)
    with django_assert_max_num_queries(12):
        rows(as_developer, **query, entry=limited, cursor=cursor)


def test_entries_with_made_up_scopes_are_listed_together_and_the_page_says_so(as_developer, write):
    made_up = write(scopes=["made:up", "email:send"], metadata={"indexedScopes": ["email:send"]})
    other = write(scopes=["email:read"])
    assert made_up in rows(as_developer, scope="email:send")
    for name in ("scope", "action"):
        query = {name: "made:up"}
        assert not rows(as_developer, **query)
        page = as_developer.get("/developer/logs", query).content.decode()
        assert 'lists an entry under <code translate="no">made:up</code> only if' in page
        assert f'href="{as_developer.home}/logs?scope=%28other%29"' in page
    found = rows(as_developer, scope="(other)")
    assert made_up in found
    assert other not in found
    assert 'value="scope:(other)"' in as_developer.get("/developer/logs?scope=(other)").content.decode()


def test_the_page_says_nothing_of_scopes_that_exist(as_developer, developer, write):
    make_resource_server(developer, "https://notes.example", TICKETS)
    for scope in ("email:send", TICKETS.id, "no scope at all"):
        page = as_developer.get("/developer/logs", {"scope": scope}).content.decode()
        assert "lists an entry under" not in page


def test_entries_of_work_that_was_handed_over_show_their_chain_and_are_found_by_it(as_developer, developer, agent, ada):
    token = grant_to(agent, ada, ["email:read", "email:send"])
    let_delegate(token)
    once = {"type": "rate_limit", "config": {"maxRequests": 1, "windowSeconds": 60, "scope": "per_user"}}
    summarizer = make_agent(developer, name="Summarizer")
    delegation, issued = hand_over(token, summarizer, ["email:read"], limits={"email:read": [once]})
    request = VerifyRequest(issued.access_token, ["email:read"], ANONYMOUS)
    decide([request])
    decide([request])
    asked = {"event": "token.verify", "chain": delegation.pk}
    denied, allowed = found(developer, **asked)
    assert found(developer, **{**asked, "chain": agent.id}) == [denied, allowed]
    assert found(developer, **{**asked, "chain": "Summarizer"}) == [denied, allowed]
    assert found(developer, chain=make_agent(developer, name="Other").id, event="token.verify") == []
    page = as_developer.get("/developer/logs", {**asked, "entry": denied})
    assert page.context["rows"][0].why == "A limit of a delegation"
    assert [link.name for link in page.context["rows"][0].chain] == [agent.name, "Summarizer"]
    text = text_of(as_developer, f"/developer/logs/{denied}")
    assert re.search(f"<bdi>{agent.name}</bdi></li>.*→</span> <bdi>Summarizer</bdi> <a .*chain={delegation.pk}", text)
    assert re.search(f"A limit of a delegation <a .*chain={delegation.pk}", text)
    assert read_search(delegation.pk, ["chain"]) == {"chain": delegation.pk}
