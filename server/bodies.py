"""Refuse uploaded files. The front has read the body completely, within bounds (`server/front/`)."""

from typing import Any

from django.core.exceptions import BadRequest
from django.core.files.uploadhandler import FileUploadHandler
from django.http.multipartparser import MultiPartParserError

# Reading the headers of its parts can take a millisecond per kilobyte. Browsers send our forms URL-encoded.
MAX_MULTIPART = 64 * 1024


class RefuseFiles(FileUploadHandler):
    """Refuse uploaded files, because no form accepts any, and long multipart forms. Nothing is written to disk."""

    def handle_raw_input(  # of one of its parameters, Django's name is in capitals
        self,
        input_data: Any,
        META: Any,  # noqa: N803
        content_length: int,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        if content_length > MAX_MULTIPART:
            raise MultiPartParserError("Send long forms as application/x-www-form-urlencoded.")

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        raise BadRequest("File uploads are not accepted.")
