"""An HTTP request and its reply, independent of Django. The front reads and bounds a request before it makes one."""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, NamedTuple

from core.actor import Actor


class Request(NamedTuple):
    """A complete request.

    `path` and `query` are as sent, percent-encoded. `headers` have lower-case names; one that appeared several times is
    joined. `peer` is the address of the socket's other end, and `scheme` that of the socket, before any proxy's headers
    are considered. Requests of a connection with the same head share a `memo` (`once_per_head`).
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    peer: str
    scheme: str = "http"
    http_version: str = "1.1"
    memo: dict[Any, Any] | None = None


def once_per_head[T](find: Callable[[Request], T]) -> Callable[[Request], T]:
    """Decorate a function of a request: it is called once while a connection repeats the same head.

    Danger: it may depend on the head, the peer and the settings, but neither on the body nor on anything that changes.
    """

    @wraps(find)
    def found(request: Request) -> T:
        memo = request.memo
        if memo is None:
            return find(request)
        if find not in memo:
            memo[find] = find(request)
        known: T = memo[find]
        return known

    return found


class Reply(NamedTuple):
    """A complete response. The front adds `Content-Length`, `Date` and `Connection`.

    `lines` are further headers as they are sent, X-Request-Id among them. Their author has checked that they are safe.
    """

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes = b""
    lines: str = ""


class ThreadWork(NamedTuple):
    """What a thread does to answer a request, and the client that the request names, or "". Nothing has proved it."""

    client_id: str
    run: Callable[[], Reply]


class ThreadEndpoint(NamedTuple):
    """An endpoint that threads of the front answer, without Django's middleware and REST framework.

    `read` returns what a thread does to answer a request. It is called in the event loop, so it must not block. It
    raises any error if Django must answer. `fail` returns the reply to an error of the thread, with the request's id.
    `headers` are those of all replies.
    """

    read: Callable[[Request, Actor], ThreadWork]
    fail: Callable[[BaseException, Request, str], Reply]
    headers: Sequence[tuple[str, str]]


class Mark(NamedTuple):
    """What a request waits for, and for how many seconds, at most 99.

    `about` is what the watch of this kind understands: the id of an approval, or JSON. At most `MAX_PARKED_BY_OWNER`
    requests of an owner are kept, unless it is empty.
    """

    kind: str
    about: str
    seconds: int
    owner: str = ""

    def encode(self) -> str:
        return f"{self.kind} {self.seconds} {self.owner} {self.about}"

    @classmethod
    def decode(cls, encoded: str) -> "Mark | None":
        """Return the mark, or None if this is not one."""
        kind, seconds, owner, about = (*encoded.split(" ", 3), "", "", "")[:4]
        is_mark = kind and about and len(seconds) <= 2 and seconds.isdecimal()
        return cls(kind, about, int(seconds), owner) if is_mark else None


APPROVAL, EVENTS, REVOCATIONS = "approval", "events", "revocations"

# In the WSGI environment: the front can keep the request while it waits. No header of a client can set it.
MAY_PARK = "agentgate.may_park"
# A response header that only the front sees. It has a `Mark`.
PARK = "X-AgentGate-Park"
# In the WSGI environment: decides questions in the event loop, with those of all other requests.
DECIDE = "agentgate.decide"


class NotDirect(Exception):
    """The event loop cannot answer a request completely, so Django answers it."""
