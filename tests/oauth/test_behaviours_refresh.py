"""Behaviours 38 to 42: refreshing. The races of 26 and 39 are in `test_races.py`, against running servers."""

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from accounts.models import User
    from tests.oauth.world import OAuthClient


def test_38_a_refresh_rotates_and_a_reuse_ends_the_family_and_its_access_tokens(
    client: "OAuthClient", world: Any, ada: "User", service: Any
) -> None:
    first = client.tokens(ada)
    second = client.refresh(first["refresh_token"]).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert world.introspect(service, second["access_token"])["active"] is True

    assert world.error_of(client.refresh(first["refresh_token"])) == "invalid_grant"

    assert world.error_of(client.refresh(second["refresh_token"])) == "invalid_grant"
    for tokens in (first, second):
        assert world.introspect(service, tokens["access_token"]) == {"active": False}


def test_38_a_lost_answer_is_given_again_to_the_same_idempotency_key(client: "OAuthClient", ada: "User") -> None:
    first = client.tokens(ada)
    form = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    headers = {"Authorization": client.authorization, "Idempotency-Key": "attempt-1"}
    answers = [client.http.post("/oauth/token", _encoded(form), **_form(headers)) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()


def test_40_another_clients_refresh_token_is_invalid_grant(
    client: "OAuthClient", other: "OAuthClient", world: Any, ada: "User"
) -> None:
    tokens = client.tokens(ada)
    assert world.error_of(other.refresh(tokens["refresh_token"])) == "invalid_grant"
    assert client.refresh(tokens["refresh_token"]).status_code == 200


def test_40_a_wider_scope_is_invalid_scope(client: "OAuthClient", world: Any, ada: "User") -> None:
    tokens = client.tokens(ada, scope="email:read")
    assert world.error_of(client.refresh(tokens["refresh_token"], scope="email:read email:send")) == "invalid_scope"


def test_41_a_narrow_refresh_keeps_the_original_scope_for_the_next(client: "OAuthClient", ada: "User") -> None:
    first = client.tokens(ada, scope="email:read email:send")
    narrow = client.refresh(first["refresh_token"], scope="email:read").json()
    full = client.refresh(narrow["refresh_token"]).json()
    assert (narrow["scope"], full["scope"]) == ("email:read", "email:read email:send")


def test_42_an_inactive_person_gets_no_more_tokens(client: "OAuthClient", world: Any, ada: "User") -> None:
    from accounts.services import deactivate_user

    tokens = client.tokens(ada)
    deactivate_user(actor=world.ANYBODY, user=ada, reason="left")
    assert world.error_of(client.refresh(tokens["refresh_token"])) == "invalid_grant"


def test_42_a_revoked_consent_gives_no_more_tokens(client: "OAuthClient", world: Any, ada: "User") -> None:
    from consent.services import revoke_consent

    tokens = client.tokens(ada)
    revoke_consent(actor=world.ANYBODY, consent=ada.consents.get())
    assert world.error_of(client.refresh(tokens["refresh_token"])) == "invalid_grant"


@pytest.mark.parametrize("resource", ["https://mail.example/api", "https://unknown.example/"])
def test_42_a_refresh_for_another_resource_is_invalid_target(
    client: "OAuthClient", world: Any, ada: "User", service: Any, resource: str
) -> None:
    tokens = client.tokens(ada)
    assert world.error_of(client.refresh(tokens["refresh_token"], resource=resource)) == "invalid_target"


def _encoded(form: dict[str, str]) -> str:
    from urllib.parse import urlencode

    return urlencode(form)


def _form(headers: dict[str, str]) -> dict[str, Any]:
    return {"content_type": "application/x-www-form-urlencoded", "headers": headers}
