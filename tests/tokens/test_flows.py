"""Codes and refresh tokens work once. Tokens that a replay or a revocation ended stay ended."""

from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine

from accounts.services import deactivate_user
from agents.services import update_agent
from audit.events import Event
from audit.readers.reading import read_entry
from consent.codes import delete_expired_codes
from consent.granting import approve_consent
from consent.models import AuthorizationCode
from consent.services import revoke_consent
from core.actor import SYSTEM
from decisions.requests import VerifyRequest
from decisions.services import decide
from tests.constants import CHALLENGE, VERIFIER
from tests.log import log_entries
from tests.shared import cases
from tests.world import ANONYMOUS, Grant, allow, as_user, ask, make_agent, make_developer, make_grant, make_user
from tokens.exchange import exchange_code
from tokens.issuing import IssuedTokens, Refusal
from tokens.models import AccessToken, RefreshToken, TokenFamily
from tokens.refresh import refresh_tokens
from tokens.services import issue_client_token, revoke_token
from tokens.tasks import sweep_tokens

pytestmark = pytest.mark.django_db


def make_code(**fields: Any) -> tuple[Any, str]:
    agent, user = make_agent(make_developer("dev@example.com", "Acme")), make_user("ada@example.com")
    consent = ask(agent, **fields)
    return agent, approve_consent(actor=as_user(user), consent=consent, user=user).code


def exchange(agent: Any, code: str, **fields: Any) -> IssuedTokens | Refusal:
    return exchange_code(actor=ANONYMOUS, agent=agent, code=code, **fields)


def refresh(grant: Grant, token: str | None = None, **fields: Any) -> IssuedTokens | Refusal:
    token = token or grant.refresh_token
    return refresh_tokens(actor=ANONYMOUS, agent=grant.agent, refresh_token=token, **fields)


def is_allowed(token: str) -> bool:
    return decide([VerifyRequest(token=token, required_scopes=("email:read",), actor=ANONYMOUS)])[0].allowed


def test_no_secret_is_stored_or_shown() -> None:
    grant = make_grant()
    rows = [*AuthorizationCode.objects.values_list(), *RefreshToken.objects.values_list()]
    rows += [*AccessToken.objects.values_list(), *TokenFamily.objects.values_list()]
    for secret in (grant.code, grant.refresh_token, grant.access_token):
        assert secret not in repr(rows)
        assert secret not in repr([read_entry(entry) for entry in log_entries()])


def test_a_replayed_code_ends_what_it_issued() -> None:
    grant = make_grant()
    assert is_allowed(grant.access_token)

    assert isinstance(exchange(grant.agent, grant.code), Refusal)

    assert not is_allowed(grant.access_token)
    assert isinstance(refresh(grant), Refusal)
    assert log_entries(event=Event.TOKEN_REPLAYED).count() == 1


def test_only_an_authenticated_client_is_told_that_a_code_was_replayed() -> None:
    grant = make_grant()
    authenticated = exchange(grant.agent, grant.code)
    grant.agent.client_type = "public"
    public = exchange(grant.agent, grant.code)

    assert authenticated.code == public.code == "invalid_grant"
    assert "revoked" in authenticated.detail
    assert public.detail == exchange(grant.agent, "no-such-code").detail


def test_another_clients_code_is_refused_and_stays_usable() -> None:
    agent, code = make_code()
    other = make_agent(make_developer("other@example.com", "Other"))
    assert isinstance(exchange(other, code), Refusal)
    assert isinstance(exchange(agent, code), IssuedTokens)


@cases(
    ("challenge", "verifier", "works"),
    [
        ("", "", True),
        ("", VERIFIER, False),
        (CHALLENGE, VERIFIER, True),
        (CHALLENGE, "", False),
        (CHALLENGE, "w" * 64, False),
        (CHALLENGE, CHALLENGE, False),
    ],
)
def test_the_verifier_must_match_the_challenge(challenge: str, verifier: str, works: bool) -> None:
    agent, code = make_code(code_challenge=challenge)
    assert isinstance(exchange(agent, code, code_verifier=verifier), IssuedTokens) is works


@cases(("uri", "works"), [(None, True), ("same", True), ("https://evil.example/", False), ("", False)])
def test_a_redirect_uri_must_be_that_of_the_request_if_present(uri: str | None, works: bool) -> None:
    agent, code = make_code()
    uri = AuthorizationCode.objects.get().redirect_uri if uri == "same" else uri
    assert isinstance(exchange(agent, code, redirect_uri=uri), IssuedTokens) is works


def test_a_code_expires_after_a_minute() -> None:
    with time_machine.travel(datetime.now().astimezone(), tick=False) as traveller:
        agent, code = make_code()
        traveller.shift(timedelta(seconds=60))
        assert isinstance(exchange(agent, code), Refusal)


def test_refresh_rotates_and_a_second_use_ends_the_family() -> None:
    grant = make_grant()
    second = refresh(grant)
    assert isinstance(second, IssuedTokens)
    assert is_allowed(second.access_token)

    assert isinstance(refresh(grant), Refusal)

    assert not is_allowed(second.access_token)
    assert not is_allowed(grant.access_token)
    assert isinstance(refresh(grant, second.refresh_token), Refusal)


def test_a_narrow_refresh_does_not_narrow_the_family() -> None:
    grant = make_grant(scopes=["email:read", "email:send"])
    narrow = refresh(grant, scopes=["email:read"])
    assert isinstance(narrow, IssuedTokens)
    assert narrow.scopes == ("email:read",)
    full = refresh(grant, narrow.refresh_token)
    assert isinstance(full, IssuedTokens)
    assert set(full.scopes) == {"email:read", "email:send"}


def test_a_refresh_with_more_scopes_is_refused_without_using_the_token() -> None:
    grant = make_grant()
    refusal = refresh(grant, scopes=["email:read", "payments:charge"])
    assert isinstance(refusal, Refusal)
    assert refusal.code == "invalid_scope"
    assert isinstance(refresh(grant), IssuedTokens)


@cases("ending", ["consent", "user", "agent", "scopes", "family"])
def test_nothing_is_issued_after_the_grant_has_ended(ending: str) -> None:
    grant = make_grant()
    endings = {
        "consent": lambda: revoke_consent(actor=SYSTEM, consent=grant.consent),
        "user": lambda: deactivate_user(actor=SYSTEM, user=grant.user, reason="test"),
        "agent": lambda: update_agent(actor=SYSTEM, agent=grant.agent, changes={"status": "suspended"}),
        "scopes": lambda: update_agent(actor=SYSTEM, agent=grant.agent, changes={"allowed_scopes": ["files:read"]}),
        "family": lambda: revoke_token(actor=SYSTEM, token=grant.refresh_token),
    }
    endings[ending]()
    refusal = refresh(grant)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "invalid_grant"


def test_a_refresh_token_expires_after_thirty_days() -> None:
    with time_machine.travel(datetime.now().astimezone(), tick=False) as traveller:
        grant = make_grant()
        traveller.shift(timedelta(days=30))
        assert isinstance(refresh(grant), Refusal)


def test_either_token_revokes_the_family_but_not_for_other_clients() -> None:
    grant = make_grant()
    other = make_agent(make_developer("other@example.com", "Other"))

    assert not revoke_token(actor=ANONYMOUS, token=grant.access_token, agent=other)
    assert not revoke_token(actor=ANONYMOUS, token="unknown")
    assert is_allowed(grant.access_token)

    assert revoke_token(actor=ANONYMOUS, token=grant.access_token)
    assert not is_allowed(grant.access_token)
    assert isinstance(refresh(grant), Refusal)
    assert not revoke_token(actor=ANONYMOUS, token=grant.refresh_token)


def test_a_scope_that_the_user_left_out_is_not_granted() -> None:
    agent, user = make_agent(make_developer("dev@example.com", "Acme")), make_user("ada@example.com")
    consent = allow(ask(agent, scopes=["email:read", "email:send"]), user, ["email:read"])
    assert consent.granted_scopes == ["email:read"]


def test_client_credentials_give_no_refresh_token_and_only_allowed_scopes() -> None:
    agent = make_agent(make_developer("dev@example.com", "Acme"), allowed_scopes=["db:read"])
    issued = issue_client_token(actor=ANONYMOUS, agent=agent, scopes=[])
    assert isinstance(issued, IssuedTokens)
    assert issued.refresh_token is None
    decision = decide([VerifyRequest(token=issued.access_token, required_scopes=("db:read",), actor=ANONYMOUS)])[0]
    assert (decision.allowed, decision.user_id, decision.consent_id) == (True, None, None)

    refusal = issue_client_token(actor=ANONYMOUS, agent=agent, scopes=["db:write"])
    assert isinstance(refusal, Refusal)


def test_the_sweep_deletes_expired_rows_and_can_be_repeated() -> None:
    with time_machine.travel(datetime.now().astimezone(), tick=False) as traveller:
        make_grant()
        assert delete_expired_codes() + sweep_tokens() == 0
        traveller.shift(timedelta(days=32))
        assert delete_expired_codes() == 1
        assert sweep_tokens() > 0
        assert sweep_tokens() == 0
        assert not TokenFamily.objects.exists()
