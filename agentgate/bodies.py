"""Refuse uploaded files. The front has bounded the body and read it completely (`agentgate/front/`)."""

from typing import Any

from django.core.exceptions import BadRequest
from django.core.files.uploadhandler import FileUploadHandler


class RefuseFiles(FileUploadHandler):
    """Refuse uploaded files, because no form accepts any. Nothing is written to disk."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        raise BadRequest("File uploads are not accepted.")
