"""The WSGI environment of a request (PEP 3333)."""

import sys
from collections.abc import Iterator
from functools import lru_cache, partial
from io import BytesIO
from typing import Any
from urllib.parse import unquote_to_bytes

from core.messages import Request
from server.front.bounds import FILE_CHUNK


class File:
    """A file that is read in pieces. WSGI calls this `wsgi.file_wrapper`."""

    streaming = True

    def __init__(self, file: Any, block_size: int = 0) -> None:
        self._file = file
        self.close = getattr(file, "close", lambda: None)

    def __iter__(self) -> Iterator[bytes]:
        return iter(partial(self._file.read, FILE_CHUNK), b"")


def make_environ(request: Request, port: str) -> dict[str, Any]:
    """Return the environment. `port` is the server's."""
    environ = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": _decoded(request.path),
        "QUERY_STRING": request.query,
        "SERVER_NAME": "localhost",  # the host of a request without a Host header
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": f"HTTP/{request.http_version}",
        "REMOTE_ADDR": request.peer,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": request.scheme,
        "wsgi.input": BytesIO(request.body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": File,
    }
    for name, value in request.headers.items():
        environ[_variable(name)] = value
    environ["CONTENT_LENGTH"] = str(len(request.body)) if request.body else environ.get("CONTENT_LENGTH", "")
    return environ


@lru_cache(512)
def _variable(name: str) -> str:
    variable = name.upper().replace("-", "_")
    return variable if variable in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{variable}"


def _decoded(path: str) -> str:
    """Return the decoded path, one character per byte."""
    return unquote_to_bytes(path).decode("latin-1") if "%" in path else path
