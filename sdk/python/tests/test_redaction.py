"""No secret appears in a repr, message, log line or traceback, even if the traceback prints variables."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable

import httpx
import pytest
from fake_gate import BASE_URL, CLIENT_SECRET, NO_PAUSES, FakeGate, problem

from agentgate_oauth import (
    AgentGateAdmin,
    AgentGateClient,
    AgentGateError,
    AgentGateVerifier,
    FileStore,
    SessionRecord,
)
from agentgate_oauth._decode import reader
from agentgate_oauth.models import NewAgent, NewResourceServer, RotatedApiKey, Tokens, UserSession

SECRETS = (
    CLIENT_SECRET,
    "access-1",
    "refresh-1",
    "ag_secret-key",
    "rs_secret",
    "presented-token",
    "the-code",
)


def cut(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadError("cut", request=request)


FAILURES: dict[str, Callable[[httpx.Request], httpx.Response]] = {
    "refused": lambda request: problem(401, "invalid_client", detail="no"),
    "lost": cut,
    "not JSON": lambda request: httpx.Response(200, text="<html>access-1"),
    "wrong shape": lambda request: httpx.Response(
        200, json={"accessToken": "access-1", "allowed": "refresh-1"}
    ),
}


def printed(action: Callable[[], object]) -> str:
    """Return the traceback of a failing action with the variables of each frame."""
    with pytest.raises(AgentGateError) as caught:
        action()
    report = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    # The first frames are those of this test.
    del report.stack[:2]
    return "".join(report.format()) + repr(caught.value) + str(caught.value) + str(vars(caught.value))


@pytest.mark.parametrize("failure", FAILURES)
def test_failures_print_no_secret(failure, caplog):
    caplog.set_level(logging.DEBUG)
    gate = FakeGate()
    client = AgentGateClient(BASE_URL, "agc_1", CLIENT_SECRET, http_client=gate.client(), retry=NO_PAUSES)
    session = client.create_session("the-code")
    object.__setattr__(session._renewal.record, "renew_after", 0.0)
    gate.intercept = FAILURES[failure]
    http = gate.client()
    admin = AgentGateAdmin(BASE_URL, "ag_secret-key", http_client=http, retry=NO_PAUSES)
    verifier = AgentGateVerifier(BASE_URL, "res_1", "rs_secret", http_client=http, retry=NO_PAUSES)
    output = [
        printed(lambda: session.verify(["email:send"])),
        printed(lambda: client.exchange("the-code")),
        printed(lambda: admin.get_agent("agt_1")),
        printed(lambda: verifier.verify("presented-token", ["email:send"])),
        caplog.text,
        repr((client, session, admin, verifier)),
    ]
    for secret in SECRETS:
        assert not [text for text in output if secret in text], secret


@pytest.mark.parametrize(
    ("model", "document"),
    [
        (RotatedApiKey, {"apiKey": "SECRET", "previousKeyExpiresAt": None}),
        (
            UserSession,
            {
                "id": "dev_1",
                "name": "x",
                "email": "x",
                "sessionToken": "SECRET",
                "expiresAt": "2026-01-01T00:00:00Z",
            },
        ),
        (
            NewResourceServer,
            {"id": "res_1", "name": "x", "identifier": "https://x", "scopes": [], "secret": "SECRET"},
        ),
        (
            NewAgent,
            {
                "id": "agt_1",
                "clientId": "agc_1",
                "name": "x",
                "description": None,
                "redirectUris": [],
                "allowedScopes": [],
                "status": "active",
                "createdAt": "2026-01-01T00:00:00Z",
                "updatedAt": "2026-01-01T00:00:00Z",
                "clientSecret": "SECRET",
            },
        ),
        (
            Tokens,
            {
                "accessToken": "SECRET",
                "refreshToken": "SECRET",
                "expiresIn": 900,
                "refreshExpiresIn": 1,
                "grantedScopes": [],
                "userId": None,
                "agentId": "agt_1",
                "consentId": None,
            },
        ),
    ],
)
def test_models_with_secrets_hide_them(model, document):
    made = reader(model)(document)
    assert "SECRET" not in repr(made)
    if isinstance(made, Tokens):
        assert "SECRET" not in repr(SessionRecord.of(made))


def test_store_keys_do_not_become_file_names(tmp_path):
    store = FileStore(tmp_path)
    unlock = store.try_lock("../../etc/passwd")
    assert unlock is not None
    unlock()
    assert all(path.parent == tmp_path and "passwd" not in path.name for path in tmp_path.iterdir())
