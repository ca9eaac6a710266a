"""Refuse request bodies before any view reads them: those of unknown length, those that are too long, and files.

Django reads a body without a length as an empty one, so approving one scope would approve all of them.
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
    """Refuse bodies of unknown length (411) and bodies over the limit (413), on every path."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        error = _problem_with_length(request.META)
        return self.get_response(request) if error is None else _refuse(request, error)


class RefuseFiles(FileUploadHandler):
    """Refuse uploaded files, because no form accepts any. Nothing is written to disk."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        raise BadRequest("File uploads are not accepted.")


def _problem_with_length(environ: Mapping[str, Any]) -> DomainError | None:
    if "HTTP_TRANSFER_ENCODING" in environ:
        return LengthRequired("Send a Content-Length header instead of Transfer-Encoding.")
    length = declared_length(environ)
    if length is None:
        return MalformedRequest("Content-Length must be a whole number.")
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    return PayloadTooLarge(f"At most {limit} bytes.") if length > limit else None


def _refuse(request: HttpRequest, error: DomainError) -> HttpResponse:
    """Return the error in the format of the OAuth endpoints or of the JSON API."""
    if request.path.startswith("/oauth/"):
        return error_response(OAuthError("invalid_request", error.detail, error.status))
    headers = {"Cache-Control": "no-store"}
    return JsonResponse(describe(error, request), status=error.status, content_type=MEDIA_TYPE, headers=headers)
