"""The JSON of a decision is written by hand, for speed. It must be what the OpenAPI document says."""

import json
from datetime import datetime, timedelta
from typing import Any

import orjson
from pydantic.alias_generators import to_snake

from api.v1.schemas.tokens import DecisionOut, encode_decision, show_decision
from approvals.statuses import ApprovalStatus
from core.chains import Link
from decisions.requests import UNKNOWN_TOKEN, Decision, Reason, RuleTrace
from policies.engine import Outcome, PolicyDenial
from tests.shared import cases

MOMENT = datetime.fromisoformat("2026-03-01T12:00:00+00:00")
DENIAL = PolicyDenial("pol_1", "Office hours", "rate_limit", 0, "The rate limit is exceeded.", 7)
KNOWN = {
    "user_id": "usr_1",
    "agent_id": "agt_1",
    "consent_id": "cns_1",
    "granted_scopes": ("email:read",),
    "expires_at": MOMENT,
    "audit_id": "log_1",
}
TRACE = (
    RuleTrace("rate_limit", Outcome.DENIED, "pol_1", "Office hours", 0, "The rate limit is exceeded."),
    RuleTrace("time_window", Outcome.PASSED),
)
CHAIN = (Link("agt_0", None, "org_1"), Link("agt_1", "del_1", "org_1"))
DECISIONS = {
    "unknown token": UNKNOWN_TOKEN,
    "allowed": Decision(allowed=True, **KNOWN),
    "client credentials": Decision(allowed=True, **{**KNOWN, "user_id": None, "consent_id": None}),
    "deleted agent": Decision(allowed=False, reason=Reason.TOKEN_EXPIRED, **{**KNOWN, "agent_id": None}),
    "missing scopes": Decision(
        allowed=False, reason=Reason.INSUFFICIENT_SCOPE, missing_scopes=("email:send", "files:read"), **KNOWN
    ),
    "policy": Decision(allowed=False, reason=Reason.POLICY_DENIED, policy=DENIAL, retry_after_seconds=7, **KNOWN),
    "approval": Decision(allowed=False, reason=Reason.APPROVAL_REQUIRED, approval_id="apr_1", **KNOWN),
    "denied by the user": Decision(
        allowed=False,
        reason=Reason.APPROVAL_REQUIRED,
        approval_id="apr_1",
        approval_status=ApprovalStatus.DENIED,
        **KNOWN,
    ),
    "reserved": Decision(allowed=True, reservation_id="rsv_1", reservation_expires_at=MOMENT, **KNOWN),
    "handed over": Decision(allowed=True, chain=CHAIN, **KNOWN),
    "trace": Decision(allowed=True, trace=TRACE, **KNOWN),
}


def snake_names(shown: Any) -> Any:
    return {to_snake(name): value for name, value in shown.items()} if shown else shown


@cases("decision", DECISIONS.values(), ids=DECISIONS)
def test_a_decision_is_shown_as_the_schema_says(decision: Decision) -> None:
    shown = json.loads(orjson.dumps(show_decision(decision)))
    fields = {to_snake(name): value for name, value in shown.items()}
    if policy := fields.get("policy"):
        fields["policy"] = snake_names(policy)
    if trace := fields.get("trace"):
        fields["trace"] = [snake_names(rule | {"policy": snake_names(rule["policy"])}) for rule in trace]
    if chain := fields.get("chain"):
        fields |= {"actor": snake_names(fields["actor"]), "chain": [snake_names(link) for link in chain]}
    fields |= {name: MOMENT for name in ("expires_at", "reservation_expires_at") if name in fields}

    assert set(fields) <= set(DecisionOut.model_fields)
    assert DecisionOut(**fields).model_dump(mode="json", exclude_unset=True) == shown


def test_together_they_have_all_fields() -> None:
    seen = {name for decision in DECISIONS.values() for name in show_decision(decision)}
    seen.add("receipt")  # which the endpoints add
    assert seen == {DecisionOut.model_fields[name].serialization_alias for name in DecisionOut.model_fields}


def test_encoded_decisions_are_what_is_shown() -> None:
    """Also those that have the beginning of another one, or differ from it in a single field."""
    others = {
        **dict.fromkeys(("user_id", "agent_id", "consent_id", "audit_id"), "other"),
        "granted_scopes": ("email:send", 'a "quoted" name\n'),
        "expires_at": MOMENT + timedelta(microseconds=1),
    }
    varied = [Decision(allowed=True, **{**KNOWN, name: other}) for name, other in others.items()]
    lacking = [Decision(allowed=True, **{**KNOWN, name: None}) for name in KNOWN if name != "granted_scopes"]
    denied = Decision(allowed=False, **KNOWN)
    many = Decision(allowed=True, **{**KNOWN, "granted_scopes": ("email:read",) * 100})
    for decision in (*DECISIONS.values(), *varied, *lacking, denied, many, *DECISIONS.values()):
        assert encode_decision(decision) == orjson.dumps(show_decision(decision))
