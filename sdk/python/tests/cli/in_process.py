"""A fake AgentGate that answers from a table, and the command line in this process."""

from __future__ import annotations

import io
import json
import sys
from functools import cache
from typing import Any

import httpx
import pytest
import typer.main
from fake_gate import problem

from agentgate_oauth.cli.app import run

AGENT = {
    "id": "agt_1",
    "clientId": "agc_1",
    "name": "SmartMail",
    "description": "Sorts mail",
    "redirectUris": ["https://a.example/cb"],
    "allowedScopes": ["email:read"],
    "status": "active",
    "createdAt": "2026-11-24T16:00:00Z",
    "updatedAt": "2026-11-24T16:00:00Z",
    "requirePkce": False,
    "stop": None,
    "homepageUrl": "https://a.example/",
    "privacyUrl": "https://a.example/privacy",
    "logoUrl": "https://a.example/logo.png",
}
POLICY = {
    "id": "pol_1",
    "name": "Office [bold]hours",
    "description": None,
    "agentId": None,
    "enabled": True,
    "mode": "enforce",
    "rules": [{"type": "action_blocklist", "config": {"actions": ["email:send"]}}],
    "createdAt": "2026-11-24T16:00:00Z",
    "updatedAt": "2026-11-24T16:00:00Z",
}
OWN_SCOPE = {
    "id": "mail:archive",
    "riskLevel": "low",
    "title": "Archive mail",
    "description": "Move mail to the archive",
    "cannot": "delete mail",
}
SERVER = {
    "id": "res_1",
    "name": "Mail",
    "identifier": "https://mail.example",
    "scopes": ["email:read", OWN_SCOPE],
}
SCOPE = {
    "id": "email:send",
    "category": "email",
    "riskLevel": "high",
    "title": "Send email as you",
    "description": "Send new mail",
    "cannot": "read mail",
    "labels": ["outbound"],
    "reversible": False,
    "asks": False,
    "covers": ["email:reply"],
}
SESSION = {
    "id": "usr_1",
    "name": "Ada",
    "email": "ada@example.com",
    "sessionToken": "st_secret-of-the-session",
    "expiresAt": "2099-01-01T00:00:00Z",
}
DENIAL = {
    "id": "log_2",
    "timestamp": "2026-11-24T16:00:00Z",
    "event": "token.verify",
    "outcome": "denied",
    "reason": "policy_denied",
    "policyId": "pol_1",
    "agentId": "agt_1",
    "userId": "usr_1",
    "consentId": "cns_1",
    "scopes": ["email:send"],
    "metadata": {
        "policyName": "Office [bold]hours",
        "ruleType": "action_blocklist",
        "ruleIndex": 0,
        "detail": "The call asks for a blocked action.",
    },
}
EVENT = {
    "id": "log_2",
    "type": "token.verify",
    "timestamp": "2026-11-24T16:00:00.000000Z",
    "stream": {"id": "org_1", "number": 1},
    "data": {**DENIAL, "unknown": "kept"},
}
DELEGATION = {
    "id": "del_1",
    "parentId": None,
    "from": {"id": "agt_1", "name": "SmartMail"},
    "to": {"id": "agt_2", "name": "Summarizer"},
    "scopes": ["email:read"],
    "targets": [],
    "limits": {},
    "used": [],
    "status": "active",
    "task": "",
    "maxDepth": 4,
    "expiresAt": "2099-01-01T00:00:00Z",
    "createdAt": "2026-11-24T16:00:00Z",
}
LATER = "2099-01-01T00:00:00Z"
KEY = {
    "id": "key_1",
    "name": "laptop",
    "hint": "ag_4f...9c",
    "createdAt": "2026-11-24T16:00:00Z",
    "lastUsedAt": "2026-11-24T17:10:00Z",
    "expiresAt": None,
    "role": "developer",
    "agentIds": ["agt_1"],
    "ownedByOrganization": False,
    "madeBy": "dev_1",
}
ORGANIZATION_KEY = {
    **KEY,
    "id": "key_2",
    "name": "",
    "lastUsedAt": None,
    "agentIds": None,
    "ownedByOrganization": True,
}
ORGANIZATION = {
    "id": "org_1",
    "name": "Acme",
    "domain": "acme.example",
    "verified": True,
    "stop": None,
    "createdAt": "2026-11-24T16:00:00Z",
    "deletesAt": None,
    "role": "owner",
    "memberId": "dev_1",
}
STOPPED = {**ORGANIZATION, "stop": {"at": "2026-11-24T16:00:00Z", "reason": "A secret leaked"}}
NAMED = {"id": "org_1", "name": "Acme", "domain": "acme.example", "verified": True}
MEMBERSHIP = {"organization": NAMED, "role": "owner", "memberId": "dev_1"}
MEMBER = {
    "id": "dev_2",
    "userId": "usr_2",
    "email": "grace@example.com",
    "name": "Grace",
    "role": "developer",
    "createdAt": "2026-11-24T16:00:00Z",
    "lastActiveAt": None,
}
INVITATION = {
    "id": "inv_1",
    "email": "grace@example.com",
    "role": "developer",
    "expiresAt": "2099-01-01T00:00:00Z",
    "status": "pending",
    "invitedBy": "dev_1",
}
OWN_INVITATION = {**INVITATION, "organization": NAMED}
IMPACT = {
    "connections": 4,
    "agents": 2,
    "users": 3,
    "liveTokens": 5,
    "allowedLastDay": 6,
    "lastAllowedAt": None,
}
NEW_KEY = {**KEY, "apiKey": "ag_new-key", "previousKeyExpiresAt": None}
SIMULATION = {
    "outcome": "denied",
    "trace": [
        {
            "ruleIndex": 0,
            "ruleType": "action_blocklist",
            "outcome": "denied",
            "detail": "Blocked.",
            "retryAfterSeconds": 60,
        }
    ],
}
CHANGE = {
    "agentId": "agt_1",
    "policyId": None,
    "ruleType": "rate_limit",
    "ruleIndex": 0,
    "newlyDenied": 3,
    "newlyAllowed": 0,
    "newlyAsked": 1,
}
REPLAY = {
    "from": "2026-11-17T16:00:00Z",
    "to": "2026-11-24T16:00:00Z",
    "decisions": 120,
    "newlyDenied": 3,
    "newlyAllowed": 0,
    "newlyAsked": 1,
    "undecided": {"truncated": 0, "erased": 2, "hidden": 0},
    "changes": [CHANGE, {**CHANGE, "agentId": "agt_9", "policyId": "pol_1", "newlyDenied": 0}],
    "truncated": True,
}
# Typer makes all commands from their functions again each time it runs one.
made_once = cache(typer.main.get_command)
EXPORT = b'{"format": "agentgate-audit-export/1"}\n{"checkpoint": "..."}\n'


def page(*items: dict[str, Any]) -> dict[str, Any]:
    return {"items": list(items), "nextCursor": None}


class Api:
    """Answers by method and path, and records the requests. None is answered as 204; a function is called."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.answers: dict[str, Any] = {
            "POST /users/login": SESSION,
            "POST /users/logout": None,
            "POST /developers/api-keys/rotate": {"apiKey": "ag_next-key", "previousKeyExpiresAt": LATER},
            "GET /developers/api-keys": page(KEY, ORGANIZATION_KEY),
            "POST /developers/api-keys": NEW_KEY,
            "POST /developers/api-keys/key_1/rotate": NEW_KEY,
            "DELETE /developers/api-keys/key_1": None,
            "GET /users/me/organizations": page(MEMBERSHIP),
            "POST /organizations": MEMBERSHIP,
            "GET /organization": ORGANIZATION,
            "PATCH /organization": ORGANIZATION,
            "GET /organization/stop": {"impact": IMPACT, "proof": None},
            "POST /organization/stop": STOPPED,
            "POST /organization/resume": ORGANIZATION,
            "DELETE /organization": None,
            "POST /organization/restore": ORGANIZATION,
            "GET /organization/members": page(MEMBER),
            "PATCH /organization/members/dev_2": {**MEMBER, "role": "admin"},
            "DELETE /organization/members/dev_1": None,
            "DELETE /organization/members/dev_2": None,
            "POST /organization/invitations": INVITATION,
            "GET /organization/invitations": page(INVITATION),
            "DELETE /organization/invitations/inv_1": None,
            "GET /users/me/invitations": page(OWN_INVITATION),
            "POST /invitations/inv_1/accept": MEMBER,
            "POST /invitations/inv_1/decline": OWN_INVITATION,
            "GET /agents": page(AGENT),
            "GET /agents/agt_1": AGENT,
            "GET /agents/agc_1": AGENT,
            "POST /agents": {**AGENT, "clientSecret": "ags_secret"},
            "POST /agents/agt_1/rotate-secret": {"clientId": "agc_1", "clientSecret": "ags_next"},
            "PATCH /agents/agt_1": {**AGENT, "status": "suspended"},
            "GET /delegations": page(DELEGATION, {**DELEGATION, "id": "del_2", "parentId": "del_1"}),
            "POST /delegations/del_1/end": {**DELEGATION, "status": "ended"},
            "GET /policies": page(POLICY),
            "GET /policies/pol_1": POLICY,
            "POST /policies": POLICY,
            "PATCH /policies/pol_1": {**POLICY, "enabled": False},
            "DELETE /policies/pol_1": None,
            "GET /resource-servers": page(SERVER),
            "GET /resource-servers/res_1": SERVER,
            "POST /resource-servers": {**SERVER, "secret": "rs_secret"},
            "PATCH /resource-servers/res_1": SERVER,
            "POST /resource-servers/res_1/rotate-secret": {"id": "res_1", "secret": "rs_next"},
            "DELETE /resource-servers/res_1": None,
            "GET /scopes": page(SCOPE),
            "GET /scopes/email": page(SCOPE),
            "GET /audit": page(DENIAL),
            "GET /events": {"items": [], "next": 0},
            "GET /audit/export": httpx.Response(
                200, content=EXPORT, headers={"Content-Type": "application/jsonl"}
            ),
            "POST /policies/simulate": {"decision": SIMULATION, "replay": REPLAY},
            "POST /tokens/verify": {"allowed": True, "userId": "usr_1"},
        }

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.get(f"{request.method} {request.url.path.removeprefix('/api/v1')}", ...)
        if answer is ...:
            return problem(404, "not_found", detail="No such thing.")
        if callable(answer):
            answer = answer(request)
        if isinstance(answer, httpx.Response):
            return answer
        return httpx.Response(204) if answer is None else httpx.Response(200, json=answer)

    def body(self) -> Any:
        return json.loads(self.requests[-1].content)


class Piped(io.BytesIO):
    """Standard input from a pipe."""

    name = "<stdin>"


class Terminal(Piped):
    """Standard input from a terminal."""

    def isatty(self) -> bool:
        return True


class Cli:
    """Runs commands, and keeps the output of the last one."""

    out = ""
    err = ""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        monkeypatch.setattr(typer.main, "get_command", made_once)
        self._capsys = capsys

    def __call__(self, *arguments: str, given: str = "", typed: str | None = None, code: int = 0) -> str:
        """Return what the command printed on standard output. Its exit code must be `code`.

        Standard input has what is `given` by a pipe, or `typed` on a terminal.
        """
        piped = Piped(given.encode()) if typed is None else Terminal(typed.encode())
        self._monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(piped))
        ended = run(list(arguments))
        self.out, self.err = self._capsys.readouterr()
        assert ended == code, self.out + self.err
        return self.out

    def json(self, *arguments: str, given: str = "", code: int = 0) -> Any:
        """Return the JSON document on standard output. stderr must be empty."""
        printed = self(*arguments, "--json", given=given, code=code)
        assert self.err == ""
        return json.loads(printed)

    def error(self, *arguments: str, given: str = "", code: int = 1) -> Any:
        """Return the JSON document on stderr. Standard output must be empty."""
        assert self(*arguments, "--json", given=given, code=code) == ""
        return json.loads(self.err)
