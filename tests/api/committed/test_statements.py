"""How many statements an exchange and a refresh send to the database, through HTTP."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.api.conftest import Api, Json, code_for, credentials, expect, new_agent, tokens_for
from tests.constants import CALLBACK, PASSWORD
from tests.oauth.client import FORM
from tests.world import let_delegate
from tokens.keys import current_key

# In a transaction of its own, as in production: otherwise savepoints are counted, and no key is remembered.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]

SERVICE = "https://mail.example.com/"
# A row of the journal.
LOG = 1
# Whether everything is stopped: a lock, which SQLite does not need, and a look.
STOP = 2 if connection.vendor == "postgresql" else 1
# The agent with its secret, BEGIN, COMMIT, and the log.
EVERY = 3 + LOG
# The code or the family to lock, which SQLite need not, together with the lock for `STOP`.
LOCK = 1 if connection.vendor == "postgresql" else 0
# PostgreSQL inserts into several tables by one statement.
NEW_ROWS = (lambda tables: 1) if connection.vendor == "postgresql" else (lambda tables: tables)
# The code with all that it depends on; it again as used; the family and its two tokens.
EXCHANGE = EVERY + LOCK + 2 + NEW_ROWS(3)
# The token with all that it depends on, the two new tokens, and the token again as used.
REFRESH = EVERY + LOCK + 2 + NEW_ROWS(2)
# The agent, which may have been stopped since it was authenticated, the family and its token.
CLIENT_CREDENTIALS = EVERY + STOP + 1 + NEW_ROWS(2)
# The constraints with the lock of a revocation, which SQLite does not need.
REVOCATION = 1 if connection.vendor == "postgresql" else 0
# The family of the token; it again as ended.
REVOKE = EVERY + 2 + REVOCATION
# The user; a look at the successes and failures; the attempt counted, and its success, each in a transaction of two
# statements; the second factors; the user to lock, the session, its address and its device, in a transaction with the
# log, which has a savepoint.
SIGN_IN = 2 + 4 + 4 + 1 + 2 + 2 + 4 + LOG
# The session with its user, the consent with its agent, BEGIN, COMMIT, the log; locks of the user, the organization,
# the agent and the live consent; the consent that ended last; the consent, its code and the notice to the user.
APPROVE = 4 + LOG + STOP + 8
# The earlier consent instead, its unused codes, delegations and families, and a savepoint with the lock of a
# revocation, but no notice, because nothing is new.
REPLACE = 4 + REVOCATION
# The time of the first use of a secret in ten minutes.
FIRST_USE = 1
# The record of the key before the work, and again with the answer.
IDEMPOTENCY = 2


def statements(call: Callable[[], Any]) -> tuple[Json, list[str]]:
    """Return the tokens that the call gets, and the statements that it causes."""
    with CaptureQueriesContext(connection) as captured:
        answer = call()
    return expect(200, answer), [query["sql"] for query in captured.captured_queries]


def exchange(agent: Json, code: str, **headers: str) -> tuple[Json, list[str]]:
    return statements(lambda: Api(**headers).post("/tokens/exchange", {"code": code, **credentials(agent)}))


def refresh(agent: Json, token: str, **headers: str) -> tuple[Json, list[str]]:
    return statements(lambda: Api(**headers).post("/tokens/refresh", {"refreshToken": token, **credentials(agent)}))


@pytest.fixture(autouse=True)
def _knows_signing_key() -> None:
    """Create the signing key and read it, as a process does for its first two tokens."""
    for _ in range(2):
        current_key()


def test_an_exchange_reads_agent_user_code_and_key_once(agent: Json, ada: Api) -> None:
    code = code_for(agent, ada)
    _, sent = exchange(agent, code)
    assert len(sent) == FIRST_USE + EXCHANGE, sent


def test_a_refresh_reads_agent_user_token_and_key_once(agent: Json, ada: Api) -> None:
    _, sent = refresh(agent, tokens_for(agent, ada)["refreshToken"])
    assert len(sent) == FIRST_USE + REFRESH, sent


@pytest.mark.parametrize("path", ["exchange", "refresh"])
def test_an_idempotency_key_adds_two_statements(agent: Json, ada: Api, path: str) -> None:
    if path == "exchange":
        _, sent = exchange(agent, code_for(agent, ada), Idempotency_Key="one")
    else:
        _, sent = refresh(agent, tokens_for(agent, ada)["refreshToken"], Idempotency_Key="one")
    assert len(sent) == FIRST_USE + {"exchange": EXCHANGE, "refresh": REFRESH}[path] + IDEMPOTENCY, sent


def test_client_credentials_read_only_the_agent(developer: Api) -> None:
    agent = new_agent(developer)
    body = {"grant_type": "client_credentials", "client_id": agent["clientId"], "client_secret": agent["clientSecret"]}
    _, sent = statements(lambda: Client().post("/oauth/token", urlencode(body), FORM))
    assert len(sent) == FIRST_USE + CLIENT_CREDENTIALS, sent


def test_a_service_costs_client_credentials_two_statements(developer: Api) -> None:
    """One before the transaction, for the canonical form of its identifier, and one in it."""
    expect(201, developer.post("/resource-servers", {"name": "Mail", "identifier": SERVICE, "scopes": ["email:read"]}))
    agent = new_agent(developer)
    body = {"grant_type": "client_credentials", "client_id": agent["clientId"], "client_secret": agent["clientSecret"]}
    _, sent = statements(lambda: Client().post("/oauth/token", urlencode({**body, "resource": SERVICE}), FORM))
    assert len(sent) == FIRST_USE + CLIENT_CREDENTIALS + 2, sent


def test_a_revocation_reads_only_agent_and_family(agent: Json, ada: Api) -> None:
    tokens = tokens_for(agent, ada)
    for token in (tokens["accessToken"], tokens_for(agent, ada)["refreshToken"]):
        answer, sent = statements(
            lambda token=token: Api().post("/tokens/revoke", {"token": token, **credentials(agent)})
        )
        assert answer == {"revoked": True}
        assert len(sent) == REVOKE + (FIRST_USE if token == tokens["accessToken"] else 0), sent


def test_services_cost_an_exchange_and_a_refresh_no_statement(developer: Api, ada: Api) -> None:
    body = {"name": "Mail", "identifier": SERVICE, "scopes": ["email:read"]}
    expect(201, developer.post("/resource-servers", body))
    agent = new_agent(developer)
    code = code_for(agent, ada, requestedScopes=["email:read"], resource=[SERVICE])
    tokens, sent = exchange(agent, code)
    assert len(sent) == FIRST_USE + EXCHANGE, sent
    _, sent = refresh(agent, tokens["refreshToken"])
    assert len(sent) == REFRESH, sent


def approve(agent: Json, ada: Api) -> list[str]:
    body = {**credentials(agent), "requestedScopes": ["email:read"], "redirectUri": CALLBACK}
    asked = expect(201, Api().post("/consent/initiate", body))["consentId"]
    _, sent = statements(lambda: ada.post(f"/consent/{asked}/approve"))
    return sent


def test_a_sign_in_counts_its_attempt_and_its_success(ada: Api) -> None:
    sign_in = lambda: Api().post("/users/login", {"email": "ada@example.com", "password": PASSWORD})  # noqa: E731
    expect(200, sign_in())
    _, sent = statements(sign_in)
    assert len(sent) == SIGN_IN, sent


def test_an_approval_reads_again_only_what_it_locks(agent: Json, ada: Api) -> None:
    sent = approve(agent, ada)
    assert len(sent) == APPROVE, sent


def test_an_approval_that_replaces_a_consent_writes_both_entries_at_once(agent: Json, ada: Api) -> None:
    tokens_for(agent, ada)
    sent = approve(agent, ada)
    assert len(sent) == APPROVE + REPLACE, sent


# Before the transaction, the connection of the token, a look at each of its two throttles, and each counted in a
# transaction of two statements. Then the token, its family, the connection to lock, the family again, the agent that
# receives, the delegation, how many there are, and its chain.
CREATE = EVERY + 11 + 8 + STOP + STOP - 1
# The delegation to lock, it again with all that it depends on, and its chain; it as redeemed; the family and its two
# tokens.
REDEEM = EVERY + 4 + STOP + STOP - 1 + NEW_ROWS(3)
# The delegation with the agent that received it, and its chain.
CHAIN = 2


def test_a_delegation_is_read_with_all_that_it_depends_on(developer: Api, agent: Json, ada: Api) -> None:
    token, other = tokens_for(agent, ada)["accessToken"], new_agent(developer, name="Summarizer")
    let_delegate(token)
    body = {"token": token, "to": other["clientId"], "scopes": ["email:read"], **credentials(agent)}
    with CaptureQueriesContext(connection) as captured:
        made = expect(201, Api().post("/delegations", body))
    assert len(captured) == FIRST_USE + CREATE, captured.captured_queries
    redeemed = {"delegationToken": made["delegationToken"], **credentials(other)}
    tokens, sent = statements(lambda: Api().post("/tokens/exchange", redeemed))
    assert len(sent) == FIRST_USE + REDEEM, sent
    _, sent = refresh(other, tokens["refreshToken"])
    assert len(sent) == REFRESH + CHAIN, sent
