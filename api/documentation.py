"""The document itself, the page that shows it, and the words that stand above all endpoints."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import translation
from django.utils.csp import CSP
from django.utils.decorators import method_decorator
from django.views.decorators.csp import csp_override
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer2
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerSplitView
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from api.endpoint import AlwaysJson
from api.operations import ErrorType
from api.schema import SECURITY_SCHEMES
from audit.events import Event
from core.errors import DomainError
from decisions.requests import Reason

CONVENTIONS = """
AgentGate answers one question: may this agent do this, for this person, now?

**Conventions.** JSON in and out, camelCase, UTF-8; a body is `application/json`. Times are RFC 3339 in UTC with `Z`,
durations whole seconds. Ids are opaque and carry their type as a prefix. Lists take `limit` and `cursor` and answer
`items` and `nextCursor`. An unknown field, or an unknown query parameter of a list, is a 400 that names it. A whole
number is at most 2^53-1, a body at most 2 MiB and 32 levels deep, and no name stands in an object twice.

**Credentials.** A developer sends `X-Api-Key`; a person, who may be a developer too, a session token as
`Authorization: Bearer st_...`, or the browser's session with its CSRF token in `X-CSRFToken`; an agent its client
credentials in the body or as HTTP Basic; a resource server HTTP Basic. A wrong credential is a 401 even where none is
needed. So is `X-Api-Key` together with `Authorization` (`multiple_credentials`); client credentials in two places are
a 400 (`invalid_request`). Beside either header the browser's cookie is not looked at. A credential in a query string is
never read. Endpoints that ask for no credential do not look at one.

**Addresses.** E-mail addresses are compared after NFKC, in lower case, their domain in A-labels. Where the server
demands proof (`REQUIRE_VERIFIED_EMAIL`), registering answers 202 and no account exists before the mailed code has come
back. An account older than that gets 403 `email_unverified` from what needs an API key or a developer's session, and
where it would approve a consent.

**Refusals** are problem details (RFC 9457). What is absent and what is somebody else's look alike: 404.

**Repeating.** Every POST that creates or rotates takes an `Idempotency-Key`: the same key, path, credential and body
give the stored answer, for 24 hours; for 60 seconds for an exchange or a refresh; for a login as long as its session.
The same key with another body is a 409. Only a success is stored.
"""

DOCUMENT_CSP = {
    **settings.SECURE_CSP,
    # Swagger UI paints itself with style attributes and shows its icons from data: URLs.
    "style-src": [CSP.SELF, CSP.UNSAFE_INLINE],
    "img-src": [CSP.SELF, "data:"],
}


class OpenApiDocument(SpectacularJSONAPIView):
    """Serves the document to anybody. It is made once a process: making it takes a second."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    content_negotiation_class = AlwaysJson
    renderer_classes = (OpenApiJsonRenderer2,)

    def _get_schema_response(self, request: Request) -> Response:
        return Response(_document(), headers={"Cache-Control": "public, max-age=300"})


@method_decorator(csp_override(DOCUMENT_CSP), name="dispatch")
class DocumentationPage(SpectacularSwaggerSplitView):
    """Shows the document."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    url_name = "openapi"


def errors_page(request: HttpRequest) -> HttpResponse:
    """Show what each `code` means: where the `type` of a problem leads."""
    # A template would call the classes.
    rows = [(error.code, error.status, error.title, error.remedy) for error in known_errors()]
    return render(request, "api/errors.html", {"rows": rows})


def complete_document(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Add what no endpoint says by itself: the conventions, and the lists of codes, events and reasons."""
    result["components"]["securitySchemes"] = SECURITY_SCHEMES
    result["info"]["description"] = CONVENTIONS.strip() + "\n\n" + "\n\n".join(_lists())
    names = sorted({operation["tags"][0] for path in result["paths"].values() for operation in path.values()})
    result["tags"] = [{"name": name} for name in names]
    return result


def known_errors() -> list[ErrorType]:
    """Return every error that can be answered, by code and status."""
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
    yield "**Reasons of a denial**, the first that applies: " + _listed(Reason)
    yield "**Events of the log**: " + _listed(Event)


def _listed(values: Any) -> str:
    return ", ".join(f"`{value.value}`" for value in values) + "."
