"""Resource servers: registration, updates, rotation, deletion, their own scopes, isolation between tenants."""

import base64
from typing import Any

import jwt
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents.models import Agent
from api.v1.schemas.resource_servers import show_resource_servers
from resources.models import ResourceServer
from tests.api.conftest import (
    Api,
    Json,
    credentials,
    expect,
    initiate,
    new_agent,
    problem,
    tokens_for,
    verify,
)
from tests.constants import CALLBACK
from tests.shared import cases

IDENTIFIER = "https://tickets.example/api"
OWN = {
    "id": "tickets:read",
    "riskLevel": "low",
    "title": "Read your tickets",
    "description": "See your tickets",
    "cannot": "close them",
}


def body(**changes: Any) -> Json:
    return {"name": "Tickets", "identifier": IDENTIFIER, "scopes": ["email:read", OWN], **changes}


@pytest.fixture
def server(developer: Api) -> Json:
    return expect(201, developer.post("/resource-servers", body()))


def basic(server: Json) -> Json:
    pair = f"{server['id']}:{server['secret']}".encode()
    return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}


def ask(server: Json) -> Any:
    return Api(**basic(server)).post("/tokens/verify", {"token": "x", "requiredScopes": ["email:read"]})


def test_a_resource_server_is_registered_with_a_secret_shown_once(developer: Api, server: Json) -> None:
    assert server["id"].startswith("res_")
    assert server["secret"].startswith("rs_")
    assert (server["identifier"], server["scopes"]) == (IDENTIFIER, ["email:read", OWN])
    shown = expect(200, developer.get(f"/resource-servers/{server['id']}"))
    assert {**shown, "secret": server["secret"]} == server
    assert expect(200, developer.get("/resource-servers"))["items"] == [shown]


def test_its_credential_works_at_verify(server: Json) -> None:
    assert expect(200, ask(server))["reason"] == "invalid_token"
    problem(ask({**server, "secret": "rs_wrong"}), 401, "not_authenticated")


def test_an_agent_can_ask_for_its_scopes_and_the_token_has_its_audience(developer: Api, server: Json, ada: Any) -> None:
    agent = new_agent(developer, allowedScopes=["tickets:read"])
    consent = initiate(agent, requestedScopes=["tickets:read"], resource=IDENTIFIER)
    shown = expect(200, Api().get(f"/consent/{consent}"))
    assert shown["requestedScopes"][0]["title"] == OWN["title"]
    code = expect(200, ada.post(f"/consent/{consent}/approve"))["code"]
    tokens = expect(200, Api().post("/tokens/exchange", {"code": code, **credentials(agent)}))
    question = {"token": tokens["accessToken"], "requiredScopes": ["tickets:read"]}
    assert expect(200, Api(**basic(server)).post("/tokens/verify", question))["allowed"] is True
    assert expect(200, Api().post("/tokens/verify", question))["reason"] == "wrong_audience"


@cases(
    ("changes", "field"),
    [
        ({"identifier": "tickets"}, "identifier"),
        ({"identifier": "https://tickets.example/api#part"}, "identifier"),
        ({"identifier": "https://user@tickets.example/api"}, "identifier"),
        ({"identifier": "https://tickets.example/%zz"}, "identifier"),
        ({"identifier": "https://tickets..example/api"}, "identifier"),
        ({"identifier": "https://127.1/api"}, "identifier"),
        ({"identifier": "https://tickets.example/" + "é" * 160}, "identifier"),
        ({"identifier": "HTTP://LOCALHOST.:8000/x"}, "identifier"),
        ({"identifier": "http://localhost:8000"}, "identifier"),
        ({"identifier": "http://localhost:8000/"}, "identifier"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["no:such"]}, "scopes.0"),
        ({"scopes": [{**OWN, "id": "email:all"}]}, "scopes.0"),
        ({"scopes": [{**OWN, "id": "Tickets"}]}, "scopes.0"),
        ({"scopes": [{**OWN, "riskLevel": "none"}]}, "scopes.0.riskLevel"),
        ({"scopes": [{**OWN, "cannot": ""}]}, "scopes.0.cannot"),
        ({"secret": "rs_mine"}, "secret"),
    ],
)
def test_an_invalid_registration_is_reported(developer: Api, changes: Json, field: str) -> None:
    problem(developer.post("/resource-servers", body(**changes)), 400, "validation_failed", field)


def test_an_identifier_can_be_registered_only_once(rival: Api, server: Json) -> None:
    problem(rival.post("/resource-servers", body(scopes=["email:read"])), 409, "identifier_taken")


@cases(
    "spelling",
    [
        "https://TICKETS.example/api",
        "HTTPS://tickets.example:443/api",
        "https://tickets.example./x/../api",
        "https://tickets.example/%61pi",
        "https://tickets.example/api?",
    ],
)
def test_another_spelling_of_an_identifier_counts_as_the_same(rival: Api, server: Json, spelling: str) -> None:
    """Otherwise an attacker could register a spelling and receive the tokens that are meant for the service."""
    problem(rival.post("/resource-servers", body(identifier=spelling, scopes=["email:read"])), 409, "identifier_taken")


@cases(
    ("given", "stored"),
    [
        ("https://Desk.Example:443/", "https://desk.example"),
        ("https://desk.example", "https://desk.example"),
        ("http://LOCALHOST.:80/mcp", "http://localhost/mcp"),
        ("https://b\u00fcro.example/a%20b", "https://xn--bro-hoa.example/a%20b"),
    ],
)
def test_an_identifier_is_returned_in_its_canonical_form(developer: Api, given: str, stored: str) -> None:
    registered = expect(201, developer.post("/resource-servers", body(identifier=given)))
    assert registered["identifier"] == stored


def test_a_resource_is_found_in_any_spelling_and_signed_in_canonical_form(
    developer: Api, server: Json, ada: Any
) -> None:
    agent = new_agent(developer, allowedScopes=["email:read"])
    spelled = ["https://TICKETS.example:443/./api", IDENTIFIER, "HTTP://localhost:8000/"]
    consent = initiate(agent, requestedScopes=["email:read"], resource=spelled)
    code = expect(200, ada.post(f"/consent/{consent}/approve"))["code"]
    token = expect(200, Api().post("/tokens/exchange", {"code": code, **credentials(agent)}))["accessToken"]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["aud"] == [IDENTIFIER, "http://localhost:8000"]


def test_verify_accepts_any_spelling_of_the_resource(developer: Api, server: Json, ada: Any) -> None:
    agent = new_agent(developer, allowedScopes=["email:read"])
    token = tokens_for(agent, ada, requestedScopes=["email:read"], resource=IDENTIFIER)["accessToken"]
    assert verify(token, resource="https://Tickets.EXAMPLE:443/x/../api")["allowed"] is True
    assert verify(token, resource="https://tickets.example/api/")["reason"] == "wrong_audience"
    assert verify(token, resource="not a uri")["reason"] == "wrong_audience"


def test_a_prefix_belongs_to_the_organization_that_first_used_it(developer: Api, rival: Api, server: Json) -> None:
    other = {**OWN, "id": "tickets:close"}
    taken = rival.post("/resource-servers", body(identifier="https://rival.example/", scopes=[other]))
    problem(taken, 409, "scope_prefix_taken")
    own = body(identifier="https://tickets.example/two", scopes=["tickets:read", other])
    expect(201, developer.post("/resource-servers", own))


def test_another_organizations_scope_cannot_be_used(rival: Api, server: Json) -> None:
    used = rival.post("/resource-servers", body(identifier="https://rival.example/", scopes=["tickets:read"]))
    problem(used, 400, "validation_failed", "scopes.0")


def test_name_and_scopes_can_change_but_not_the_identifier(developer: Api, server: Json) -> None:
    path = f"/resource-servers/{server['id']}"
    changed = expect(200, developer.patch(path, {"name": "Desk", "scopes": [{**OWN, "title": "See tickets"}]}))
    assert (changed["name"], changed["scopes"]) == ("Desk", [{**OWN, "title": "See tickets"}])
    problem(developer.patch(path, {"identifier": "https://else.example/"}), 400, "validation_failed", "identifier")


def test_the_old_secret_works_during_the_requested_overlap(developer: Api, server: Json) -> None:
    path = f"/resource-servers/{server['id']}/rotate-secret"
    second = expect(200, developer.post(path, {"overlapSeconds": 60}))
    assert [ask(one).status_code for one in (server, {**server, **second})] == [200, 200]
    third = expect(200, developer.post(path))
    assert [ask({**server, **one}).status_code for one in ({}, second, third)] == [401, 401, 200]


def test_a_deleted_resource_server_cannot_be_read_or_authenticate(developer: Api, rival: Api, server: Json) -> None:
    path = f"/resource-servers/{server['id']}"
    assert developer.delete(path).status_code == 204
    problem(developer.get(path), 404, "not_found")
    problem(ask(server), 401, "not_authenticated")


@cases(("verb", "path"), [("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/rotate-secret")])
def test_another_organizations_resource_server_looks_nonexistent(
    rival: Api, server: Json, verb: str, path: str
) -> None:
    content = None if verb in ("GET", "DELETE") else {}
    foreign = problem(rival.call(verb, f"/resource-servers/{server['id']}{path}", content), 404, "not_found")
    absent = problem(rival.call(verb, f"/resource-servers/res_{'0' * 32}{path}", content), 404, "not_found")
    assert {**foreign, "requestId": ""} == {**absent, "requestId": ""}


def test_a_registration_repeated_with_its_idempotency_key_happens_once(developer: Api) -> None:
    answers = [developer.post("/resource-servers", body(), Idempotency_Key="one") for _ in range(2)]
    assert expect(201, answers[0]) == expect(201, answers[1])


def test_every_change_is_logged_without_secrets(developer: Api, server: Json) -> None:
    path = f"/resource-servers/{server['id']}"
    developer.patch(path, {"name": "Desk"})
    developer.post(f"{path}/rotate-secret")
    developer.delete(path)
    answer = developer.get("/audit")
    events = [entry["event"] for entry in expect(200, answer)["items"]]
    assert events[:4] == [
        "resource_server.deleted",
        "resource_server.secret_rotated",
        "resource_server.updated",
        "resource_server.created",
    ]
    assert server["secret"] not in answer.content.decode()


def test_an_organization_can_define_at_most_500_scopes(developer: Api, rival: Api) -> None:
    def define(number: int, count: int = 100, api: Api = developer) -> Any:
        own = [{**OWN, "id": f"tickets{'' if api is developer else 'x'}:s{number}-{n}"} for n in range(count)]
        return api.post(
            "/resource-servers",
            body(identifier=f"https://{'a' if api is developer else 'b'}{number}.example", scopes=own),
        )

    servers = [expect(201, define(number)) for number in range(5)]
    answer = problem(define(5, 1), 400, "validation_failed", "scopes")
    assert "at most 500" in answer["errors"][0]["message"]
    more = {"scopes": [{**OWN, "id": "tickets:more"}]}
    problem(developer.patch(f"/resource-servers/{servers[0]['id']}", more), 400, "validation_failed", "scopes")
    again = {"scopes": [{**OWN, "id": "tickets:s0-1", "title": "Other words"}]}
    expect(200, developer.patch(f"/resource-servers/{servers[0]['id']}", again))
    expect(201, define(0, 1, rival))


def test_a_full_page_of_servers_reads_their_scopes_once(developer: Api, django_assert_num_queries: Any) -> None:
    own = [{**OWN, "id": f"tickets:read{number}"} for number in range(30)]
    for number in range(30):
        server = body(identifier=f"https://tickets.example/{number}", scopes=["email:read", *own[: number + 1]])
        expect(201, developer.post("/resource-servers", server))
    with django_assert_num_queries(3):  # the API key, the servers, the scopes
        answer = developer.get("/resource-servers?limit=200")
    newest_first = [["email:read", *own[: number + 1]] for number in reversed(range(30))]
    assert [server["scopes"] for server in expect(200, answer)["items"]] == newest_first


def test_any_number_of_own_scopes_is_saved_by_three_statements(developer: Api) -> None:
    own = [{**OWN, "id": f"{prefix}:read{number}"} for prefix in ("tickets", "desks") for number in range(40)]
    with CaptureQueriesContext(connection) as captured:
        expect(201, developer.post("/resource-servers", body(scopes=own)))
    about = ("resources_customscope", "resources_scopeprefix")
    writing = [
        one["sql"] for one in captured if one["sql"].startswith("INSERT") and any(a in one["sql"] for a in about)
    ]
    assert len(writing) == 2
    sent = [one["sql"] for one in captured if any(name in one["sql"] for name in about)]
    assert len(sent) == 6  # the own scopes twice before, the prefixes twice, the scopes, and the scopes in the answer


def test_actions_stay_unless_they_are_sent(developer: Api) -> None:
    """A program that does not know the fields must not change what users have allowed."""
    actions = {"covers": ["tickets:list"], "excludes": ["tickets:close"]}
    server = expect(201, developer.post("/resource-servers", body(scopes=[{**OWN, **actions}])))
    path = f"/resource-servers/{server['id']}"
    assert expect(200, developer.patch(path, {"scopes": [OWN]}))["scopes"] == [{**OWN, **actions}]
    assert expect(200, developer.patch(path, {"scopes": [{**OWN, "covers": []}]}))["scopes"] == [
        {**OWN, "excludes": ["tickets:close"]}
    ]


@cases(
    "actions",
    [
        {"covers": ["email:send"]},
        {"covers": ["tickets:read"]},
        {"covers": ["close"]},
        {"excludes": ["desks:close"]},
        {"covers": ["tickets:close"], "excludes": ["tickets:close"]},
    ],
)
def test_actions_must_be_of_the_scopes_prefix_and_named_once(developer: Api, actions: dict[str, Any]) -> None:
    problem(
        developer.post("/resource-servers", body(scopes=[{**OWN, **actions}])), 400, "validation_failed", "scopes.0"
    )


def test_the_last_definition_of_a_scope_counts(developer: Api) -> None:
    scopes = [OWN, {**OWN, "title": "Later"}]
    assert expect(201, developer.post("/resource-servers", body(scopes=scopes)))["scopes"] == [
        {**OWN, "title": "Later"}
    ]


def test_servers_that_share_a_scope_share_what_is_shown_of_it(developer: Api, server: Json) -> None:
    expect(201, developer.post("/resource-servers", body(identifier=f"{IDENTIFIER}/2")))
    first, second = show_resource_servers(ResourceServer.objects.all())
    assert first.scopes[1] is second.scopes[1]


def test_a_scope_that_has_left_the_catalogue_cannot_be_asked_for(agent: Json, server: Json) -> None:
    ResourceServer.objects.update(scopes=["email:read", "fax:send"])
    Agent.objects.update(allowed_scopes=["email:read", "fax:send"])
    asked = {"clientId": agent["clientId"], "redirectUri": CALLBACK, "resource": server["identifier"]}
    refused = Api().post("/consent/initiate", {**asked, "requestedScopes": ["fax:send"]})
    problem(refused, 400, "invalid_scope", "requestedScopes.0")
    expect(201, Api().post("/consent/initiate", {**asked, "requestedScopes": ["email:read"]}))


def test_a_scope_that_has_left_the_catalogue_blocks_only_changes_that_name_it(developer: Api, server: Json) -> None:
    ResourceServer.objects.update(scopes=["email:read", "fax:send"])
    path = f"/resource-servers/{server['id']}"
    renamed = expect(200, developer.patch(path, {"name": "Renamed"}))
    assert (renamed["name"], renamed["scopes"]) == ("Renamed", ["email:read"])
    refused = problem(
        developer.patch(path, {"scopes": ["email:send", "fax:send"]}), 400, "validation_failed", "scopes.1"
    )
    assert refused["errors"][0]["message"] == "fax:send has left the catalogue. Leave it out."
    assert expect(200, developer.patch(path, {"scopes": ["email:send"]}))["scopes"] == ["email:send"]
    assert ResourceServer.objects.get().scopes == ["email:send"]
