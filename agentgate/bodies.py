"""Request bodies that are refused before any view sees them: of unknown length, too long, or with files.

A body without a length reaches Django as an empty one, so an approval of one scope would read as an approval of all.
"""

from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings
from django.core.exceptions import BadRequest
from django.core.files.uploadhandler import FileUploadHandler
from django.http import HttpRequest, HttpResponse, JsonResponse

from agentgate.draining import declared_length
from api.parsers import MalformedRequest, PayloadTooLarge
from api.problems import MEDIA_TYPE, LengthRequired, describe
from core.errors import DomainError
from oauth.errors import OAuthError, error_response


class DeclaredLengthMiddleware:
    """Refuse a body of unknown length (411) or beyond the limit (413), on every path, before anything is decided."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        error = _problem_with_length(request.META)
        return self.get_response(request) if error is None else _refuse(request, error)


class RefuseFiles(FileUploadHandler):
    """Refuse every uploaded file: no form takes one. Nothing is written to disk."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        raise BadRequest("No form here takes a file.")


def _problem_with_length(environ: Mapping[str, Any]) -> DomainError | None:
    if "HTTP_TRANSFER_ENCODING" in environ:
        return LengthRequired("Send the body with a Content-Length, not chunked.")
    length = declared_length(environ)
    if length is None:
        return MalformedRequest("Content-Length must be a whole number.")
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    return PayloadTooLarge(f"At most {limit} bytes.") if length > limit else None


def _refuse(request: HttpRequest, error: DomainError) -> HttpResponse:
    """Return the refusal in the words of the surface that was asked."""
    if request.path.startswith("/oauth/"):
        return error_response(OAuthError("invalid_request", error.detail, error.status))
    headers = {"Cache-Control": "no-store"}
    return JsonResponse(describe(error, request), status=error.status, content_type=MEDIA_TYPE, headers=headers)
