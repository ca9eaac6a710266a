"""The API reference: docs/openapi.json as Markdown. An operation shows its own part of the document."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from itertools import groupby
from typing import Any

from django.utils.safestring import SafeString

from web.public.docs.markdown import Document, render
from web.public.docs.pages import REFERENCE

type Json = Mapping[str, Any]

METHODS = ("get", "post", "put", "patch", "delete")
CREDENTIALS = {
    "apiKey": "API key",
    "sessionToken": "session",
    "browserSession": "session",
    "basic": "client credentials",
}
METHOD = re.compile(rf"<code>({'|'.join(METHODS)})</code>", re.IGNORECASE)
PATH = re.compile(r"(?<=<code>/)[^<]+(?=</code></li>)")
BASE = "/api/v1"
ERROR = re.compile(r"`(\w+)`: ([^;]+)")
WHOLE = "The whole document is at [/api/v1/openapi.json](/api/v1/openapi.json)."


@cache
def operations() -> Mapping[str, tuple[str, str, Json]]:
    """Return the method, the path and the description of each operation, by its id."""
    return {
        each["operationId"]: (method.upper(), path, each)
        for path, methods in _openapi()["paths"].items()
        for method, each in methods.items()
        if method in METHODS
    }


def credentials(operation: Json) -> str:
    """Return the ways in which a caller may authenticate, such as "API key or session"."""
    kinds = operation.get("security", [{}])
    names = " or ".join(dict.fromkeys(CREDENTIALS[name] for kind in kinds for name in kind))
    # Client credentials may also be in the body, which this list does not show.
    is_optional = {} in kinds and {"basic": []} not in kinds
    return f"{names}, optional" if names and is_optional else names or "none"


@cache
def listing() -> Document:
    """Return the page that lists all operations and the conventions. Methods have a class, and long paths can break."""
    document = render("\n\n".join(_listed()), lambda target: target)
    html = METHOD.sub(lambda found: f'<code class="method method--{found[1].lower()}">{found[1]}</code>', document.html)
    html = PATH.sub(lambda found: found[0].replace("/", "/<wbr>"), html)
    return replace(document, html=SafeString(html))


def operation(name: str) -> Document | None:
    """Return the page of an operation, or None if there is none with this id."""
    return _operation(name) if name in operations() else None


def _listed() -> Iterator[str]:
    yield f"# API reference\n\n{WHOLE} [Error codes](/api/docs/errors) says what to do about each error."
    yield f"All paths begin with `{BASE}`."
    groups: dict[str, list[tuple[str, tuple[str, str, Json]]]] = {}
    for each in operations().items():
        groups.setdefault(each[1][2]["tags"][0], []).append(each)
    titles = {tag: tag.replace("-", " ").capitalize() for tag in sorted(groups)}
    yield " · ".join(f"[{title}](#{tag})" for tag, title in titles.items())
    for tag, title in titles.items():
        yield f"## {title}"
        same = groupby(groups[tag], key=lambda each: (each[1][2]["summary"], each[1][1].removeprefix(BASE)))
        yield "\n".join(_row(summary, path, {name: each[0] for name, each in found}) for (summary, path), found in same)
    # Error codes, reasons and events, which follow the conventions, have pages of their own.
    yield f"## Conventions\n\n{_openapi()['info']['description'].partition('**Error codes**')[0]}"


def _row(summary: str, path: str, methods: Mapping[str, str]) -> str:
    """Return the entry of an operation, or of several that differ in the method only."""
    first, links = next(iter(methods)), [f"[`{each}`](/docs/api-reference/{name})" for name, each in methods.items()]
    shown = f"*{' '.join(links)}*" if len(links) > 1 else f"`{methods[first]}`"
    return f"- {shown} [{summary}](/docs/api-reference/{first})\\\n  `{path}`"


@cache
def _operation(name: str) -> Document:
    method, path, source = operations()[name]
    heading = f"# {source['summary']}\n\n`{method} {path}`"
    parts = (heading, source.get("description", ""), *_parts(source), WHOLE)
    return render("\n\n".join(parts), lambda target: target)


def _parts(source: Json) -> Iterator[str]:
    yield f"Credential: {credentials(source)}."
    if parameters := source.get("parameters"):
        yield f"## Parameters\n\n{_code(parameters)}"
    if body := source.get("requestBody"):
        yield f"## Request body\n\n{_code(body['content'])}"
    answers = {status: each for status, each in source["responses"].items() if status < "400"}
    yield f"## Response\n\n{_code({status: each.get('content', {}) for status, each in answers.items()})}"
    yield "## Errors"
    for status, each in source["responses"].items():
        if status not in answers:
            found = ERROR.findall(each["description"])
            yield "\n".join(f"- {status} [`{code}`](/api/docs/errors#{code}): {meaning}" for code, meaning in found)


def _code(part: Any) -> str:
    return f"```json\n{json.dumps(_resolved(part), indent=1, ensure_ascii=False)}\n```"


def _resolved(part: Any, above: tuple[str, ...] = ()) -> Any:
    """Replace each reference with its schema, except within that schema."""
    if isinstance(part, list):
        return [_resolved(each, above) for each in part]
    if not isinstance(part, dict):
        return part
    name = str(part.get("$ref", "")).rpartition("/")[2]
    if name and name not in above:
        return _resolved({**_openapi()["components"]["schemas"][name], **_without("$ref", part)}, (*above, name))
    return {key: _resolved(value, above) for key, value in part.items()}


def _without(key: str, part: Json) -> Json:
    return {each: value for each, value in part.items() if each != key}


@cache
def _openapi() -> Json:
    found: Json = json.loads(REFERENCE.read_text())
    return found
