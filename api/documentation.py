"""The OpenAPI document with its introduction, and the page of the error codes."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import translation
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer2
from drf_spectacular.views import SpectacularJSONAPIView
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from api.endpoint import AlwaysJson
from api.field_descriptions import describe_fields
from api.operations import ErrorType
from api.schema import SECURITY_SCHEMES
from audit.events import Event
from core.errors import DomainError
from decisions.requests import Reason

CONVENTIONS = """
AgentGate answers one question: may this agent do this, for this user, now?

**Conventions.** Requests and responses are JSON in UTF-8 with camelCase names; a request body must be
`application/json`. Times are RFC 3339 in UTC with `Z`. Durations are whole seconds. Ids are opaque strings with a type
prefix. Lists take `limit` and `cursor` and return `items` and `nextCursor`. An unknown field, or an unknown query
parameter of a list, is a 400 that names it. A request body is at most 2 MiB and 32 levels deep, has no duplicate names
in an object, no whole number above 2^53-1 and no fraction with more digits than a double holds.

**Credentials.** Developers send `X-Api-Key`. Users, who can be developers too, send a session token as
`Authorization: Bearer st_...`, or use the browser session with its CSRF token in `X-CSRFToken`. Agents send their
client credentials in the body or as HTTP Basic. Resource servers use HTTP Basic. A wrong credential is a 401, even
where the credential is optional. `X-Api-Key` together with `Authorization` is also a 401 (`multiple_credentials`);
client credentials in two places are a 400 (`invalid_request`). If either header is sent, the browser session is
ignored. Credentials in a query string are ignored, and so are credentials sent to an endpoint that does not take any.

**Organizations.** An API key acts for its own organization. A session acts for the organization that `X-Organization`
names by its id, or for the only one of its user. Without the header, a member of several gets a 400
(`organization_required`). Naming an organization without being its member is a 403 (`not_member`), also if it does not
exist. What a member or a key may do depends on its role: otherwise the response is a 403 (`role_insufficient`) that
names the roles that may, and the organization's log has it. An API key can be limited to some agents (`key_limited`).

**Email addresses** are compared in lower case after NFKC normalization, with the domain in A-labels. If the server
requires verified addresses (`REQUIRE_VERIFIED_EMAIL`), registration returns 202, and the account is created when the
emailed code is confirmed. An older account whose address was never verified gets a 403 (`email_unverified`) from
endpoints that require an API key or a developer's session, and when it approves a consent.

**Errors** are problem details (RFC 9457). Objects that do not exist and objects of others both return 404.

**Idempotency.** Every POST that creates or rotates accepts an `Idempotency-Key`. A request with the same key, path,
credential and body gets the stored response for 24 hours: 60 seconds for an exchange or a refresh, and for a login as
long as its session. The same key with another body is a 409. Only successful responses are stored.
"""


class OpenApiDocument(SpectacularJSONAPIView):
    """Serve the document to anyone. It is generated once per process, because that takes a second."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    content_negotiation_class = AlwaysJson
    renderer_classes = (OpenApiJsonRenderer2,)

    def _get_schema_response(self, request: Request) -> Response:
        return Response(_document(), headers={"Cache-Control": "public, max-age=300"})


@require_safe
def documentation(request: HttpRequest) -> HttpResponse:
    """Redirect to the pages that show the document."""
    return redirect("web:api-reference")


@require_safe
def errors_page(request: HttpRequest) -> HttpResponse:
    """Show the meaning and the remedy of each error code. The `type` of a problem links here."""
    # Templates call classes, so pass their attributes.
    rows = [(error.code, error.status, error.title, error.remedy) for error in known_errors()]
    return render(request, "api/errors.html", {"rows": rows})


def complete_document(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Add the introduction, the security schemes, the tags, the lists, and the descriptions of fields."""
    result["components"]["securitySchemes"] = SECURITY_SCHEMES
    result["info"]["description"] = CONVENTIONS.strip() + "\n\n" + "\n\n".join(_lists())
    names = sorted({operation["tags"][0] for path in result["paths"].values() for operation in path.values()})
    describe_fields(result)
    result["tags"] = [{"name": name} for name in names]
    return result


def known_errors() -> list[ErrorType]:
    """Return every error that the API can return, sorted by code and status."""
    return sorted(_descend(DomainError), key=lambda error: (error.code, error.status, error.title))


@cache
def _document() -> Any:
    with translation.override("en"):
        return SchemaGenerator().get_schema(request=None, public=True)


def _descend(error: ErrorType) -> Iterator[ErrorType]:
    for child in error.__subclasses__():
        if "code" in vars(child):
            yield child
        yield from _descend(child)


def _lists() -> Iterator[str]:
    codes = [f"| `{error.code}` | {error.status} | {error.title} |" for error in known_errors()]
    yield "**Error codes**\n\n| code | status | meaning |\n|---|---|---|\n" + "\n".join(codes)
    yield "**Denial reasons**. A decision has the first that applies: " + _listed(Reason)
    yield "**Log events**: " + _listed(Event)


def _listed(values: Any) -> str:
    return ", ".join(f"`{value.value}`" for value in values) + "."
