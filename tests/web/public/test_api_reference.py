"""The API reference shows the whole OpenAPI document."""

import json
import re

import pytest

from api.documentation import known_errors
from tests.live.server import ROOT
from tests.web.markup import text_of
from web.public.docs.example import curl
from web.public.docs.reference import callers, operations

DOCUMENT = json.loads((ROOT / "docs" / "openapi.json").read_text())
OPERATIONS = [
    (method, path, source) for path, methods in DOCUMENT["paths"].items() for method, source in methods.items()
]


@pytest.fixture(autouse=True)
def database(db):
    """The layout of every page reads the session."""


@pytest.mark.parametrize(("method", "path", "source"), OPERATIONS, ids=[each[2]["operationId"] for each in OPERATIONS])
def test_an_operation_has_a_page_with_all_of_it(client, method, path, source):
    text = text_of(client, f"/docs/api-reference/{source['operationId']}")
    assert f"<b>{method.upper()}</b> {path}" in text
    assert source["summary"] in text
    for parameter in source.get("parameters", ()):
        assert f">{parameter['name']}</code>" in text
    for name in names_in({key: source.get(key) for key in ("requestBody", "responses")}, success_only=True):
        assert f">{name}</code>" in text
    for code in re.findall(r"`(\w+)`: ", " ".join(each["description"] for each in source["responses"].values())):
        assert f'href="/api/docs/errors#{code}"' in text


def names_in(schema, *, success_only=False, above=()):
    """Return the names of all fields, also of the schemas that are referred to."""
    if isinstance(schema, list):
        return {name for each in schema for name in names_in(each, above=above)}
    if not isinstance(schema, dict):
        return set()
    if success_only:
        answers = {status: each for status, each in schema["responses"].items() if status < "400"}
        schema = {"body": schema["requestBody"], "answers": [each.get("content") for each in answers.values()]}
    reference = schema.get("$ref", "").rpartition("/")[2]
    if reference and reference not in above:
        return names_in(DOCUMENT["components"]["schemas"][reference], above=(*above, reference))
    found = set(schema.get("properties", ()))
    parts = [value for key, value in schema.items() if key not in ("properties", "examples", "default")]
    return found | names_in([*parts, *schema.get("properties", {}).values()], above=above)


def test_the_index_links_to_every_operation(client):
    text = client.get("/docs/api-reference").content.decode()
    for _, path, source in OPERATIONS:
        assert f'href="/docs/api-reference/{source["operationId"]}"' in text
        assert path in text
    assert "RFC 9457" in text


def test_an_unknown_operation_is_not_found(client):
    assert client.get("/docs/api-reference/nothing").status_code == 404


@pytest.mark.parametrize(
    ("operation", "sentence"),
    [
        ("createAgent", "Developers, with an API key or their session."),
        ("approveConsent", "The signed-in user, with a session."),
        ("exchangeCode", "The agent, with its client credentials in the body or as HTTP Basic."),
        ("verifyToken", "Anyone. Client credentials are optional, unless the server requires them."),
        ("getApproval", "The agent or the resource server, with its client credentials, and the signed-in user."),
        ("getConsent", "Anyone. A credential makes more visible."),
        ("getHealth", "Anyone. No credential is required."),
    ],
)
def test_a_page_says_who_may_call(client, operation, sentence):
    assert callers(operations()[operation]) == sentence
    assert sentence in client.get(f"/docs/api-reference/{operation}").content.decode()


def test_the_example_is_a_command_with_a_body():
    lines = curl(operations()["verifyToken"]).split(" \\\n  ")
    assert lines[:2] == [
        'curl -X POST "http://localhost:8000/api/v1/tokens/verify"',
        '--user "$CLIENT_ID:$CLIENT_SECRET"',
    ]
    assert json.loads(lines[-1].removeprefix("-d '").removesuffix("'"))["requiredScopes"] == ["email:send"]
    assert curl(operations()["getAgent"]).splitlines() == [
        'curl "http://localhost:8000/api/v1/agents/$AGENT_ID" \\',
        '  -H "X-Api-Key: $AGENTGATE_API_KEY"',
    ]


@pytest.mark.parametrize("operation", operations().values(), ids=lambda operation: operation.id)
def test_every_example_has_valid_json(operation):
    body = curl(operation).partition("-d '")[2]
    assert "'" not in body.removesuffix("'")
    assert bool(body) == bool(operation.body)
    if body:
        json.loads(body.removesuffix("'"))


def test_the_alternatives_of_a_field_are_named():
    rules = next(field for field in operations()["createPolicy"].body_field.fields if field.name == "rules")
    assert {"rate_limit", "time_window", "cedar"} <= {field.name for field in rules.fields}
    limit = next(field for field in rules.fields if field.name == "rate_limit")
    config = next(field for field in limit.fields if field.name == "config")
    assert next(field for field in config.fields if field.name == "maxRequests").facts == ("1 to 1000000",)


def test_the_page_of_errors_has_an_anchor_for_each_code(client):
    text = client.get("/api/docs/errors").content.decode()
    assert all(f'id="{error.code}"' in text for error in known_errors())
