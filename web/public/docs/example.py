"""A request of the API as a curl command."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from django.conf import settings

from web.public.docs.openapi import reference_in, schemas
from web.public.docs.reference import Operation

HEADERS = {
    "apiKey": '-H "X-Api-Key: $AGENTGATE_API_KEY"',
    "sessionToken": '-H "Authorization: Bearer $SESSION_TOKEN"',
    "basic": '--user "$CLIENT_ID:$CLIENT_SECRET"',
}
VALUES = {"string": "...", "integer": 1, "number": 1, "boolean": True, "object": {}, "null": None}
INDENT = " \\\n  "


def curl(operation: Operation) -> str:
    """Return the command. Ids and credentials are variables of the shell."""
    return INDENT.join(_lines(operation))


def _lines(operation: Operation) -> Iterator[str]:
    method = "" if operation.method == "get" else f"-X {operation.method.upper()} "
    path = re.sub(r"{(\w+)}", lambda match: f"${match[1].upper()}", operation.path)
    query = "&".join(f"{name}={_placeholder(each)}" for name, each in _required(operation, "query"))
    yield f'curl {method}"{settings.API_URL}{path}{"?" if query else ""}{query}"'
    accepted = [name for kinds in operation.source.get("security", ()) for name in kinds if name in HEADERS]
    if accepted:
        yield HEADERS[accepted[0]]
    for name, each in _required(operation, "header"):
        yield f'-H "{name}: {_placeholder(each)}"'
    if operation.body:
        yield '-H "Content-Type: application/json"'
        yield f"-d '{json.dumps(_body(operation.body), indent=2, ensure_ascii=False)}'"


def _required(operation: Operation, place: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for each in operation.source.get("parameters", ()):
        if each["in"] == place and each.get("required"):
            yield each["name"], each["schema"]


def _placeholder(schema: Mapping[str, Any]) -> Any:
    return schema.get("enum", ["..."])[0]


def _body(content: Mapping[str, Any]) -> Any:
    """Return the example of the document, or else one with the required fields."""
    for example in content.get("examples", {}).values():
        return example["value"]
    return _value(content["schema"])


def _value(schema: Mapping[str, Any]) -> Any:
    """Return a value for the schema. An object has its required fields."""
    if name := reference_in(schema):
        schema = schemas()[name]
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    if schema.get("enum"):
        return schema["enum"][0]
    if schema.get("type") == "array":
        return [_value(schema.get("items", {}))]
    options = schema.get("anyOf") or schema.get("oneOf")
    if options:
        return _value(options[0])
    properties = schema.get("properties", {})
    if properties:
        return {each: _value(properties[each]) for each in schema.get("required", ())}
    return VALUES.get(schema.get("type", ""), "...")
