"""Refreshing tokens. `tests/live/oauth/test_races.py` tests races against running servers."""

from datetime import timedelta
from typing import Any

import time_machine

from accounts.models import User
from tests.constants import NOON
from tests.oauth.client import OAuthClient, error_of, introspect
from tests.shared import cases


def test_a_refresh_rotates_and_a_reuse_revokes_the_family_and_its_access_tokens(
    client: OAuthClient, world: Any, ada: User, service: Any
) -> None:
    first = client.tokens(ada)
    second = client.refresh(first["refresh_token"]).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert introspect(service, second["access_token"])["active"] is True

    assert error_of(client.refresh(first["refresh_token"])) == "invalid_grant"

    assert error_of(client.refresh(second["refresh_token"])) == "invalid_grant"
    for tokens in (first, second):
        assert introspect(service, tokens["access_token"]) == {"active": False}


def test_the_same_idempotency_key_gets_the_same_response(client: OAuthClient, ada: User) -> None:
    first = client.tokens(ada)
    form = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    headers = {"Authorization": client.authorization, "Idempotency-Key": "attempt-1"}
    answers = [client.http.post("/oauth/token", _encoded(form), **_form(headers)) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()


def test_another_clients_refresh_token_is_invalid_grant(
    client: OAuthClient, other: OAuthClient, world: Any, ada: User
) -> None:
    tokens = client.tokens(ada)
    assert error_of(other.refresh(tokens["refresh_token"])) == "invalid_grant"
    assert client.refresh(tokens["refresh_token"]).status_code == 200


def test_a_wider_scope_is_invalid_scope(client: OAuthClient, world: Any, ada: User) -> None:
    tokens = client.tokens(ada, scope="email:read")
    assert error_of(client.refresh(tokens["refresh_token"], scope="email:read email:send")) == "invalid_scope"


def test_a_narrower_refresh_does_not_narrow_the_next_one(client: OAuthClient, ada: User) -> None:
    first = client.tokens(ada, scope="email:read email:send")
    narrow = client.refresh(first["refresh_token"], scope="email:read").json()
    full = client.refresh(narrow["refresh_token"]).json()
    assert (narrow["scope"], full["scope"]) == ("email:read", "email:read email:send")


def test_a_deactivated_user_gets_no_more_tokens(client: OAuthClient, world: Any, ada: User) -> None:
    from accounts.services import deactivate_user

    tokens = client.tokens(ada)
    deactivate_user(actor=world.ANONYMOUS, user=ada, reason="left")
    assert error_of(client.refresh(tokens["refresh_token"])) == "invalid_grant"


def test_a_revoked_consent_gives_no_more_tokens(client: OAuthClient, world: Any, ada: User) -> None:
    from consent.services import revoke_consent

    tokens = client.tokens(ada)
    revoke_consent(actor=world.ANONYMOUS, consent=ada.consents.get())
    assert error_of(client.refresh(tokens["refresh_token"])) == "invalid_grant"


@cases("resource", ["https://mail.example/api", "https://unknown.example/"])
def test_a_refresh_for_another_resource_is_invalid_target(
    client: OAuthClient, world: Any, ada: User, service: Any, resource: str
) -> None:
    tokens = client.tokens(ada)
    assert error_of(client.refresh(tokens["refresh_token"], resource=resource)) == "invalid_target"


class TestPublicClients:
    """They can repeat a refresh, because they lose responses and cannot send an `Idempotency-Key` (ADR 3)."""

    def test_the_direct_predecessor_gets_the_same_response(
        self, public: OAuthClient, world: Any, ada: User, service: Any
    ) -> None:
        first = public.tokens(ada)
        answers = [public.refresh(first["refresh_token"]) for _ in range(3)]

        assert [answer.status_code for answer in answers] == [200, 200, 200]
        assert len({answer.content for answer in answers}) == 1
        assert introspect(service, answers[0].json()["access_token"])["active"] is True
        assert public.refresh(answers[0].json()["refresh_token"]).status_code == 200

    @cases(("seconds", "status"), [(30, 200), (31, 400)])
    def test_the_response_can_be_repeated_for_30_seconds(
        self, public: OAuthClient, world: Any, ada: User, service: Any, seconds: int, status: int
    ) -> None:
        with time_machine.travel(NOON, tick=False) as time:
            first = public.tokens(ada)
            second = public.refresh(first["refresh_token"]).json()
            time.shift(timedelta(seconds=seconds))
            assert public.refresh(first["refresh_token"]).status_code == status
            assert introspect(service, second["access_token"])["active"] is (status == 200)

    def test_an_older_token_revokes_the_family(self, public: OAuthClient, world: Any, ada: User, service: Any) -> None:
        first = public.tokens(ada)
        second = public.refresh(first["refresh_token"]).json()
        third = public.refresh(second["refresh_token"]).json()

        assert error_of(public.refresh(first["refresh_token"])) == "invalid_grant"

        assert introspect(service, third["access_token"]) == {"active": False}
        assert error_of(public.refresh(second["refresh_token"])) == "invalid_grant"
        assert error_of(public.refresh(third["refresh_token"])) == "invalid_grant"

    @cases("change", [{"scope": "email:read"}, {"resource": "https://mail.example/api"}])
    def test_a_different_request_is_not_a_repeat_and_revokes_the_family(
        self, public: OAuthClient, world: Any, ada: User, service: Any, change: dict[str, str]
    ) -> None:
        first = public.tokens(ada, scope="email:read email:send", resource="https://mail.example/api")
        second = public.refresh(first["refresh_token"]).json()

        assert error_of(public.refresh(first["refresh_token"], **change)) == "invalid_grant"
        assert introspect(service, second["access_token"]) == {"active": False}

    @cases("ending", ["consent", "token", "agent", "person"])
    def test_the_response_is_not_repeated_after_a_revocation(
        self, public: OAuthClient, world: Any, ada: User, ending: str
    ) -> None:
        first = public.tokens(ada)
        second = public.refresh(first["refresh_token"]).json()
        end(world, ending, public, ada, second["access_token"])

        assert error_of(public.refresh(first["refresh_token"])) == "invalid_grant"

    def test_the_response_is_not_repeated_after_a_scope_was_removed(
        self, public: OAuthClient, world: Any, ada: User
    ) -> None:
        from consent.models import Consent

        first = public.tokens(ada, scope="email:read email:send")
        public.refresh(first["refresh_token"])
        Consent.objects.update(granted_scopes=["email:read"])

        assert error_of(public.refresh(first["refresh_token"])) == "invalid_grant"

    def test_another_client_gets_no_response_and_revokes_nothing(
        self, public: OAuthClient, client: OAuthClient, world: Any, ada: User
    ) -> None:
        first = public.tokens(ada)
        second = public.refresh(first["refresh_token"])

        assert error_of(client.refresh(first["refresh_token"])) == "invalid_grant"
        assert public.refresh(first["refresh_token"]).content == second.content

    def test_the_response_is_stored_encrypted_and_deleted(self, public: OAuthClient, ada: User) -> None:
        from tokens.models import RefreshToken
        from tokens.tasks import sweep_tokens

        with time_machine.travel(NOON, tick=False) as time:
            first = public.tokens(ada)
            second = public.refresh(first["refresh_token"]).json()
            (kept,) = RefreshToken.objects.filter(sealed_answer__isnull=False)
            assert second["refresh_token"].encode() not in bytes(kept.sealed_answer)
            assert sweep_tokens() == 0
            time.shift(timedelta(seconds=30))
            assert sweep_tokens() == 1
        assert not RefreshToken.objects.filter(sealed_answer__isnull=False).exists()

    def test_the_response_to_a_confidential_client_is_not_stored(self, client: OAuthClient, ada: User) -> None:
        from tokens.models import RefreshToken

        client.refresh(client.tokens(ada)["refresh_token"])
        assert not RefreshToken.objects.filter(sealed_answer__isnull=False).exists()

    def test_a_replayed_code_still_revokes_everything(self, public: OAuthClient, world: Any, ada: User) -> None:
        code = public.code(ada)
        first = public.redeem(code).json()
        public.refresh(first["refresh_token"])

        assert error_of(public.redeem(code)) == "invalid_grant"
        assert error_of(public.refresh(first["refresh_token"])) == "invalid_grant"


def end(world: Any, what: str, client: OAuthClient, person: User, access_token: str) -> None:
    """Revoke the consent or a token, suspend the agent, or deactivate the user."""
    from accounts.services import deactivate_user
    from agents.services import update_agent
    from consent.services import revoke_consent

    if what == "consent":
        revoke_consent(actor=world.ANONYMOUS, consent=person.consents.get())
    elif what == "token":
        assert client.post("/oauth/revoke", token=access_token).status_code == 200
    elif what == "agent":
        update_agent(actor=world.ANONYMOUS, agent=client.agent, changes={"status": "suspended"})
    else:
        deactivate_user(actor=world.ANONYMOUS, user=person, reason="left")


def _encoded(form: dict[str, str]) -> str:
    from urllib.parse import urlencode

    return urlencode(form)


def _form(headers: dict[str, str]) -> dict[str, Any]:
    return {"content_type": "application/x-www-form-urlencoded", "headers": headers}
