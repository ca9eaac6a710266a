"""An HTTP request and its reply, independent of Django. The front reads and bounds a request before it makes one."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Request(NamedTuple):
    """A complete request.

    `path` and `query` are as sent, percent-encoded. `headers` have lower-case names; one that appeared several times is
    joined. `peer` is the address of the socket's other end, and `scheme` that of the socket, before any proxy's headers
    are considered.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    peer: str
    scheme: str = "http"
    http_version: str = "1.1"


class Reply(NamedTuple):
    """A complete response. The front adds `Content-Length`, `Date` and `Connection`.

    `lines` are further headers as they are sent, X-Request-Id among them. Their author has checked that they are safe.
    """

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes = b""
    lines: str = ""


# In the WSGI environment: the front can keep the request while it waits. No header of a client can set it.
MAY_PARK = "agentgate.may_park"
# A response header that only the front sees. It has the id of the approval to watch, and for how many seconds.
PARK = "X-AgentGate-Park"
# In the WSGI environment: decides questions in the event loop, with those of all other requests.
DECIDE = "agentgate.decide"


class NotDirect(Exception):
    """The event loop cannot answer a request completely, so Django answers it."""
