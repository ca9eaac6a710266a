"""The limits that a user sets on a connection, in decisions."""

import json
from typing import Any

import pytest

from consent.models import Consent
from decisions.requests import Reason
from tests.decisions.drivers import Decide, allowed, asking, bound, written_rows
from tests.shared import cases
from tests.world import Grant

pytestmark = pytest.mark.django_db


def rate(requests: int) -> dict[str, Any]:
    return {"type": "rate_limit", "config": {"maxRequests": requests, "windowSeconds": 3600, "scope": "per_user"}}


@cases(
    "terms",
    [
        {"modes": {"email:read": "Ask"}},
        {"modes": {"email:read": "always"}},
        {"modes": {"email:read": True}},
        {"modes": {"email:read": None}},
        {"modes": ["email:read"]},
        {"modes": None},
        {"mode": {"email:read": "ask"}},
        {"modes": {"email:send": "ask"}, "more": {}},
        {"limits": {"email:send": {}}},
        {"limits": {"email:send": ""}},
        {"limits": {"email:send": None}},
        {"limits": {"email:send": []}},
        {"limits": {"email:send": rate(9)}},
        {"limits": {"email:send": [None]}},
        {"guards": []},
        {"guards": {"data_flow": "Deny"}},
        {"guards": {"other": "deny"}},
        {"targets": {"email:send": []}},
        {"targets": {"email:send": {}}},
        {"targets": {"email:send": [{"type": "account", "field": "target", "identifiers": []}]}},
        {"targets": {"email:send": [{"type": "account", "field": "target", "identifiers": "ab"}]}},
        {"targets": {"email:send": [{"type": "account", "field": "target", "identifiers": [1]}]}},
        {"targets": {"email:send": [{"field": "target", "identifiers": ["a"]}]}},
        {"targets": {"email:send": [{"type": "account", "field": "target", "identifiers": ["a"], "more": 1}]}},
        {"labels": {"email:send": []}},
        {"labels": {"email:send": ["Private"]}},
        {"labels": {"email:send": "private"}},
        {"history": {"email:send": []}},
        {"history": {"email:send": [{"windowSeconds": 60}]}},
        {"history": [{"windowSeconds": 60}]},
        {"critical": "email:read"},
        {"critical": None},
        {"critical": [1]},
        [],
        "ask",
    ],
    ids=json.dumps,
)
def test_terms_that_are_not_as_stored_deny_everything(decide: Decide, grant: Grant, terms: Any) -> None:
    Consent.objects.filter(pk=grant.consent.pk).update(terms=terms)

    (denied,) = decide(asking(grant.access_token, context={"target": "a"}))

    assert denied.reason is Reason.POLICY_DENIED
    assert denied.policy
    assert denied.policy.policy_id == grant.consent.id


def test_a_limit_bounds_its_scope_only(decide: Decide, grant: Grant) -> None:
    bound(grant, limits={"email:send": [rate(2)]})
    reads = decide(*[asking(grant.access_token)] * 3)
    sends = decide(*[asking(grant.access_token, "email:send")] * 3)
    assert allowed([*reads, *sends]) == [True, True, True, True, True, False]


def test_the_denial_names_the_users_limit(decide: Decide, grant: Grant) -> None:
    bound(grant, limits={"email:read": [{"type": "action_blocklist", "config": {"actions": ["email:read"]}}]})

    (denied,) = decide(asking(grant.access_token))

    assert denied.reason is Reason.POLICY_DENIED
    assert denied.policy
    assert (denied.policy.policy_id, denied.policy.rule_type) == (grant.consent.id, "action_blocklist")
    content = written_rows()[-1][0].content
    assert content["metadata"]["limitedBy"] == "user"
    assert "detail" not in content["metadata"]
    assert "policy" not in written_rows()[-1][0].withheld


@pytest.mark.postgresql
def test_two_limits_of_two_scopes_count_apart(decide: Decide, grant: Grant) -> None:
    bound(grant, limits={"email:send": [rate(1)], "email:read": [rate(1)]})
    first = decide(asking(grant.access_token), asking(grant.access_token, "email:send"))
    second = decide(asking(grant.access_token), asking(grant.access_token, "email:send"))
    assert allowed([*first, *second]) == [True, True, False, False]


def test_a_target_must_be_one_that_the_user_picked(decide: Decide, grant: Grant) -> None:
    target = {"type": "calendar", "field": "target", "identifiers": ["work", "home"]}
    bound(grant, targets={"email:read": [target]})
    decisions = decide(
        asking(grant.access_token, context={"target": "work"}),
        asking(grant.access_token, context={"target": "gym"}),
        asking(grant.access_token),
        asking(grant.access_token, "email:send"),
    )
    assert allowed(decisions) == [True, False, False, True]
    assert decisions[1].policy
    assert decisions[1].policy.rule_type == "context_match"
