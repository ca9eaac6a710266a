"""One live consent per user and agent: a later approval replaces the earlier one."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from tests.api.conftest import Api, Json, code_for, credentials, expect, initiate, problem, tokens_for, verify


def approve(agent: Json, person: Api, requested: list[str], **body: Any) -> Json:
    path = f"/consent/{initiate(agent, requestedScopes=requested)}/approve"
    return expect(200, person.post(path, body))


def exchange(agent: Json, code: str) -> Any:
    return Api().post("/tokens/exchange", {"code": code, **credentials(agent)})


def refresh(agent: Json, token: Json, **more: Any) -> Any:
    body = {"refreshToken": token["refreshToken"], **credentials(agent), **more}
    return Api().post("/tokens/refresh", body)


def consents(person: Api) -> list[tuple[str, list[str]]]:
    items = expect(200, person.get("/users/me/consents"))["items"]
    return [(item["status"], item["grantedScopes"]) for item in items]


def is_allowed(token: Json, *scopes: str) -> bool:
    return bool(verify(token["accessToken"], *scopes)["allowed"])


def test_a_later_approval_replaces_the_earlier_and_keeps_other_scopes(agent: Json, ada: Api) -> None:
    tokens_for(agent, ada, requestedScopes=["email:read"])
    approved = approve(agent, ada, ["calendar:read"])
    assert approved["grantedScopes"] == ["calendar:read", "email:read"]
    assert consents(ada) == [("approved", ["calendar:read", "email:read"]), ("replaced", ["email:read"])]


def test_a_second_device_does_not_sign_the_first_one_out(agent: Json, ada: Api) -> None:
    first = tokens_for(agent, ada, requestedScopes=["email:read", "email:send"])
    second = tokens_for(agent, ada, requestedScopes=["email:read", "email:send"])
    assert is_allowed(first)
    assert is_allowed(second)
    renewed = expect(200, refresh(agent, first))
    assert renewed["grantedScopes"] == ["email:read", "email:send"]
    assert {one["consentId"] for one in (renewed, second, verify(first["accessToken"]))} == {second["consentId"]}


def test_tokens_have_the_scopes_of_their_own_request_only(agent: Json, ada: Api) -> None:
    first = tokens_for(agent, ada, requestedScopes=["email:read"])
    second = tokens_for(agent, ada, requestedScopes=["email:send"])
    assert second["grantedScopes"] == ["email:send"]
    assert not is_allowed(first, "email:send")
    assert not is_allowed(second, "email:read")
    renewed = expect(200, refresh(agent, first))
    assert renewed["grantedScopes"] == ["email:read"]


def test_a_requested_scope_that_is_left_out_is_removed_from_every_device(agent: Json, ada: Api) -> None:
    first = tokens_for(agent, ada, requestedScopes=["email:read", "email:send"])
    approved = approve(agent, ada, ["email:send", "calendar:read"], scopes=["calendar:read"])
    assert approved["grantedScopes"] == ["calendar:read", "email:read"]
    decision = verify(first["accessToken"], "email:send")
    assert (decision["reason"], decision["missingScopes"]) == ("insufficient_scope", ["email:send"])
    assert is_allowed(first, "email:read")
    assert expect(200, refresh(agent, first))["grantedScopes"] == ["email:read"]


def test_granting_a_removed_scope_again_does_not_return_it_to_earlier_devices(agent: Json, ada: Api) -> None:
    first = tokens_for(agent, ada, requestedScopes=["email:read", "email:send"])
    approve(agent, ada, ["email:send", "calendar:read"], scopes=["calendar:read"])
    third = tokens_for(agent, ada, requestedScopes=["email:send"])
    assert is_allowed(third, "email:send")
    assert not is_allowed(first, "email:send")
    assert not is_allowed(expect(200, refresh(agent, first)), "email:send")


def test_an_approval_accepts_live_scopes_and_no_others(agent: Json, ada: Api) -> None:
    tokens_for(agent, ada, requestedScopes=["email:read"])
    path = f"/consent/{initiate(agent, requestedScopes=['calendar:read'])}/approve"
    problem(ada.post(path, {"scopes": ["calendar:read", "email:send"]}), 400, "invalid_scope")
    problem(ada.post(path, {"scopes": []}), 400, "invalid_scope")
    named = expect(200, ada.post(path, {"scopes": ["calendar:read", "email:read"]}))
    assert named["grantedScopes"] == ["calendar:read", "email:read"]


def test_leaving_out_all_requested_scopes_grants_the_new_tokens_nothing(agent: Json, ada: Api) -> None:
    first = tokens_for(agent, ada, requestedScopes=["email:read"])
    approved = approve(agent, ada, ["calendar:read"], scopes=["email:read"])
    assert approved["grantedScopes"] == ["email:read"]
    second = expect(200, exchange(agent, approved["code"]))
    assert second["grantedScopes"] == []
    assert not is_allowed(second, "email:read")
    assert is_allowed(first, "email:read")


def test_denying_a_later_request_changes_nothing(agent: Json, ada: Api) -> None:
    first = tokens_for(agent, ada, requestedScopes=["email:read"])
    expect(200, ada.post(f"/consent/{initiate(agent, requestedScopes=['calendar:read'])}/deny"))
    assert consents(ada)[1] == ("approved", ["email:read"])
    assert verify(first["accessToken"])["consentId"] == first["consentId"]


def test_revoking_the_connection_revokes_every_device(agent: Json, ada: Api) -> None:
    first = tokens_for(agent, ada, requestedScopes=["email:read"])
    second = tokens_for(agent, ada, requestedScopes=["email:read"])
    expect(200, ada.post(f"/users/me/consents/{second['consentId']}/revoke"))
    for token in (first, second):
        assert verify(token["accessToken"])["reason"] == "consent_revoked"
        problem(refresh(agent, token), 400, "invalid_grant")


def test_an_unredeemed_code_moves_to_the_new_consent_without_new_scopes(agent: Json, ada: Api) -> None:
    early = code_for(agent, ada, requestedScopes=["email:read", "email:send"])
    later = approve(agent, ada, ["email:send", "calendar:read"], scopes=["calendar:read"])
    first = expect(200, exchange(agent, early))
    assert first["grantedScopes"] == ["email:read"]
    assert first["consentId"] == expect(200, exchange(agent, later["code"]))["consentId"]
    approve(agent, ada, ["email:send"])
    assert not is_allowed(first, "email:send")


def test_a_replayed_code_still_revokes_its_family_after_the_move(agent: Json, ada: Api) -> None:
    early = code_for(agent, ada)
    first = expect(200, exchange(agent, early))
    second = tokens_for(agent, ada)
    problem(exchange(agent, early), 400, "invalid_grant")
    assert verify(first["accessToken"])["reason"] == "token_revoked"
    assert is_allowed(second)


def test_the_whole_connection_expires_30_days_after_the_later_approval(agent: Json, ada: Any, new_session: Any) -> None:
    first = tokens_for(agent, ada)
    with time_machine.travel(timezone.now() + timedelta(days=20)):
        session = new_session(ada)
        first = expect(200, refresh(agent, first))
        approve(agent, session, ["calendar:read"])
    with time_machine.travel(timezone.now() + timedelta(days=40)):
        assert is_allowed(expect(200, refresh(agent, first)))


def test_an_expired_consent_is_not_revived(agent: Json, ada: Any, new_session: Any) -> None:
    first = tokens_for(agent, ada, requestedScopes=["email:read"])
    with time_machine.travel(timezone.now() + timedelta(days=29, hours=23, minutes=55)):
        first = expect(200, refresh(agent, first))
    with time_machine.travel(timezone.now() + timedelta(days=30, minutes=1)):
        session = new_session(ada)
        path = f"/consent/{initiate(agent, requestedScopes=['calendar:read'])}/approve"
        problem(session.post(path, {"scopes": ["calendar:read", "email:read"]}), 400, "invalid_scope")
        assert expect(200, session.post(path))["grantedScopes"] == ["calendar:read"]
        assert [status for status, _ in consents(session)] == ["approved", "expired"]
        assert verify(first["accessToken"])["reason"] == "consent_expired"
        problem(refresh(agent, first), 400, "invalid_grant")
        entries = expect(200, session.get("/users/me/audit-logs"))["items"]
        assert [one["event"] for one in entries if one["consentId"] == first["consentId"]].count("consent.expired") == 1


def test_scopes_removed_from_the_agent_are_not_carried_over(agent: Json, ada: Api, developer: Api) -> None:
    tokens_for(agent, ada, requestedScopes=["email:read", "email:send"])
    expect(200, developer.patch(f"/agents/{agent['id']}", {"allowedScopes": ["email:read", "calendar:read"]}))
    assert approve(agent, ada, ["calendar:read"])["grantedScopes"] == ["calendar:read", "email:read"]


def test_other_users_and_other_agents_keep_their_own_connections(
    agent: Json, ada: Api, bob: Api, developer: Api
) -> None:
    from tests.api.conftest import new_agent

    theirs = tokens_for(agent, bob)
    other = tokens_for(new_agent(developer), ada)
    tokens_for(agent, ada)
    for token in (theirs, other):
        assert verify(token["accessToken"])["consentId"] == token["consentId"]


def test_the_log_records_what_was_added_kept_removed_and_replaced(agent: Json, ada: Api) -> None:
    first = tokens_for(agent, ada, requestedScopes=["email:read", "email:send"])
    approve(agent, ada, ["email:send", "calendar:read"], scopes=["calendar:read"])
    items = expect(200, ada.get("/users/me/audit-logs"))["items"]
    approved = next(one for one in items if one["event"] == "consent.approved")
    replaced = next(one for one in items if one["event"] == "consent.replaced")
    assert approved["scopes"] == ["calendar:read", "email:read"]
    expected = {
        "added": ["calendar:read"],
        "kept": ["email:read"],
        "removed": ["email:send"],
        "notGranted": ["email:send"],
        "replacedConsentId": first["consentId"],
    }
    assert {name: approved["metadata"][name] for name in expected} == expected
    assert (replaced["consentId"], replaced["metadata"]["replacedBy"]) == (first["consentId"], approved["consentId"])


def test_last_used_includes_the_replaced_consents(agent: Json, ada: Api) -> None:
    assert is_allowed(tokens_for(agent, ada))
    approve(agent, ada, ["calendar:read"])
    newest = expect(200, ada.get("/users/me/consents"))["items"][0]
    assert newest["lastUsedAt"] is not None


def test_an_approval_repeated_with_its_idempotency_key_replaces_nothing(agent: Json, ada: Api) -> None:
    tokens_for(agent, ada, requestedScopes=["email:read"])
    path = f"/consent/{initiate(agent, requestedScopes=['calendar:read'])}/approve"
    answers = [expect(200, ada.post(path, Idempotency_Key="one")) for _ in range(2)]
    assert answers[0] == answers[1]
    assert [status for status, _ in consents(ada)] == ["approved", "replaced"]


@pytest.fixture
def new_session(anonymous: Api) -> Any:
    """Return a function that signs a user in again, because sessions expire before connections do."""
    from tests.api.conftest import PASSWORD

    def sign_in(person: Any) -> Api:
        body = {"email": "ada@example.com", "password": PASSWORD}
        return Api(Authorization=f"Bearer {expect(200, anonymous.post('/users/login', body))['sessionToken']}")

    return sign_in
