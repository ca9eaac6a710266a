"""The feed of an organization's events, as JSON and as an event stream."""

import json
from typing import Any

import pytest
from django.test import Client

from accounts.erasure import erase_user
from accounts.models import User
from api.v1 import events
from audit.archiving.archived import ArchiveUnavailable
from audit.models import Entry
from audit.sequencing.sequencer import sequence
from core.actor import SYSTEM
from core.messages import MAY_PARK, PARK, Mark
from events.feed import FeedPage
from tests.api.conftest import Api, Json, expect, new_agent, problem, tokens_for, verify
from tests.api.test_both_organizations import Tenant
from tests.api.test_limited_keys import new_key
from tests.shared import cases

STREAM = "text/event-stream"


def feed(api: Api, query: str = "") -> Json:
    return expect(200, api.get(f"/events?limit=200&{query}"))


def numbers(page: Json) -> list[int]:
    return [event["stream"]["number"] for event in page["items"]]


def stream(api: Api, query: str = "", **headers: str) -> str:
    answer = api.get(f"/events?{query}", Accept=STREAM, **headers)
    assert (answer.status_code, answer["Content-Type"]) == (200, STREAM), answer.content
    return str(answer.content.decode())


def parked(api: Api, query: str, **headers: str) -> Mark | None:
    """Return the mark of a request that the front could park."""
    answer = Client().get(f"/api/v1/events?{query}", headers={**api.headers, **headers}, **{MAY_PARK: True})
    assert answer.status_code == 200, answer.content
    return Mark.decode(answer[PARK]) if PARK in answer else None


@pytest.fixture
def last(developer: Api, tokens: Json) -> int:
    """The number of the last event of the organization."""
    sequence()
    return int(feed(developer)["next"])


def test_events_are_the_entries_of_the_log_oldest_first_with_a_number(developer: Api, tokens: Json) -> None:
    verify(tokens["accessToken"], "email:read")
    assert feed(developer) == {"items": [], "next": 0}, "they have no numbers yet"
    sequence()
    page = feed(developer)
    listed = expect(200, developer.get("/audit?limit=200"))["items"]
    assert [event["data"] for event in page["items"]] == listed[::-1]
    assert numbers(page) == [*range(1, len(listed) + 1)]
    assert page["next"] == len(listed)
    first = page["items"][0]
    assert set(first) == {"id", "type", "timestamp", "stream", "data"}
    assert [first[name] for name in ("id", "type", "timestamp")] == [
        first["data"][name] for name in ("id", "event", "timestamp")
    ]
    assert first["stream"]["id"] == expect(200, developer.get("/organization"))["id"]


def test_each_organization_reads_what_its_log_shows(developer: Api, rival: Api, agent: Json, ada: Any) -> None:
    home, shop = Tenant(developer, "home.example"), Tenant(rival, "shop.example")
    home.policy([{"type": "action_blocklist", "config": {"actions": ["email:read"]}}])
    tokens = tokens_for(agent, ada, requestedScopes=["email:read"], resource=[shop.identifier])
    shop.ask(tokens["accessToken"], resource="inbox/7", context={"ip": "203.0.113.7"})

    def compare() -> list[Json]:
        """Return the decisions that the service's organization reads."""
        sequence()
        for tenant in (home, shop):
            listed = expect(200, tenant.api.get("/audit?limit=200"))["items"]
            assert [event["data"] for event in feed(tenant.api)["items"]] == listed[::-1]
        return [event["data"] for event in feed(shop.api, "types=token.verify")["items"]]

    (shown,) = compare()
    assert (shown["reason"], shown["policyId"], shown["resource"]) == ("policy_denied", None, "inbox/7")
    erase_user(actor=SYSTEM, user=User.objects.get(pk=ada.id))
    (shown,) = compare()
    assert shown["resource"] is None


def test_after_limit_and_filters(developer: Api, agent: Json, tokens: Json, last: int) -> None:
    assert numbers(feed(developer, "after=2"))[0] == 3
    page = expect(200, developer.get("/events?after=1&limit=2"))
    assert (numbers(page), page["next"]) == ([2, 3], 3)
    page = feed(developer, "types=consent.*,token.issued")
    assert [event["type"] for event in page["items"]] == ["consent.requested", "consent.approved", "token.issued"]
    assert page["next"] == last
    assert {event["data"]["agentId"] for event in feed(developer, f"agentId={agent['id']}")["items"]} == {agent["id"]}
    assert feed(developer, "agentId=agt_unknown") == {"items": [], "next": last}
    assert feed(developer, "types=token.verify") == {"items": [], "next": last}


@cases(
    ("query", "field"),
    [
        ("after=-1", "after"),
        ("after=x", "after"),
        ("after=1000000000000000000", "after"),
        ("after=100000", "after"),
        ("wait=31", "wait"),
        ("wait=soon", "wait"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("types=", "types"),
        ("types=consent", "types"),
        ("types=consent.*,,token.*", "types"),
        ("types=webhook.test", "types"),
        ("agentId=", "agentId"),
        ("cursor=x", "cursor"),
    ],
)
def test_a_query_that_is_not_valid_is_refused(developer: Api, query: str, field: str) -> None:
    problem(developer.get(f"/events?{query}"), 400, "validation_failed", field)
    problem(developer.get(f"/events?{query}", Accept=STREAM), 400, "validation_failed", field)


def test_a_limited_key_reads_the_events_of_its_agents_only(developer: Api, agent: Json, tokens: Json) -> None:
    other = new_agent(developer, name="Other")
    limited = new_key(developer, agentIds=[other["id"]])
    sequence()
    end = feed(developer)["next"]
    page = feed(limited)
    assert [event["type"] for event in page["items"]] == ["agent.created"]
    assert page["next"] == end
    assert feed(limited, f"agentId={other['id']}") == page
    problem(limited.get(f"/events?agentId={agent['id']}"), 403, "key_limited")
    mark = parked(limited, f"after={end}&wait=5")
    assert mark
    assert json.loads(mark.about)["agents"] == [other["id"]]


def test_a_stream_has_the_same_events_and_ends(developer: Api, last: int) -> None:
    items = feed(developer)["items"]
    blocks = stream(developer, "limit=200").split("\n\n")
    assert blocks[0] == "retry: 1000"
    assert blocks[-2:] == [f"id: {last}", ""]
    for block, event in zip(blocks[1:-2], items, strict=True):
        number, name, data = block.split("\n")
        assert (number, name) == (f"id: {event['stream']['number']}", f"event: {event['type']}")
        assert json.loads(data.removeprefix("data: ")) == event
    assert stream(developer, "limit=1").startswith("retry: 50\n\nid: 1\n"), "there is more"


def test_a_stream_resumes_after_the_last_id(developer: Api, last: int) -> None:
    assert f"\n\nid: {last}\nevent:" in stream(developer, "after=1", Last_Event_ID=str(last - 1))
    assert "event:" not in stream(developer, "after=1", Last_Event_ID=str(last))
    for wrong in ("-1", "1.0", "", "٣", "9" * 19, str(last + 1)):
        answer = developer.get("/events", Accept=STREAM, Last_Event_ID=wrong)
        problem(answer, 400, "validation_failed", "Last-Event-ID")
    assert expect(200, developer.get("/events?after=1&limit=1", Last_Event_ID="2"))["next"] == 3


def test_a_stream_without_new_events_keeps_its_place(developer: Api, last: int) -> None:
    empty = f"retry: 1000\n\n: There are no new events.\n\nid: {last}\n\n"
    assert stream(developer, "types=domain.*") == empty
    assert stream(developer, f"after={last}") == empty


@cases(
    ("accept", "is_stream"),
    [
        ("text/event-stream", True),
        ("text/event-stream, */*;q=0.1", True),
        ("application/json, text/event-stream", False),
        ("*/*", False),
        ("text/html", False),
    ],
)
def test_the_client_chooses_the_format(developer: Api, tokens: Json, accept: str, is_stream: bool) -> None:
    answer = developer.get("/events", Accept=accept)
    assert answer["Content-Type"].startswith(STREAM) == is_stream


def test_only_a_request_that_has_everything_waits(developer: Api, last: int) -> None:
    organization = expect(200, developer.get("/organization"))["id"]
    mark = parked(developer, f"after={last}&wait=7")
    assert mark
    assert (mark.kind, mark.seconds, mark.owner) == ("events", 7, organization)
    end = Entry.objects.count() - 1
    assert json.loads(mark.about) == {"after": end, "organization": organization, "types": None, "agents": None}
    filtered = parked(developer, "wait=7&types=domain.*&agentId=agt_1")
    assert filtered
    assert json.loads(filtered.about)["types"] == ["domain.*"]
    assert json.loads(filtered.about)["agents"] == ["agt_1"]
    assert parked(developer, f"after={last}") is None
    assert parked(developer, f"after={last}&wait=0") is None
    assert parked(developer, "wait=7") is None
    waits = parked(developer, f"after={last}", Accept=STREAM)
    assert waits
    assert waits.seconds == 30
    assert parked(developer, f"after={last}&wait=0", Accept=STREAM) is None
    assert parked(developer, "", Accept=STREAM) is None


def test_a_page_that_stopped_early_does_not_wait(developer: Api, last: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "read_feed", lambda *_, **__: FeedPage([], 3, 3, is_last=False))
    assert parked(developer, "wait=7&types=domain.*") is None


def test_an_archive_that_cannot_be_read_is_unavailable(developer: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> FeedPage:
        raise ArchiveUnavailable

    monkeypatch.setattr(events, "read_feed", fail)
    answer = developer.get("/events", Accept=STREAM)
    assert answer["Retry-After"]
    problem(answer, 503, "unavailable")
