"""Text from the server never controls the terminal, whichever command prints it."""

from __future__ import annotations

import json

import pytest
from fake_gate import problem
from in_process import (
    AGENT,
    DENIAL,
    EVENT,
    INVITATION,
    KEY,
    MEMBER,
    POLICY,
    REPLAY,
    SCOPE,
    SERVER,
    SIMULATION,
    STOPPED,
    page,
)

# Clear the screen, the same in one character (C1), turn the text around, and start the line again.
HOSTILE = "evil\x1b[2J\x9b2J\u202e\r"
COMMANDS = [
    ("agents", "list"),
    ("agents", "show", "agt_1"),
    ("agents", "suspend", "agt_1"),
    ("agents", "rotate-secret", "agt_1"),
    ("policies", "list"),
    ("policies", "show", "pol_1"),
    ("policies", "update", "pol_1", "--name", "x"),
    ("policies", "disable", "pol_1"),
    ("policies", "delete", "pol_1", "--yes"),
    ("policies", "simulate", "pol_1", "--agent", "agt_1", "--scope", "email:send"),
    ("policies", "replay", "pol_1"),
    ("resource-servers", "list"),
    ("resource-servers", "show", "res_1"),
    ("resource-servers", "scopes", "res_1"),
    ("scopes", "list"),
    ("scopes", "show", "email:send"),
    ("keys", "list"),
    ("keys", "create", "x"),
    ("organizations", "show"),
    ("organizations", "stop", "--reason", "x", "--yes"),
    ("members", "list"),
    ("members", "role", "dev_2", "admin"),
    ("invitations", "list"),
    ("whoami",),
    ("log",),
    ("events",),
    ("explain",),
    ("verify", "--scope", "email:send"),
    ("login", "--email", "ada@example.com"),
    ("logout",),
]


@pytest.fixture
def hostile(api):
    """The texts of every response control terminals."""
    agent, policy = {**AGENT, "name": HOSTILE, "description": HOSTILE}, {**POLICY, "name": HOSTILE}
    server = {**SERVER, "name": HOSTILE, "scopes": [{"id": HOSTILE, "riskLevel": HOSTILE, "title": HOSTILE}]}
    entry = {**DENIAL, "action": HOSTILE, "metadata": {**DENIAL["metadata"], "detail": HOSTILE}}
    key = {**KEY, "name": HOSTILE, "hint": HOSTILE}
    organization = {**STOPPED, "name": HOSTILE, "stop": {**STOPPED["stop"], "reason": HOSTILE}}
    member = {**MEMBER, "name": HOSTILE, "email": HOSTILE}
    trace = [{**SIMULATION["trace"][0], "detail": HOSTILE}]
    decision = {"allowed": False, "reason": HOSTILE, "agentId": "agt_1", "auditId": HOSTILE}
    api.answers |= {
        "GET /events": lambda request: (
            {"items": [{**EVENT, "data": entry}], "next": 1}
            if request.url.params["after"] == "0"
            else {"items": [], "next": 1}
        ),
        "GET /agents": page(agent),
        "GET /agents/agt_1": agent,
        "PATCH /agents/agt_1": agent,
        "POST /agents/agt_1/rotate-secret": {"clientId": "agc_1", "clientSecret": HOSTILE},
        "GET /policies": page(policy),
        "GET /policies/pol_1": policy,
        "PATCH /policies/pol_1": policy,
        "POST /policies/simulate": {
            "decision": {"outcome": HOSTILE, "trace": trace},
            "replay": {**REPLAY, "changes": [{**REPLAY["changes"][0], "ruleType": HOSTILE}]},
        },
        "GET /resource-servers": page(server),
        "GET /resource-servers/res_1": server,
        "GET /scopes": page({**SCOPE, "title": HOSTILE, "cannot": HOSTILE}),
        "GET /developers/api-keys": page(key),
        "POST /developers/api-keys": {**key, "apiKey": HOSTILE},
        "GET /organization": organization,
        "POST /organization/stop": organization,
        "GET /organization/members": page(member),
        "PATCH /organization/members/dev_2": member,
        "GET /organization/invitations": page({**INVITATION, "email": HOSTILE}),
        "GET /audit": page(entry),
        "POST /tokens/verify": decision,
        "POST /users/login": problem(401, HOSTILE, detail=HOSTILE),
        "POST /users/logout": problem(500, HOSTILE, detail=HOSTILE),
    }
    return api


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words[:2]))
@pytest.mark.parametrize("form", ["text", "json"])
def test_no_output_controls_the_terminal(hostile, cli, words, form):
    code = 1 if words[0] in ("verify", "login") else 0
    cli(*words, *(["--json"] if form == "json" else []), given="secret", code=code)
    printed = (cli.out + cli.err).replace("\n", "")
    assert printed.isprintable()
    if form == "json" and cli.out:
        json.loads(cli.out)


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_error_controls_the_terminal(hostile, cli, form):
    errors = [{"field": HOSTILE, "message": HOSTILE}]
    hostile.answers["POST /policies"] = problem(400, HOSTILE, detail=HOSTILE, errors=errors)
    arguments = ("policies", "create", HOSTILE, "-", *(["--json"] if form == "json" else []))
    cli(*arguments, given="[]", code=1)
    assert cli.err.replace("\n", "").isprintable() and "evil" in cli.err


def test_names_stay_readable_in_json(hostile, cli):
    hostile.answers["GET /agents/agt_1"] = {**AGENT, "name": "Zoë 😀"}
    assert '"name": "Zoë 😀"' in cli("agents", "show", "agt_1", "--json")
