"""Simulations of policies: for one request, and over the log."""

from typing import Any

import pytest

from audit.models import Entry, Journal
from audit.sequencing.sequencer import sequence
from decisions.whatif import simulation
from limits.models import Counter
from policies.models import Policy
from tests.api.conftest import Api, Json, expect, problem, verify
from tests.shared import cases

PATH = "/policies/simulate"
BLOCK = {"type": "action_blocklist", "config": {"actions": ["email:send"]}}
LIMIT = {"type": "rate_limit", "config": {"maxRequests": 1, "windowSeconds": 3600, "scope": "per_user"}}
GUARD = {"type": "data_flow", "config": {"windowSeconds": 3600, "then": "ask"}}
RECIPIENT = {
    "type": "context_match",
    "config": {
        "actions": ["email:send"],
        "conditions": [{"field": "recipient", "operator": "ends_with", "value": "@acme.com"}],
    },
}


def asked(agent: Json, *scopes: str, **fields: Any) -> Json:
    return {"agentId": agent["id"], "userId": "usr_1", "requiredScopes": list(scopes or ["email:send"]), **fields}


def simulate(developer: Api, *rules: Any, request: Json, **policy: Any) -> Json:
    answer = expect(200, developer.post(PATH, {"policy": {"rules": list(rules), **policy}, "request": request}))
    decision: Json = answer["decision"]
    return decision


def outcomes(decision: Json) -> list[str]:
    return [each["outcome"] for each in decision["trace"]]


def test_each_rule_says_what_it_thinks_of_the_request(developer: Api, agent: Json) -> None:
    decision = simulate(developer, BLOCK, LIMIT, RECIPIENT, request=asked(agent, context={"recipient": "a@evil.com"}))

    assert decision["outcome"] == "denied"
    assert outcomes(decision) == ["denied", "passed", "denied"]
    assert decision["trace"][2] == {
        "ruleIndex": 2,
        "ruleType": "context_match",
        "outcome": "denied",
        "detail": "recipient does not meet ends_with.",
        "retryAfterSeconds": None,
    }
    decision = simulate(developer, RECIPIENT, LIMIT, request=asked(agent, "email:read"))
    assert (decision["outcome"], outcomes(decision)) == ("passed", ["not_concerned", "passed"])


def test_a_policy_for_another_agent_does_not_concern_the_request(developer: Api, agent: Json) -> None:
    decision = simulate(developer, BLOCK, request=asked(agent) | {"agentId": "agt_other"}, agentId=agent["id"])

    assert decision == {"outcome": "not_concerned", "trace": []}
    assert simulate(developer, BLOCK, request=asked(agent), agentId=agent["clientId"])["outcome"] == "denied"


def test_a_request_that_was_handed_on_is_one_of_each_agent_of_its_chain(developer: Api, agent: Json) -> None:
    bounded = {"type": "delegation", "config": {"maxDepth": 1, "organizations": ["org_theirs"]}}
    theirs = {"agentId": "agt_theirs", "organizationId": "org_theirs", "delegationId": None}
    acting = {"agentId": agent["id"], "organizationId": None, "delegationId": "del_1"}
    request = asked(agent, chain=[theirs, acting])
    decision = simulate(developer, bounded, request=request)
    assert [each["detail"] for each in decision["trace"]] == [
        "The organization of an agent of the chain is not listed."
    ]
    longer = asked(agent, chain=[theirs, {"agentId": "agt_2", "organizationId": "org_theirs"}, acting])
    assert "more often" in simulate(developer, bounded, request=longer)["trace"][0]["detail"]
    assert simulate(developer, bounded, request=asked(agent))["outcome"] == "passed"
    # A policy for the agent above concerns the request, too.
    through = {**asked(agent), "agentId": "agt_theirs", "chain": [{"agentId": agent["id"]}, theirs]}
    assert simulate(developer, BLOCK, request=through, agentId=agent["id"])["outcome"] == "denied"
    assert outcomes(simulate(developer, BLOCK, request=through)) == ["denied"]
    for chain in ([theirs], [acting, theirs], [acting, acting], [theirs] * 6):
        fields = {"policy": {"rules": [BLOCK]}, "request": asked(agent, chain=chain)}
        problem(developer.post(PATH, fields), 400, "validation_failed", "request.chain")


def test_the_time_of_the_request_counts(developer: Api, agent: Json) -> None:
    hours = {"type": "time_window", "config": {"allowedDays": [1], "startTimeUtc": "09:00", "endTimeUtc": "17:00"}}
    monday, later = "2026-03-23T12:00:00Z", "2026-03-23T17:00:00+00:00"

    assert simulate(developer, hours, request=asked(agent, at=monday))["outcome"] == "passed"
    denied = simulate(developer, hours, request=asked(agent, at=later))
    assert denied["trace"][0]["retryAfterSeconds"] == 576_000


def test_what_would_be_asked(developer: Api, agent: Json) -> None:
    request = asked(agent, "email:send", "email:read", "browser:read")

    assert simulate(developer, GUARD, request=request)["outcome"] == "asked"
    assert simulate(developer, GUARD, request={**request, "userId": None})["outcome"] == "denied"
    stated = asked(agent, context={"labels": ["private", "untrusted"]})
    assert simulate(developer, GUARD, request=stated)["outcome"] == "asked"
    assert outcomes(simulate(developer, GUARD, request=asked(agent, context={"labels": ["secret"]}))) == ["denied"]


def test_a_stored_policy_has_its_counters_and_a_draft_in_its_place_too(
    developer: Api, agent: Json, tokens: Json
) -> None:
    policy = expect(201, developer.post("/policies", {"name": "Slow", "rules": [LIMIT]}))
    request = asked(agent, "email:read") | {"userId": tokens["userId"]}
    body = {"policyId": policy["id"], "request": request}
    assert expect(200, developer.post(PATH, body))["decision"]["outcome"] == "passed"
    assert verify(tokens["accessToken"])["allowed"] is True

    assert expect(200, developer.post(PATH, body))["decision"]["outcome"] == "denied"
    assert expect(200, developer.post(PATH, {**body, "policy": {"rules": [LIMIT]}}))["decision"]["outcome"] == "denied"
    assert simulate(developer, LIMIT, request=request)["outcome"] == "passed"


def test_nothing_is_written_or_counted(developer: Api, agent: Json, tokens: Json) -> None:
    policy = expect(201, developer.post("/policies", {"name": "Slow", "rules": [LIMIT, GUARD]}))
    sequence()
    before = (Entry.objects.count(), Journal.objects.count(), Policy.objects.get().version)
    for _ in range(2):
        body = {"policyId": policy["id"], "request": asked(agent)}
        assert expect(200, developer.post(PATH, body))["decision"]["outcome"] == "passed"
        expect(200, developer.post(PATH, {"policyId": policy["id"], "replay": {"days": 1}}))

    assert (Entry.objects.count(), Journal.objects.count(), Policy.objects.get().version) == before
    assert not Counter.objects.filter(key__startswith="limit|pol_").exists()


def test_a_replay_counts_what_would_change(developer: Api, agent: Json, tokens: Json) -> None:
    for scope in ("email:send", "email:send", "email:read"):
        verify(tokens["accessToken"], scope)
    sequence()

    body = {"policy": {"rules": [LIMIT, BLOCK]}, "replay": {"days": 7}}
    replay = expect(200, developer.post(PATH, body))["replay"]

    assert replay["from"] <= replay["to"]
    change = {"agentId": agent["id"], "policyId": None, "newlyAllowed": 0, "newlyAsked": 0}
    assert {**replay, "from": None, "to": None} == {
        "from": None,
        "to": None,
        "decisions": 3,
        "newlyDenied": 2,
        "newlyAllowed": 0,
        "newlyAsked": 0,
        "undecided": {"truncated": 0, "erased": 0, "hidden": 0},
        "changes": [{**change, "ruleType": "action_blocklist", "ruleIndex": 1, "newlyDenied": 2}],
        "truncated": False,
    }


def test_a_replay_of_an_empty_log(developer: Api) -> None:
    replay = expect(200, developer.post(PATH, {"policy": {"rules": []}, "replay": {"days": 30}}))["replay"]

    assert (replay["from"], replay["to"], replay["decisions"], replay["changes"]) == (None, None, 0, [])


def test_a_replay_that_ends_early_says_so(developer: Api, tokens: Json, monkeypatch: pytest.MonkeyPatch) -> None:
    verify(tokens["accessToken"])
    sequence()
    monkeypatch.setattr(simulation, "MAX_DECISIONS", 0)

    body = {"policy": {"rules": [BLOCK]}, "replay": {"days": 1}}
    assert expect(200, developer.post(PATH, body))["replay"]["truncated"] is True


def test_another_replay_is_refused_meanwhile(developer: Api) -> None:
    body = {"policy": {"rules": [BLOCK]}, "replay": {"days": 1}}
    with simulation._place():
        answer = developer.post(PATH, body)
    problem(answer, 503, "replay_busy")
    assert answer["Retry-After"] == "10"
    expect(200, developer.post(PATH, body))


@cases(("rate", "decides"), [("SIMULATION_RATE", "request"), ("REPLAY_RATE", "replay")])
def test_simulations_are_throttled_per_organization(
    developer: Api, rival: Api, agent: Json, monkeypatch: pytest.MonkeyPatch, rate: str, decides: str
) -> None:
    monkeypatch.setattr(f"decisions.whatif.simulation.{rate}", "1/hour")
    body = {"policy": {"rules": []}, decides: {"request": asked(agent), "replay": {"days": 1}}[decides]}
    expect(200, developer.post(PATH, body))
    problem(developer.post(PATH, body), 429, "throttled")
    expect(200, rival.post(PATH, body))


@cases(
    ("change", "fields"),
    [
        ({"policy": None}, ["policy"]),
        ({"request": None}, ["request"]),
        ({"replay": {"days": 1}}, ["replay"]),
        ({"request": None, "replay": {"days": 0}}, ["replay.days"]),
        ({"request": None, "replay": {"days": 31}}, ["replay.days"]),
        ({"request": None, "replay": {"days": "7"}}, ["replay.days"]),
        ({"policy": {}}, ["policy.rules"]),
        ({"policy": {"rules": {}}}, ["policy.rules"]),
        ({"policy": {"rules": [{"type": "mood", "config": {}}]}}, ["policy.rules.0.type"]),
        (
            {"policy": {"rules": [{"type": "action_blocklist", "config": {"actions": ["emial:send"]}}]}},
            ["policy.rules.0.config.actions.0"],
        ),
        ({"policy": {"rules": [], "agentId": "agt_other"}}, ["policy.agentId"]),
        ({"policy": {"rules": [], "mode": "shadow"}}, ["policy.mode"]),
        ({"request": {"agentId": "agt_1"}}, ["request.requiredScopes"]),
        ({"request": {"requiredScopes": ["email:read"]}}, ["request.agentId"]),
        ({"request": {"agentId": "agt_1", "requiredScopes": ["email:read"], "at": "noon"}}, ["request.at"]),
        (
            {"request": {"agentId": "agt_1", "requiredScopes": ["email:read"], "at": "0001-01-01T00:00:00Z"}},
            ["request.at"],
        ),
        (
            {"request": {"agentId": "agt_1", "requiredScopes": ["email:read"], "at": "9999-12-31T23:59:59Z"}},
            ["request.at"],
        ),
        (
            {"request": {"agentId": "agt_1", "requiredScopes": ["email:read"], "context": {"t": "x" * 17_000}}},
            ["request.context"],
        ),
        ({"extra": 1}, ["extra"]),
    ],
)
def test_an_invalid_field_is_reported(developer: Api, agent: Json, change: Json, fields: list[str]) -> None:
    body = {"policy": {"rules": []}, "request": asked(agent)} | change
    sent = {name: value for name, value in body.items() if value is not None}

    problem(developer.post(PATH, sent), 400, "validation_failed", *fields)


def test_another_organizations_policy_looks_nonexistent(developer: Api, rival: Api, agent: Json) -> None:
    policy = expect(201, developer.post("/policies", {"name": "Mine", "rules": [BLOCK]}))
    body = {"policyId": policy["id"], "request": asked(agent)}

    found = problem(rival.post(PATH, body), 404, "not_found")
    absent = problem(rival.post(PATH, {**body, "policyId": "pol_0000"}), 404, "not_found")
    assert {**found, "requestId": ""} == {**absent, "requestId": ""}


def test_another_organizations_agent_looks_like_any_other(developer: Api, rival: Api, agent: Json) -> None:
    decision = simulate(rival, BLOCK, request=asked(agent))
    assert decision == simulate(rival, BLOCK, request=asked(agent) | {"agentId": "agt_0000"})


def test_another_organizations_log_is_not_replayed(developer: Api, rival: Api, tokens: Json) -> None:
    verify(tokens["accessToken"], "email:send")
    sequence()
    body = {"policy": {"rules": [BLOCK]}, "replay": {"days": 7}}

    assert expect(200, developer.post(PATH, body))["replay"]["newlyDenied"] == 1
    assert expect(200, rival.post(PATH, body))["replay"]["decisions"] == 0


def test_a_simulation_requires_a_developer(anonymous: Api, ada: Api) -> None:
    problem(anonymous.post(PATH, {}), 401, "not_authenticated")
    problem(ada.post(PATH, {}), 403, "forbidden")


def test_what_another_organizations_guard_remembers_is_not_used(
    developer: Api, rival: Api, agent: Json, tokens: Json
) -> None:
    expect(201, developer.post("/policies", {"name": "Guard", "rules": [GUARD]}))
    own = expect(201, rival.post("/policies", {"name": "Guard", "rules": [GUARD]}))
    body = {"policyId": own["id"], "request": asked(agent, "email:send") | {"userId": tokens["userId"]}}
    before = expect(200, rival.post(PATH, body))
    assert verify(tokens["accessToken"], "email:read")["allowed"]
    assert expect(200, rival.post(PATH, body)) == before
    assert before["decision"]["outcome"] == "passed"


def test_the_own_organizations_guard_remembers(developer: Api, agent: Json, tokens: Json) -> None:
    policy = expect(201, developer.post("/policies", {"name": "Guard", "rules": [GUARD]}))
    body = {"policyId": policy["id"], "request": asked(agent, "email:send") | {"userId": tokens["userId"]}}
    assert verify(tokens["accessToken"], "email:read")["allowed"]
    assert expect(200, developer.post(PATH, body))["decision"]["outcome"] == "asked"


def test_another_organizations_scopes_look_nonexistent(developer: Api, rival: Api) -> None:
    scope = {
        "id": "notes:wipe",
        "riskLevel": "high",
        "title": "Delete all notes",
        "description": "Delete your notes",
        "cannot": "Read them",
        "labels": ["outbound", "private", "untrusted"],
    }
    server = {"name": "Notes", "identifier": "https://notes.example/api", "scopes": [scope]}
    expect(201, developer.post("/resource-servers", server))

    def found(api: Api, name: str) -> Json:
        return simulate(api, GUARD, request={"agentId": "agt_x", "userId": "usr_1", "requiredScopes": [name]})

    assert found(rival, "notes:wipe") == found(rival, "notes:nothing")
    assert found(developer, "notes:wipe")["outcome"] == "asked"
