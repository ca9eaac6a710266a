"""Authorization details (RFC 9396) in the JSON API: asking, picking, and what tokens and consents show of it."""

from datetime import timedelta
from typing import Any

import jwt
import pytest
import time_machine

from consent.models import Consent
from core import clock
from tests.api.conftest import (
    CALLBACK,
    Api,
    Json,
    credentials,
    expect,
    initiate,
    new_agent,
    problem,
    verify,
)
from tests.log import log_entries, personal_data
from tests.shared import cases

ALLOWED = ["github:repo:read", "github:repo:write", "calendar:read", "email:read"]
SITE, DOCS, SHOP = "acme/site", "acme/docs", "acme/shop"
DAY = 86_400
CODE = ["github:repo:read", "github:repo:write"]
REPOSITORIES = {"type": "repository", "identifiers": [SITE, DOCS], "actions": CODE}
CALENDARS = {"type": "calendar", "identifiers": ["work", "home"], "actions": ["calendar:read"]}


@pytest.fixture
def agent(developer: Api) -> Json:
    return new_agent(developer, allowedScopes=ALLOWED)


def request(agent: Json, *details: Json, scopes: list[str] | None = None, **fields: Any) -> str:
    return initiate(agent, requestedScopes=scopes or ALLOWED, authorizationDetails=list(details), **fields)


def approve(person: Api, consent_id: str, **body: Any) -> Json:
    return expect(200, person.post(f"/consent/{consent_id}/approve", body))


def exchange(agent: Json, approved: Json) -> Json:
    return expect(200, Api().post("/tokens/exchange", {"code": approved["code"], **credentials(agent)}))


def claims(tokens: Json) -> Json:
    return jwt.decode(tokens["accessToken"], options={"verify_signature": False})


def detail(kind: str, identifiers: list[str], actions: list[str]) -> Json:
    return {"type": kind, "identifiers": identifiers, "actions": actions}


def test_the_request_shows_what_the_agent_asks_to_act_on(agent: Json, anonymous: Api) -> None:
    shown = expect(200, anonymous.get(f"/consent/{request(agent, REPOSITORIES, CALENDARS)}"))
    assert shown["authorizationDetails"] == [REPOSITORIES, CALENDARS]
    assert "grantedAuthorizationDetails" not in shown


def test_a_detail_bounds_all_requested_scopes_by_default(agent: Json, anonymous: Api) -> None:
    consent_id = request(agent, {"type": "account", "identifiers": ["1", "1", "2"]}, scopes=["email:read"])
    shown = expect(200, anonymous.get(f"/consent/{consent_id}"))
    assert shown["authorizationDetails"] == [detail("account", ["1", "2"], ["email:read"])]


def test_a_detail_may_bound_an_optional_scope(agent: Json, ada: Api) -> None:
    consent_id = request(agent, CALENDARS, scopes=["email:read"], optionalScopes=["calendar:read"])
    assert approve(ada, consent_id)["authorizationDetails"] == [CALENDARS]


def test_by_default_everything_that_was_asked_for_is_granted(agent: Json, ada: Api) -> None:
    consent_id = request(agent, REPOSITORIES, CALENDARS)
    approved = approve(ada, consent_id)
    assert approved["authorizationDetails"] == [REPOSITORIES, CALENDARS]
    tokens = exchange(agent, approved)
    assert tokens["authorizationDetails"] == [REPOSITORIES, CALENDARS]
    assert claims(tokens)["authorization_details"] == [REPOSITORIES, CALENDARS]


def test_a_user_can_pick_some(agent: Json, ada: Api) -> None:
    consent_id = request(agent, REPOSITORIES, CALENDARS)
    picks = [{"type": "repository", "identifiers": [DOCS]}, {"type": "calendar", "identifiers": ["home", "work"]}]
    approved = approve(ada, consent_id, targets=picks)
    granted = [detail("repository", [DOCS], CODE), CALENDARS]
    assert approved["authorizationDetails"] == granted
    shown = expect(200, ada.get(f"/consent/{consent_id}"))
    assert (shown["authorizationDetails"], shown["grantedAuthorizationDetails"]) == ([REPOSITORIES, CALENDARS], granted)
    listed = expect(200, ada.get("/users/me/consents"))["items"][0]
    assert listed["authorizationDetails"] == granted
    target = {"type": "repository", "field": "target", "identifiers": [DOCS]}
    assert Consent.objects.get(id=consent_id).targets["github:repo:read"] == [target]


def test_only_the_owner_sees_what_was_granted(agent: Json, ada: Api, developer: Api) -> None:
    consent_id = request(agent, REPOSITORIES)
    approve(ada, consent_id, targets=[{"type": "repository", "identifiers": [DOCS]}])
    assert "grantedAuthorizationDetails" not in expect(200, developer.get(f"/consent/{consent_id}"))


def test_actions_distinguish_details_of_one_type(agent: Json, ada: Api) -> None:
    reading, writing = detail("repository", [SITE, DOCS], CODE[:1]), detail("repository", [SITE, DOCS], CODE[1:])
    consent_id = request(agent, reading, writing)
    path = f"/consent/{consent_id}/approve"
    ambiguous = {"targets": [{"type": "repository", "identifiers": [SITE]}]}
    problem(ada.post(path, ambiguous), 400, "validation_failed", "targets.0.actions")
    picks = [{**reading, "identifiers": [SITE, DOCS]}, {**writing, "identifiers": [DOCS]}]
    assert approve(ada, consent_id, targets=picks)["authorizationDetails"] == picks


def test_a_bounded_scope_needs_a_pick_or_is_left_out(agent: Json, ada: Api) -> None:
    path = f"/consent/{request(agent, REPOSITORIES, CALENDARS)}/approve"
    calendars = {"type": "calendar", "identifiers": ["home"]}
    for picks in ([], [calendars], [calendars, {"type": "repository", "identifiers": []}]):
        refused = problem(ada.post(path, {"targets": picks}), 400, "validation_failed", "targets")
        assert "leave it out" in refused["detail"]
    scopes = ["calendar:read", "email:read"]
    approved = expect(200, ada.post(path, {"scopes": scopes, "targets": [calendars]}))
    assert approved["grantedScopes"] == scopes
    assert approved["authorizationDetails"] == [detail("calendar", ["home"], ["calendar:read"])]


@cases(
    ("pick", "field"),
    [
        ({"type": "repository", "identifiers": [SHOP]}, "targets.0.identifiers.0"),
        ({"type": "repository", "identifiers": [SITE, SITE.upper()]}, "targets.0.identifiers.1"),
        ({"type": "calendar", "identifiers": [SITE]}, "targets.0"),
        ({"type": "repository", "identifiers": [SITE], "actions": ["email:read"]}, "targets.0"),
        ({"type": "repository"}, "targets.0.identifiers"),
        ({"type": "repository", "identifiers": [SITE], "field": "x"}, "targets.0.field"),
    ],
)
def test_only_what_was_requested_can_be_picked(agent: Json, ada: Api, pick: Json, field: str) -> None:
    path = f"/consent/{request(agent, REPOSITORIES)}/approve"
    problem(ada.post(path, {"targets": [pick]}), 400, "validation_failed", field)
    expect(200, ada.post(path))


def test_nothing_can_be_picked_from_a_request_without_details(agent: Json, ada: Api) -> None:
    body = {"targets": [{"type": "repository", "identifiers": [SITE]}]}
    problem(ada.post(f"/consent/{request(agent)}/approve", body), 400, "validation_failed", "targets.0")


def test_a_scope_that_is_not_granted_leaves_no_target(agent: Json, ada: Api) -> None:
    approved = approve(ada, request(agent, REPOSITORIES), scopes=["github:repo:read", "email:read"])
    assert approved["authorizationDetails"] == [detail("repository", [SITE, DOCS], ["github:repo:read"])]


@cases(
    ("wrong", "field"),
    [
        ({"type": "payment"}, "authorizationDetails.0.type"),
        ({"type": 7}, "authorizationDetails.0.type"),
        ({"identifiers": []}, "authorizationDetails.0.identifiers"),
        ({"identifiers": SITE}, "authorizationDetails.0.identifiers"),
        ({"identifiers": [7]}, "authorizationDetails.0.identifiers.0"),
        ({"identifiers": [""]}, "authorizationDetails.0.identifiers.0"),
        ({"identifiers": ["x" * 201]}, "authorizationDetails.0.identifiers.0"),
        ({"identifiers": [" acme/site"]}, "authorizationDetails.0.identifiers.0"),
        ({"identifiers": ["acme/\u202esite"]}, "authorizationDetails.0.identifiers.0"),
        ({"identifiers": ["acme/\u200bsite"]}, "authorizationDetails.0.identifiers.0"),
        ({"identifiers": ["acme\nsite"]}, "authorizationDetails.0.identifiers.0"),
        ({"identifiers": [str(number) for number in range(51)]}, "authorizationDetails.0.identifiers"),
        ({"actions": "email:read"}, "authorizationDetails.0.actions"),
        ({"locations": ["https://api.example"]}, "authorizationDetails.0.locations"),
        ({"Type": "repository"}, "authorizationDetails.0.Type"),
    ],
)
def test_an_invalid_detail_is_named(agent: Json, anonymous: Api, wrong: Json, field: str) -> None:
    body = {"requestedScopes": ALLOWED, "authorizationDetails": [{**REPOSITORIES, **wrong}]}
    answer = anonymous.post("/consent/initiate", {"clientId": agent["clientId"], "redirectUri": CALLBACK, **body})
    problem(answer, 400, "validation_failed", field)


@cases("details", ["x", {}, [7], [None], [REPOSITORIES] * 21])
def test_details_are_a_short_list_of_objects(agent: Json, anonymous: Api, details: Any) -> None:
    body = {"clientId": agent["clientId"], "redirectUri": CALLBACK, "requestedScopes": ALLOWED}
    answer = anonymous.post("/consent/initiate", {**body, "authorizationDetails": details})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"].startswith("authorizationDetails")


@cases(
    ("details", "field"),
    [
        ([{**REPOSITORIES, "actions": ["payments:charge"]}], "authorizationDetails.0.actions"),
        ([{**REPOSITORIES, "actions": ["email:send"]}], "authorizationDetails.0.actions"),
        ([REPOSITORIES, {**CALENDARS, "actions": ["github:repo:read"]}], "authorizationDetails.1.actions"),
        ([{**REPOSITORIES, "identifiers": [f"{number:0100}" for number in range(50)]}], "authorizationDetails"),
    ],
)
def test_a_detail_bounds_requested_scopes_each_only_once_and_briefly(
    agent: Json, anonymous: Api, details: list[Json], field: str
) -> None:
    body = {"clientId": agent["clientId"], "redirectUri": CALLBACK, "requestedScopes": ALLOWED}
    answer = anonymous.post("/consent/initiate", {**body, "authorizationDetails": details})
    problem(answer, 400, "invalid_authorization_details", field)


def test_a_token_with_the_longest_details_can_be_used(developer: Api, ada: Api) -> None:
    agent = new_agent(developer, allowedScopes=ALLOWED)
    longest = detail("repository", ["\u00e9" * 13 + f"{number:02}" for number in range(48)], ["email:read"])
    tokens = exchange(agent, approve(ada, request(agent, longest, scopes=["email:read"])))
    assert len(tokens["accessToken"]) > 5500
    decision = expect(
        200, Api().post("/tokens/verify", {"token": tokens["accessToken"], "requiredScopes": ["files:read"]})
    )
    assert decision["reason"] == "insufficient_scope"


class TestLaterRequests:
    """A user has one connection per agent, so a later request changes the targets of the earlier one."""

    def test_scopes_without_new_details_keep_their_targets(self, agent: Json, ada: Api) -> None:
        approve(ada, request(agent, REPOSITORIES), targets=[{"type": "repository", "identifiers": [DOCS]}])
        bound = detail("repository", [DOCS], CODE)
        # Neither a request for other scopes nor one for the same scopes without details lifts the bound.
        for scopes in (["email:read"], ALLOWED, CODE):
            approved = approve(ada, request(agent, scopes=scopes))
            assert approved["authorizationDetails"] == [bound]

    def test_new_details_replace_the_targets_of_their_scopes(self, agent: Json, ada: Api) -> None:
        approve(ada, request(agent, REPOSITORIES, CALENDARS))
        wider = detail("repository", [SITE, SHOP], ["github:repo:read"])
        approved = approve(ada, request(agent, wider, scopes=["github:repo:read"]))
        left = detail("repository", [SITE, DOCS], ["github:repo:write"])
        assert sorted(approved["authorizationDetails"], key=str) == sorted([wider, left, CALENDARS], key=str)

    def test_an_unbounded_scope_can_be_bounded(self, agent: Json, ada: Api) -> None:
        first = exchange(agent, approve(ada, request(agent)))
        assert "authorizationDetails" not in first
        assert "authorization_details" not in claims(first)
        approve(ada, request(agent, REPOSITORIES))
        refreshed = refresh(agent, first)
        assert refreshed["authorizationDetails"] == claims(refreshed)["authorization_details"] == [REPOSITORIES]

    def test_a_removed_scope_loses_its_targets(self, agent: Json, ada: Api) -> None:
        approve(ada, request(agent, REPOSITORIES, CALENDARS))
        approved = approve(ada, request(agent, REPOSITORIES), scopes=["calendar:read", "email:read"])
        assert approved["authorizationDetails"] == [CALENDARS]

    def test_together_they_are_bounded_too(self, agent: Json, ada: Api) -> None:
        identifiers = [f"{number:050}" for number in range(40)]
        approve(ada, request(agent, detail("account", identifiers, ["email:read"])))
        path = f"/consent/{request(agent, detail('account', identifiers[1:], ['calendar:read']))}/approve"
        problem(ada.post(path), 400, "validation_failed", "targets")
        body = {"targets": [{"type": "account", "identifiers": identifiers[1:3]}]}
        assert len(expect(200, ada.post(path, body))["authorizationDetails"]) == 2


def refresh(agent: Json, tokens: Json) -> Json:
    body = {"refreshToken": tokens["refreshToken"], **credentials(agent)}
    return expect(200, Api().post("/tokens/refresh", body))


def test_a_token_has_only_the_details_of_its_own_scopes(agent: Json, ada: Api) -> None:
    first = exchange(agent, approve(ada, request(agent, REPOSITORIES)))
    second = exchange(agent, approve(ada, request(agent, CALENDARS, scopes=["calendar:read"])))
    assert second["authorizationDetails"] == [CALENDARS]
    assert refresh(agent, first)["authorizationDetails"] == [REPOSITORIES, CALENDARS]  # it has all these scopes


def test_identifiers_are_personal_data_in_the_log(agent: Json, ada: Api, developer: Api) -> None:
    consent_id = request(agent, REPOSITORIES)
    approve(ada, consent_id, targets=[{"type": "repository", "identifiers": [DOCS]}])
    requested = log_entries(event="consent.requested").first()
    approved = log_entries(event="consent.approved").first()
    assert requested
    assert approved
    assert personal_data(requested.id)["authorizationDetails"] == [REPOSITORIES]
    target = {"type": "repository", "field": "target", "identifiers": [DOCS]}
    assert personal_data(approved.id)["terms"]["targets"] == {scope: [target] for scope in CODE}
    assert "acme/" not in developer.get("/audit").content.decode()
    assert all("acme/" not in str(entry.content) for entry in log_entries())


class TestVerify:
    """Verify holds what the user picked."""

    @pytest.fixture
    def token(self, agent: Json, ada: Api) -> str:
        picks = [{"type": "repository", "identifiers": [SITE, DOCS]}, {"type": "calendar", "identifiers": ["home"]}]
        approved = approve(
            ada, request(agent, {**REPOSITORIES, "identifiers": [SITE, DOCS, SHOP]}, CALENDARS), targets=picks
        )
        return str(exchange(agent, approved)["accessToken"])

    @cases("target", [SITE, DOCS, [SITE, DOCS]])
    def test_a_picked_target_is_allowed(self, token: str, target: Any) -> None:
        assert verify(token, *CODE, context={"target": target})["allowed"]

    @cases(
        "context",
        [
            {},
            {"target": None},
            {"target": ""},
            {"target": SHOP},
            {"target": SITE.upper()},
            {"target": f"{SITE} "},
            {"target": "home"},
            {"target": []},
            {"target": [SITE, SHOP]},
            {"target": [SITE, None]},
            {"target": {"id": SITE}},
            {"target": 7},
            {"recipient": SITE, "targets": [SITE]},
        ],
    )
    @cases("scopes", [CODE[:1], CODE[1:], ["email:read", *CODE]])
    def test_anything_else_is_denied(self, token: str, context: Json, scopes: list[str]) -> None:
        denied = verify(token, *scopes, context=context)
        assert (denied["allowed"], denied["reason"]) == (False, "policy_denied")
        assert denied["policy"]["ruleType"] == "context_match"

    def test_the_resource_is_not_the_target(self, token: str) -> None:
        assert not verify(token, *CODE, resource="http://localhost:8000")["allowed"]

    def test_each_scope_has_its_own_targets(self, token: str) -> None:
        assert verify(token, "calendar:read", context={"target": "home"})["allowed"]
        assert not verify(token, "calendar:read", context={"target": SITE})["allowed"]
        assert not verify(token, "calendar:read", *CODE, context={"target": SITE})["allowed"]
        assert not verify(token, "calendar:read", *CODE, context={"target": "home"})["allowed"]

    def test_scopes_that_no_detail_bounds_need_no_target(self, token: str) -> None:
        assert verify(token, "email:read")["allowed"]

    def test_an_action_that_is_bounded_counts_too(self, token: str) -> None:
        assert not verify(token, "email:read", action="github:repo:write")["allowed"]
        assert verify(token, "email:read", action="github:repo:write", context={"target": SITE})["allowed"]

    def test_a_later_decision_holds_for_earlier_tokens(self, agent: Json, ada: Api, token: str) -> None:
        approve(ada, request(agent, REPOSITORIES), targets=[{"type": "repository", "identifiers": [DOCS]}])
        assert not verify(token, *CODE, context={"target": SITE})["allowed"]
        assert verify(token, *CODE, context={"target": DOCS})["allowed"]
        approve(ada, request(agent))  # without details: nothing is lifted
        assert not verify(token, *CODE, context={"target": SITE})["allowed"]

    def test_another_users_picks_are_their_own(self, agent: Json, bob: Api, token: str) -> None:
        other = str(exchange(agent, approve(bob, request(agent)))["accessToken"])
        assert verify(other, *CODE, context={"target": SHOP})["allowed"]
        assert not verify(token, *CODE, context={"target": SHOP})["allowed"]


class TestNarrowing:
    """A user can keep fewer targets at any time."""

    def narrow(self, person: Api, **body: Any) -> Any:
        consent_id = expect(200, person.get("/users/me/consents"))["items"][0]["id"]
        return person.patch(f"/users/me/consents/{consent_id}", body)

    def test_verify_holds_what_is_left(self, agent: Json, ada: Api) -> None:
        tokens = exchange(agent, approve(ada, request(agent, REPOSITORIES, CALENDARS)))
        assert verify(tokens["accessToken"], *CODE, context={"target": SITE})["allowed"]
        narrowed = expect(200, self.narrow(ada, targets=[{"type": "repository", "identifiers": [DOCS]}]))
        left = [detail("repository", [DOCS], CODE), CALENDARS]
        assert narrowed["authorizationDetails"] == left
        assert not verify(tokens["accessToken"], *CODE, context={"target": SITE})["allowed"]
        assert verify(tokens["accessToken"], *CODE, context={"target": DOCS})["allowed"]
        assert verify(tokens["accessToken"], "calendar:read", context={"target": "work"})["allowed"]
        assert refresh(agent, tokens)["authorizationDetails"] == left

    def test_nothing_can_be_added(self, agent: Json, ada: Api) -> None:
        approve(ada, request(agent, REPOSITORIES), targets=[{"type": "repository", "identifiers": [DOCS]}])
        wider = self.narrow(ada, targets=[{"type": "repository", "identifiers": [DOCS, SITE]}])
        problem(wider, 409, "would_widen", "targets.0.identifiers.1")
        other = self.narrow(ada, targets=[{"type": "calendar", "identifiers": ["work"]}])
        problem(other, 400, "validation_failed", "targets.0")

    def test_at_least_one_is_left_unless_the_scope_is_removed(self, agent: Json, ada: Api) -> None:
        approve(ada, request(agent, REPOSITORIES, CALENDARS))
        none = [{"type": "repository", "identifiers": []}]
        problem(self.narrow(ada, targets=none), 400, "validation_failed", "targets")
        assert expect(200, self.narrow(ada, removeScopes=CODE))["authorizationDetails"] == [CALENDARS]


class TestCriticalScopes:
    """To widen the targets of a critical scope, the user must have signed in recently.

    The end of the connection is earlier each time, because a later one needs that, too.
    """

    @pytest.fixture
    def connected(self, developer: Api, ada: Api) -> Json:
        agent = new_agent(developer, allowedScopes=["payments:charge"])
        approve(ada, self.charging(agent, "a", "b"), targets=[{"type": "account", "identifiers": ["a"]}])
        return agent

    def charging(self, agent: Json, *identifiers: str) -> str:
        return request(agent, {"type": "account", "identifiers": list(identifiers)}, scopes=["payments:charge"])

    def test_other_targets_need_a_recent_sign_in(self, connected: Json, ada: Api) -> None:
        consent_id = self.charging(connected, "a", "b")
        with time_machine.travel(clock.now() + timedelta(minutes=6)):
            wider = ada.post(f"/consent/{consent_id}/approve", {"expiresInSeconds": DAY})
            problem(wider, 403, "reauthentication_required")
            assert approve(ada, consent_id, targets=[{"type": "account", "identifiers": ["a"]}], expiresInSeconds=DAY)

    def test_fewer_or_kept_targets_do_not(self, connected: Json, ada: Api) -> None:
        same, unmentioned = self.charging(connected, "a"), request(connected, scopes=["payments:charge"])
        with time_machine.travel(clock.now() + timedelta(minutes=6)):
            for consent_id, seconds in ((same, DAY), (unmentioned, DAY // 2)):
                kept = approve(ada, consent_id, expiresInSeconds=seconds)
                assert kept["authorizationDetails"] == [detail("account", ["a"], ["payments:charge"])]
