"""The organization's audit log."""

from base64 import urlsafe_b64encode
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents.models import Agent
from audit.models import Journal
from tests.api.conftest import Api, Json, expect, new_agent, problem, verify
from tests.shared import cases
from tests.world import hand_over, let_delegate

FIELDS = {
    "id",
    "timestamp",
    "event",
    "outcome",
    "reason",
    "policyId",
    "agentId",
    "userId",
    "consentId",
    "action",
    "scopes",
    "resource",
    "ip",
    "userAgent",
    "requestId",
    "metadata",
}


@pytest.fixture
def decision(tokens: Json) -> Json:
    verify(tokens["accessToken"], "files:read")
    return verify(tokens["accessToken"], action="send", resource="inbox/7", context={"ip": "203.0.113.7"})


def entries(developer: Api, **filters: str) -> list[Json]:
    return expect(200, developer.get(f"/audit?{urlencode(filters)}"))["items"]


def test_an_entry_says_who_did_what_for_whom(developer: Api, agent: Json, ada: Any, decision: Json) -> None:
    entry = entries(developer)[0]
    assert set(entry) == FIELDS
    assert entry["id"] == decision["auditId"]
    assert (entry["event"], entry["outcome"], entry["reason"]) == ("token.verify", "allowed", None)
    assert (entry["agentId"], entry["userId"]) == (agent["id"], ada.id)
    assert (entry["action"], entry["scopes"], entry["resource"]) == ("send", ["email:read"], "inbox/7")
    assert entry["ip"] == "203.0.113.7"
    assert entry["timestamp"].endswith("Z")


def test_entries_are_listed_newest_first(developer: Api, decision: Json) -> None:
    times = [entry["timestamp"] for entry in entries(developer)]
    assert times == sorted(times, reverse=True)


def test_all_filters_must_match(developer: Api, agent: Json, ada: Any, decision: Json) -> None:
    assert len(entries(developer, event="token.verify")) == 2
    assert len(entries(developer, event="token.verify", outcome="denied")) == 1
    assert len(entries(developer, event="token.verify", agentId=agent["id"], userId=ada.id)) == 2
    assert entries(developer, agentId="agt_nobody") == []
    assert entries(developer, userId="usr_nobody") == []


def test_from_is_inclusive_and_to_exclusive(developer: Api, decision: Json) -> None:
    newest, before = entries(developer, event="token.verify")
    moments = {"from": before["timestamp"], "to": newest["timestamp"]}
    assert [entry["id"] for entry in entries(developer, event="token.verify", **moments)] == [before["id"]]


def test_a_time_filter_can_have_an_offset(developer: Api, decision: Json) -> None:
    assert entries(developer, **{"from": "2000-01-01T00:00:00+02:00"})
    assert entries(developer, **{"from": "2000-01-01T00:00:00+23:59"})  # PostgreSQL's go only to 16 hours
    assert expect(200, developer.get("/audit?from=2000-01-01T00:00:00+02:00"))["items"]
    assert entries(developer, to="2000-01-01T00:00:00Z") == []


@cases(
    ("query", "field"),
    [
        ("event=token.mint", "event"),
        ("outcome=maybe", "outcome"),
        ("from=yesterday", "from"),
        ("from=2026-01-01", "from"),
        ("from=2026-01-01T00:00:00", "from"),
        ("from=0001-01-01T00:00:00%2B01:00", "from"),  # before the first year, in UTC
        ("to=2026-13-01T00:00:00Z", "to"),
        ("to=0001-01-01T00:00:00%2B14:00", "to"),
        ("agentId=%00", "agentId"),
        ("userId=" + "x" * 129, "userId"),
        ("organizationId=org_1", "organizationId"),
        ("event=token.verify&event=token.issued", "event"),
    ],
)
def test_an_invalid_filter_is_reported(developer: Api, query: str, field: str) -> None:
    problem(developer.get(f"/audit?{query}"), 400, "validation_failed", field)


def test_another_organization_does_not_see_the_entries(rival: Api, agent: Json, ada: Any, decision: Json) -> None:
    assert entries(rival, agentId=agent["id"]) == []
    assert entries(rival, userId=ada.id) == []
    assert decision["auditId"] not in {entry["id"] for entry in entries(rival)}


def test_pages_contain_every_entry_once(developer: Api, decision: Json) -> None:
    seen, cursor = [], ""
    while cursor is not None:
        page = expect(200, developer.get(f"/audit?limit=2{cursor and '&cursor='}{cursor}"))
        seen += [entry["id"] for entry in page["items"]]
        cursor = page["nextCursor"]
    assert seen == [entry["id"] for entry in entries(developer)]


def test_the_log_requires_a_developer(anonymous: Api, ada: Api) -> None:
    problem(anonymous.get("/audit"), 401, "not_authenticated")
    problem(ada.get("/audit"), 403, "forbidden")


def test_the_newest_decisions_are_shown_while_the_sequencer_stands_still(developer: Api, decision: Json) -> None:
    with CaptureQueriesContext(connection) as captured:
        assert entries(developer)[0]["id"] == decision["auditId"]
    assert Journal.objects.exists()
    assert not any(query["sql"].startswith(('INSERT INTO "audit', "DELETE")) for query in captured.captured_queries)


def test_a_cursor_that_is_not_an_entry_of_the_log_is_refused(
    developer: Api, rival: Api, ada: Api, decision: Json
) -> None:
    """An entry of another tenant is as unknown as one that does not exist."""
    nothing, foreign = "log_" + "0" * 32, decision["auditId"]
    for caller, path, entry_id in (
        (developer, "/audit", nothing),
        (rival, "/audit", foreign),
        (ada, "/users/me/audit-logs", nothing),
    ):
        cursor = urlsafe_b64encode(entry_id.encode()).rstrip(b"=").decode()
        body = problem(caller.get(f"{path}?cursor={cursor}"), 400, "validation_failed", "cursor")
        assert body["errors"][0]["message"] == "Must be the nextCursor of an earlier response."


def test_a_delegated_call_shows_its_chain_and_is_found_by_each_part_of_it(
    developer: Api, agent: Json, ada: Any, tokens: Json
) -> None:
    worker = new_agent(developer, name="Summarizer")
    let_delegate(tokens["accessToken"])
    delegation, issued = hand_over(tokens["accessToken"], Agent.objects.get(pk=worker["id"]), ["email:read"])
    verify(tokens["accessToken"])
    decided = verify(issued.access_token)
    chain = [
        {"agentId": agent["id"], "delegationId": None},
        {"agentId": worker["id"], "delegationId": delegation.id},
    ]
    assert decided["chain"] == chain
    organization_id = Agent.objects.get(pk=worker["id"]).organization_id
    shown = [{**link, "organizationId": organization_id} for link in chain]
    calls = {"event": "token.verify", "userId": ada.id}
    (call,) = entries(developer, **calls, chain=delegation.id)
    assert (call["id"], call["chain"], set(call)) == (decided["auditId"], shown, {*FIELDS, "chain"})
    assert len(entries(developer, **calls, chain=agent["id"])) == len(entries(developer, **calls)) == 2
    assert entries(developer, **calls, chain=worker["id"]) == [call]
    own = expect(200, ada.get(f"/users/{ada.id}/audit-logs?chain={delegation.id}"))["items"]
    assert [entry["event"] for entry in own] == ["token.verify", "delegation.redeemed", "delegation.created"]
    assert own[0]["chain"] == shown
