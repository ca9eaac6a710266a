"""`AgentGateAdmin`: requests with the API's names, responses as dataclasses, pages as iterators."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import httpx
import pytest
from fake_gate import BASE_URL, NO_PAUSES, problem

from agentgate_oauth import AgentGateAdmin, AsyncAgentGateAdmin, rules
from agentgate_oauth.errors import (
    AuthenticationError,
    EmailTakenError,
    InvalidRequestError,
    KeyLimitedError,
    LastOwnerError,
    NotFoundError,
    NotMemberError,
    OrganizationRequiredError,
    RoleInsufficientError,
    UnexpectedResponseError,
)

AGENT = {
    "id": "agt_1",
    "clientId": "agc_1",
    "name": "My Agent",
    "description": None,
    "redirectUris": ["https://myapp.com/callback"],
    "allowedScopes": ["email:read"],
    "requirePkce": False,
    "status": "active",
    "createdAt": "2026-11-24T16:00:00.123Z",
    "updatedAt": "2026-11-24T16:00:00Z",
    "someday": {"a": 1},
}
ENTRY = {"id": "log_1", "timestamp": "2026-11-24T16:00:00Z", "event": "token.verify", "outcome": "denied"}
Handler = Callable[[httpx.Request], httpx.Response]


class Recorder:
    def __init__(self, *answers: httpx.Response) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self.answers.pop(0)

    def body(self) -> Any:
        return json.loads(self.requests[-1].content)


def admin(recorder: Recorder) -> AgentGateAdmin:
    http = httpx.Client(transport=httpx.MockTransport(recorder))
    return AgentGateAdmin(BASE_URL, "ag_key", http_client=http, retry=NO_PAUSES)


def ok(document: Any, status: int = 200) -> httpx.Response:
    return httpx.Response(status, json=document)


def test_create_agent():
    recorder = Recorder(ok({**AGENT, "clientSecret": "ags_new"}, 201))
    agent = admin(recorder).create_agent(
        name="My Agent", redirect_uris=["https://myapp.com/callback"], allowed_scopes=["email:read"]
    )
    assert agent.client_secret == "ags_new"
    assert agent.created_at == datetime(2026, 11, 24, 16, 0, 0, 123000, tzinfo=timezone.utc)
    request = recorder.requests[0]
    assert (request.method, request.url.path) == ("POST", "/api/v1/agents")
    assert request.headers["X-Api-Key"] == "ag_key" and request.headers["Idempotency-Key"]
    assert recorder.body() == {
        "name": "My Agent",
        "redirectUris": ["https://myapp.com/callback"],
        "allowedScopes": ["email:read"],
    }


def test_update_sends_only_given_fields_and_null_for_none():
    recorder = Recorder(ok(AGENT))
    admin(recorder).update_agent("agt_1", description=None, status="suspended")
    assert recorder.requests[0].method == "PATCH"
    assert recorder.body() == {"description": None, "status": "suspended"}


def test_create_policy_accepts_rules_and_raw_json():
    policy = {
        **{key: AGENT[key] for key in ("description", "createdAt", "updatedAt")},
        "id": "pol_1",
        "name": "Rate limit emails",
        "agentId": "agt_1",
        "enabled": True,
        "rules": [{"type": "rate_limit", "config": {"maxRequests": 10}}],
    }
    recorder = Recorder(ok(policy, 201))
    made = admin(recorder).create_policy(
        agent_id="agt_1",
        name="Rate limit emails",
        rules=[
            rules.rate_limit(max_requests=10, window_seconds=3600),
            {"type": "brand_new", "config": {"x": 1}},
        ],
    )
    assert made.rules[0].config == {"maxRequests": 10}
    assert recorder.body()["rules"] == [
        {"type": "rate_limit", "config": {"maxRequests": 10, "windowSeconds": 3600, "scope": "per_user"}},
        {"type": "brand_new", "config": {"x": 1}},
    ]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (rules.action_allowlist("email:read", "payments:*"), {"actions": ["email:read", "payments:*"]}),
        (rules.action_blocklist("payments:charge"), {"actions": ["payments:charge"]}),
        (rules.ip_allowlist("10.0.0.0/8"), {"cidrs": ["10.0.0.0/8"]}),
        (
            rules.time_window(allowed_days=[1, 5], start_time="09:00", end_time="17:00"),
            {"allowedDays": [1, 5], "startTimeUtc": "09:00", "endTimeUtc": "17:00", "timezone": "UTC"},
        ),
    ],
)
def test_rule_constructors_use_the_api_s_names(rule, expected):
    assert rule.config == expected


def test_audit_filters_and_iteration_over_pages():
    recorder = Recorder(
        ok({"items": [ENTRY], "nextCursor": "c1"}),
        ok({"items": [{**ENTRY, "id": "log_0"}], "nextCursor": None}),
    )
    since = datetime(2026, 11, 1, tzinfo=timezone.utc)
    entries = list(
        admin(recorder).iter_audit_logs(agent_id="agt_1", outcome="denied", chain="del_1", since=since)
    )
    assert [entry.id for entry in entries] == ["log_1", "log_0"]
    first, second = (dict(request.url.params) for request in recorder.requests)
    filters = {"agentId": "agt_1", "outcome": "denied", "chain": "del_1"}
    assert first == {**filters, "from": "2026-11-01T00:00:00Z", "limit": "200"}
    assert second == {**first, "cursor": "c1"}


def numbered(number: int) -> dict[str, Any]:
    stream = {"id": "org_1", "number": number}
    return {
        "id": "log_1",
        "type": "token.verify",
        "timestamp": ENTRY["timestamp"],
        "stream": stream,
        "data": ENTRY,
    }


def events(following: int, *numbers: int) -> httpx.Response:
    return ok({"items": [numbered(number) for number in numbers], "next": following})


def test_events_are_iterated_until_there_are_no_more():
    recorder = Recorder(events(2, 1, 2), events(9), events(10, 10), events(10))
    found = list(admin(recorder).iter_events(types=["consent.*", "token.verify"], agent_id="agt_1"))
    assert [event.stream.number for event in found] == [1, 2, 10]
    assert found[0].data.outcome == "denied"
    first, *_, last = (dict(request.url.params) for request in recorder.requests)
    assert first == {"after": "0", "types": "consent.*,token.verify", "agentId": "agt_1", "limit": "200"}
    assert last == {**first, "after": "10"}


def test_one_page_of_events():
    recorder = Recorder(events(7, 7))
    page = admin(recorder).get_events(after=6, wait=20, limit=1)
    assert ([event.stream.number for event in page], page.next, len(page)) == ([7], 7, 1)
    assert dict(recorder.requests[0].url.params) == {"after": "6", "wait": "20", "limit": "1"}
    with pytest.raises(TypeError, match="list"):
        admin(recorder).get_events(types="consent.*")


def test_events_are_followed_through_errors_that_pass(monkeypatch, caplog):
    pauses: list[float] = []
    monkeypatch.setattr("agentgate_oauth._drivers.time.sleep", pauses.append)
    recorder = Recorder(
        events(2, 2),
        events(2),
        httpx.Response(502),
        problem(429, "rate_limited", {"Retry-After": "7"}),
        events(3, 3),
    )
    followed = admin(recorder).follow_events(after=1)
    assert [next(followed).stream.number for _ in range(2)] == [2, 3]
    assert pauses[0] == 1.0, "the first empty page came at once"
    assert 0.5 <= pauses[1] <= 1 and pauses[2] == 7
    assert "Events cannot be read" in caplog.text
    recorder.answers = [problem(401, "not_authenticated")]
    with pytest.raises(AuthenticationError):
        next(followed)


async def test_events_are_awaited():
    recorder = Recorder(events(5), events(6, 6))
    http = httpx.AsyncClient(transport=httpx.MockTransport(recorder))
    async with AsyncAgentGateAdmin(BASE_URL, "ag_key", http_client=http) as api:
        page = await api.wait_for_events(after=4, types=["domain.*"])
        assert (page.items, page.next) == ((), 5), "what was examined is progress"
        async for event in api.follow_events(after=5):
            assert event.stream.number == 6
            break


def test_a_time_without_a_time_zone_is_refused():
    with pytest.raises(ValueError, match="aware"):
        admin(Recorder()).get_audit_logs(since=datetime(2026, 11, 1))


async def test_async_iteration_over_pages():
    recorder = Recorder(
        ok({"items": [AGENT], "nextCursor": "c1"}), ok({"items": [AGENT], "nextCursor": None})
    )
    http = httpx.AsyncClient(transport=httpx.MockTransport(recorder))
    async with AsyncAgentGateAdmin(BASE_URL, session_token="st_1", http_client=http) as api:
        agents = [agent async for agent in api.iter_agents()]
    assert len(agents) == 2
    assert recorder.requests[0].headers["Authorization"] == "Bearer st_1"


def test_ids_are_one_path_segment():
    recorder = Recorder(ok(AGENT))
    admin(recorder).get_agent("agt_1/../../policies")
    assert recorder.requests[0].url.raw_path == b"/api/v1/agents/agt_1%2F..%2F..%2Fpolicies"
    with pytest.raises(ValueError, match="empty"):
        admin(recorder).get_agent("")


def test_a_category_of_the_catalogue_has_its_own_path():
    recorder = Recorder(ok({"items": [], "nextCursor": None}))
    assert not admin(recorder).list_scopes("email").items
    assert recorder.requests[0].url.path == "/api/v1/scopes/email"


def test_delete_returns_none():
    assert admin(Recorder(httpx.Response(204))).delete_policy("pol_1") is None


def test_the_organization_is_sent_with_each_call():
    recorder = Recorder(ok({"items": [], "nextCursor": None}))
    http = httpx.Client(transport=httpx.MockTransport(recorder))
    AgentGateAdmin(BASE_URL, session_token="st_1", organization="org_1", http_client=http).list_agents()
    assert recorder.requests[0].headers["X-Organization"] == "org_1"


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (400, "organization_required", OrganizationRequiredError),
        (403, "role_insufficient", RoleInsufficientError),
        (403, "not_member", NotMemberError),
        (403, "key_limited", KeyLimitedError),
        (409, "last_owner", LastOwnerError),
    ],
)
def test_refusals_of_members_have_their_own_classes(status, code, error):
    with pytest.raises(error):
        admin(Recorder(problem(status, code))).remove_member("dev_1")


def test_error_classes_follow_the_code_then_the_status():
    fields = [{"field": "rules[0].type", "message": "unknown"}]
    recorder = Recorder(
        problem(409, "email_taken"), problem(404, "agent_not_found"), problem(400, "odd", errors=fields)
    )
    api = admin(recorder)
    with pytest.raises(EmailTakenError):
        api.get_agent("x")
    with pytest.raises(NotFoundError) as missing:
        api.get_agent("x")
    assert (missing.value.code, missing.value.request_id) == ("agent_not_found", "req-1")
    with pytest.raises(InvalidRequestError) as invalid:
        api.get_agent("x")
    assert invalid.value.errors[0].field == "rules[0].type"
    assert "rules[0].type: unknown" in str(invalid.value)


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {**AGENT, "id": 1},
        {**AGENT, "createdAt": "yesterday"},
        {**AGENT, "createdAt": "0001-01-01T00:00:00+01:00"},  # not in UTC's calendar
        {**AGENT, "allowedScopes": "x"},
    ],
)
def test_responses_of_another_shape_are_refused(document):
    with pytest.raises(UnexpectedResponseError):
        admin(Recorder(ok(document))).get_agent("agt_1")


@pytest.mark.parametrize("key,token", [(None, None), ("ag_1", "st_1"), ("", None)])
def test_exactly_one_credential_is_required(key, token):
    with pytest.raises(ValueError, match="either"):
        AgentGateAdmin(BASE_URL, key, session_token=token)


@pytest.mark.parametrize(
    "url", ["http://gate.example", "gate.example", "https://u:p@gate.example", "ftp://x", "https://x?y=1"]
)
def test_unsafe_base_urls_are_refused(url):
    with pytest.raises(ValueError, match="base_url"):
        AgentGateAdmin(url, "ag_key")


def test_http_is_accepted_on_this_machine_or_with_allow_http():
    AgentGateAdmin("http://localhost:8000/", "ag_key").close()
    AgentGateAdmin("http://gate.internal", "ag_key", allow_http=True).close()
