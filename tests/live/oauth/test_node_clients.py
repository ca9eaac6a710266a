"""Clients on Node: openid-client, the strictest of them, and the TypeScript SDK of the Model Context Protocol."""

import json
import threading
from pathlib import Path

import pytest

from tests.constants import basic
from tests.live.gate import CALLBACK, SCOPES, Developer, Gate, Json, Person, expect
from tests.live.oauth import node
from tests.live.oauth.conftest import publish
from tests.live.oauth.door import decide, hand_over

pytestmark = pytest.mark.node


@pytest.fixture(scope="module")
def node_program() -> Path:
    return node.install()


def run(node_program: Path, gate: Gate, person: Person, name: str, *arguments: str, **environment: str) -> Json:
    """Run one of our programs; where it prints a URL, decide as the person; return what it says in the end."""
    process = node.start(node_program, node.program(name), *arguments, **environment)
    watchdog = threading.Timer(node.RUN_SECONDS, process.kill)
    watchdog.start()
    lines = []
    assert process.stdin is not None
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        if line.startswith("URL "):
            process.stdin.write(decide(gate, person, line.removeprefix("URL ").strip()) + "\n")
            process.stdin.flush()
    watchdog.cancel()
    output = "".join(lines)
    assert process.wait() == 0, output
    return dict(json.loads(next(line for line in lines if line.startswith("RESULT ")).removeprefix("RESULT ")))


@pytest.mark.parametrize("push", ["", "1"])
def test_openid_client_finds_nothing_to_say(
    gate: Gate, developer: Developer, person: Person, node_program: Path, push: str
) -> None:
    agent = gate.agent(developer)
    identifier = f"https://mail-{agent.id[-8:]}.example/api"
    server = {"name": "Mail", "identifier": identifier, "scopes": list(SCOPES)}
    service = expect(201, gate.post("/resource-servers", server, **developer.headers))
    arguments = [f"{gate.url}/oauth", agent.client_id, agent.client_secret]
    arguments += [service["id"], service["secret"], identifier, CALLBACK]

    result = run(node_program, gate, person, "openid.mjs", *arguments, PUSH=push)

    assert result == {
        "scope": "email:read email:send",
        "narrowed": "email:read",
        "alone": None,
        "live": True,
        "audience": identifier,
        "dead": False,
        "replayed": "invalid_grant",
    }


def test_openid_client_exchanges_a_delegation_token_until_the_branch_is_cut(
    gate: Gate, developer: Developer, person: Person, node_program: Path
) -> None:
    identifier = f"https://mail-{person.id[-8:]}.example/api"
    server = {"name": "Mail", "identifier": identifier, "scopes": list(SCOPES)}
    service = expect(201, gate.post("/resource-servers", server, **developer.headers))
    handed = hand_over(gate, developer, person, resource=[identifier])
    arguments = [f"{gate.url}/oauth", handed.to.client_id, handed.to.client_secret, handed.token, identifier]

    result = run(node_program, gate, person, "exchange.mjs", *arguments)

    token = result.pop("token")
    assert result == {
        "offered": True,
        "type": "urn:ietf:params:oauth:token-type:access_token",
        "scope": "email:read",
        "renewed": "email:read email:send",
        "again": "invalid_grant",
    }
    credential = {"Authorization": basic(service["id"], service["secret"])}

    def introspect() -> Json:
        asked = gate.http.post(f"{gate.url}/oauth/introspect", data={"token": token}, headers=credential)
        return expect(200, asked)

    question = {"token": token, "requiredScopes": ["email:read"]}
    assert expect(200, gate.post("/tokens/verify", question, **credential))["allowed"] is True
    assert introspect()["actor"]["delegation_id"] == handed.id
    expect(200, gate.post(f"/delegations/{handed.id}/end", **person.headers))
    assert expect(200, gate.post("/tokens/verify", question, **credential))["reason"] == "delegation_ended"
    assert introspect() == {"active": False}


@pytest.mark.parametrize("kind", ["registered", "document"])
def test_the_typescript_sdk_logs_in_refreshes_and_calls_a_tool(
    gate: Gate, person: Person, node_program: Path, tickets: str, documents: Path, kind: str
) -> None:
    document = {
        "client_id": "https://client.example/typescript.json",
        "client_name": "TypeScript client",
        "redirect_uris": ["http://127.0.0.1/callback"],
        "token_endpoint_auth_method": "none",
    }
    client_id = publish(documents, document) if kind == "document" else ""

    result = run(node_program, gate, person, "mcp.mjs", tickets, client_id)

    assert (result["asked"], result["authorized"], result["refreshed"]) == ("REDIRECT", "AUTHORIZED", "AUTHORIZED")
    assert result["isNew"] is True
    assert "The printer is on fire" in result["text"]
    assert result["clientId"] == client_id if client_id else result["clientId"].startswith("agc_")
