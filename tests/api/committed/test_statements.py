"""How many statements an exchange and a refresh send to the database, through HTTP."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.api.conftest import Api, Json, code_for, credentials, expect, new_agent, tokens_for
from tests.constants import CALLBACK, PASSWORD
from tokens.keys import current_key

# In a transaction of its own, as in production: otherwise savepoints are counted, and no key is remembered.
pytestmark = pytest.mark.django_db(transaction=True)

SERVICE = "https://mail.example.com/"
# A row of the journal.
LOG = 1
# Whether everything is stopped: a lock, which SQLite does not need, and a look.
STOP = 2 if connection.vendor == "postgresql" else 1
# The agent with its secret, BEGIN, COMMIT, and the log.
EVERY = 3 + LOG + STOP
# The code with its consent, the code again as used, the family, and its two tokens.
EXCHANGE = EVERY + 5
# The family to lock, the token with its consent, the two new tokens, and the token again as used.
REFRESH = EVERY + 5
# The user; a look at the successes and failures; the attempt counted, and its success, each in a transaction of two
# statements; the second factors; the user to lock, the session, its address and its device, in a transaction with the
# log, which has a savepoint.
SIGN_IN = 2 + 4 + 4 + 1 + 2 + 2 + 4 + LOG
# The session with its user, the consent with its agent, BEGIN, COMMIT, the log; locks of the user, the organization,
# the agent and the live consent; the consent that ended last; the consent, its code and the notice to the user.
APPROVE = 4 + LOG + STOP + 8
# The earlier consent instead, its unused codes and families, and a savepoint with the lock of a revocation, but no
# notice, because nothing is new.
REPLACE = 3 + (2 if connection.vendor == "postgresql" else 0)
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


def test_the_services_of_a_grant_are_read_once(developer: Api, ada: Api) -> None:
    body = {"name": "Mail", "identifier": SERVICE, "scopes": ["email:read"]}
    expect(201, developer.post("/resource-servers", body))
    agent = new_agent(developer)
    code = code_for(agent, ada, requestedScopes=["email:read"], resource=[SERVICE])
    tokens, sent = exchange(agent, code)
    assert len(sent) == FIRST_USE + EXCHANGE + 1, sent
    _, sent = refresh(agent, tokens["refreshToken"])
    assert len(sent) == REFRESH + 1, sent


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
