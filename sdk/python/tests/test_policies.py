"""Constructors of rules, and simulations of policies."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import httpx
import pytest
from fake_gate import BASE_URL

from agentgate_oauth import AgentGateAdmin, AsyncAgentGateAdmin, Policy, Rule, UnexpectedResponseError, rules
from agentgate_oauth.cli.rule_descriptions import describe_rule
from agentgate_oauth.rules import condition

NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
LIMIT = rules.rate_limit(max_requests=10, window_seconds=3600)
LIMIT_JSON = {"type": "rate_limit", "config": {"maxRequests": 10, "windowSeconds": 3600, "scope": "per_user"}}


@pytest.mark.parametrize(
    ("rule", "config"),
    [
        (
            rules.context_match(
                condition("recipient", "ends_with", "@acme.com"),
                condition("amount.value", "at_most", Decimal("5E+1")),
                condition("amount.currency", "in", ["EUR", "USD"]),
                condition("task", "exists"),
                condition("cc", "exists", False),
            ),
            {
                "conditions": [
                    {"field": "recipient", "operator": "ends_with", "value": "@acme.com"},
                    {"field": "amount.value", "operator": "at_most", "value": "50"},
                    {"field": "amount.currency", "operator": "in", "values": ["EUR", "USD"]},
                    {"field": "task", "operator": "exists", "value": True},
                    {"field": "cc", "operator": "exists", "value": False},
                ]
            },
        ),
        (
            rules.spend_limit(max_amount="100.00", currency="EUR", window_seconds=86400),
            {"maxAmount": "100.00", "currency": "EUR", "windowSeconds": 86400, "scope": "per_user"},
        ),
        (
            rules.spend_limit(max_amount=Decimal("1E+2"), currency="JPY", window_seconds=60, scope="global"),
            {"maxAmount": "100", "currency": "JPY", "windowSeconds": 60, "scope": "global"},
        ),
        (rules.data_flow(window_seconds=3600), {"windowSeconds": 3600, "then": "ask"}),
        (rules.data_flow(window_seconds=60, then="deny"), {"windowSeconds": 60, "then": "deny"}),
        (
            rules.delegation(max_depth=0, organizations=["org_1"]),
            {"maxDepth": 0, "organizations": ["org_1"]},
        ),
        (
            rules.cedar("permit (principal, action, resource);"),
            {"policy": "permit (principal, action, resource);"},
        ),
    ],
)
def test_new_rules(rule: Rule, config: dict[str, Any]):
    assert rule.config == config


@pytest.mark.parametrize(
    "rule",
    [
        rules.rate_limit(max_requests=1, window_seconds=60, actions=["payments:*"]),
        rules.spend_limit(max_amount="1", currency="EUR", window_seconds=60, actions=["payments:*"]),
        rules.time_window(allowed_days=[1], start_time="09:00", end_time="17:00", actions=["payments:*"]),
        rules.ip_allowlist("10.0.0.0/8", actions=["payments:*"]),
        rules.context_match(condition("task", "exists"), actions=["payments:*"]),
        rules.data_flow(window_seconds=60, actions=["payments:*"]),
        rules.delegation(agents=["agt_1"], actions=["payments:*"]),
        rules.cedar("permit (principal, action, resource);", actions=["payments:*"]),
    ],
    ids=lambda rule: rule.type,
)
def test_every_rule_takes_the_actions_that_it_concerns(rule: Rule):
    assert rule.config["actions"] == ["payments:*"]


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (
            rules.spend_limit(max_amount="9.00", currency="EUR", window_seconds=60, actions=["payments:*"]),
            "at most 9.00 EUR in 60 seconds, for each user (only for payments:*)",
        ),
        (
            rules.context_match(condition("to", "ends_with", "@a.com"), condition("cur", "in", ["EUR"])),
            'only if to ends_with "@a.com" and cur in ["EUR"]',
        ),
        (
            rules.data_flow(window_seconds=60, then="deny"),
            "deny sending data out within 60 seconds of reading private data and others' content",
        ),
        (
            rules.delegation(max_depth=1, agents=["agt_1", "agt_2"]),
            "handed over only at most 1 times and between the agents agt_1, agt_2",
        ),
        (
            rules.cedar("permit (principal,\n  action, resource);"),
            "only what Cedar permits: permit (principal, action, resource);",
        ),
        (rules.action_allowlist("email:read"), "only email:read"),
        (Rule("spend_limit", {}), "spend_limit {}"),
        (Rule("invented", {"actions": ["x"]}), 'invented {"actions": ["x"]}'),
    ],
    ids=lambda value: value.type if isinstance(value, Rule) else None,
)
def test_rules_are_described_on_the_command_line(rule: Rule, text: str):
    assert describe_rule(rule) == text


def test_mistakes_are_refused():
    with pytest.raises(TypeError, match="exact"):
        rules.spend_limit(max_amount=1.5, currency="EUR", window_seconds=60)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="separate argument"):
        rules.context_match([condition("task", "exists")])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="actions"):
        rules.data_flow(window_seconds=60, actions="payments:*")
    with pytest.raises(TypeError, match="list of values"):
        condition("amount.currency", "in", "EUR")


# Simulations


class Simulator:
    """Answers with `document`, and remembers the requests."""

    def __init__(self, document: Any) -> None:
        self.document = document
        self.bodies: list[Any] = []
        self.patience: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/api/v1/policies/simulate"
        self.bodies.append(json.loads(request.content))
        self.patience.append(request.extensions["timeout"]["read"])
        return httpx.Response(200, json=self.document)

    def admin(self) -> AgentGateAdmin:
        return AgentGateAdmin(
            BASE_URL, "ag_key", http_client=httpx.Client(transport=httpx.MockTransport(self))
        )


DECISION = {
    "decision": {
        "outcome": "denied",
        "trace": [
            {
                "ruleIndex": 0,
                "ruleType": "rate_limit",
                "outcome": "denied",
                "detail": "Too many.",
                "retryAfterSeconds": 60,
            }
        ],
    }
}
REPLAY = {
    "replay": {
        "from": "2026-03-01T12:00:00Z",
        "to": None,
        "decisions": 1000,
        "newlyDenied": 3,
        "newlyAllowed": 0,
        "newlyAsked": 1,
        "undecided": {"truncated": 1, "erased": 2, "hidden": 0},
        "changes": [
            {
                "agentId": "agt_1",
                "policyId": None,
                "ruleType": "rate_limit",
                "ruleIndex": 0,
                "newlyDenied": 3,
                "newlyAllowed": 0,
                "newlyAsked": 1,
            }
        ],
        "truncated": False,
    }
}


def test_a_draft_is_simulated_for_one_request():
    simulator = Simulator(DECISION)
    found = simulator.admin().simulate(
        policy={"agent_id": "agt_1", "rules": [LIMIT, {"type": "time_window", "config": {}}]},
        request={
            "agent_id": "agt_1",
            "required_scopes": ["email:send"],
            "context": {"user_text": "kept"},
            "at": NOON,
        },
    )
    assert simulator.bodies == [
        {
            "policy": {"agentId": "agt_1", "rules": [LIMIT_JSON, {"type": "time_window", "config": {}}]},
            "request": {
                "agentId": "agt_1",
                "requiredScopes": ["email:send"],
                "context": {"user_text": "kept"},
                "at": "2026-03-01T12:00:00+00:00",
            },
        }
    ]
    assert (found.outcome, found.trace[0].rule_type, found.trace[0].retry_after_seconds) == (
        "denied",
        "rate_limit",
        60,
    )


def test_a_stored_policy_and_a_draft_in_its_place_are_simulated():
    simulator = Simulator(DECISION)
    stored = Policy("pol_1", "Limit", None, None, True, (LIMIT,), NOON, NOON)
    request = {"agentId": "agt_1", "requiredScopes": ["email:send"]}
    simulator.admin().simulate(policy_id="pol_1", request=request)
    simulator.admin().simulate(policy=stored, policy_id="pol_1", request=request)
    assert simulator.bodies == [
        {"policyId": "pol_1", "request": request},
        {
            "policyId": "pol_1",
            "policy": {"name": "Limit", "agentId": None, "rules": [LIMIT_JSON]},
            "request": request,
        },
    ]


def test_a_replay_may_take_long():
    simulator = Simulator(REPLAY)
    found = simulator.admin().replay(policy={"rules": [LIMIT]}, days=7)
    assert simulator.bodies == [{"policy": {"rules": [LIMIT_JSON]}, "replay": {"days": 7}}]
    assert simulator.patience[0] > 30
    assert (found.from_, found.to, found.decisions, found.newly_denied) == (NOON, None, 1000, 3)
    assert (found.undecided.erased, found.changes[0].newly_asked) == (2, 1)


@pytest.mark.parametrize("document", [{}, {"decision": None}, [], REPLAY])
def test_a_response_without_the_decision_is_refused(document):
    with pytest.raises(UnexpectedResponseError, match="decision is missing"):
        Simulator(document).admin().simulate(policy={"rules": []}, request={"agentId": "agt_1"})


async def test_asynchronous_simulations():
    http = httpx.AsyncClient(transport=httpx.MockTransport(Simulator(REPLAY)))
    assert (await AsyncAgentGateAdmin(BASE_URL, "ag_key", http_client=http).replay(days=1)).newly_asked == 1
