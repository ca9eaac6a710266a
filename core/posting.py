"""Send something to a URL that someone else chose, from an event loop, without reaching our own network.

As `core.fetching` does: the host is looked up at each try, its addresses are checked by the same code, and the
connection goes to one of those. There are no redirects, no cookies and no proxies, and no connection is used twice. A
lookup runs in a thread of its own, because nothing ends one that hangs. Then it keeps one of many slots for as long
as the system's resolver takes, and the try ends in time nevertheless.
"""

import asyncio
import ssl
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack, suppress
from enum import StrEnum
from threading import BoundedSemaphore
from typing import Any, NamedTuple

import httpcore

from core import fetching
from core.fetching import AddressRefused, FetchFailed, TooManyFetches
from core.net import Address
from core.uris import host_of

# For lookups that hang, besides those of the tries in flight. Each is a thread that sleeps.
MAX_LOOKUPS = 256
# Of an answer with its headers, and with what a receiver sends before it, which can be any number of interim answers.
MAX_RECEIVED = 32 * 1024

type May = Callable[[Address], bool]
type Admit = Callable[[str], None]


class Failure(StrEnum):
    """Why there is no answer."""

    TIMEOUT = "timeout"
    NO_ADDRESS = "no_address"
    ADDRESS_REFUSED = "address_refused"
    TLS = "tls"
    CONNECTION = "connection"
    PROTOCOL = "protocol"


class NoAnswer(Exception):
    """There was no answer, or none that is HTTP."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.failure = failure


class Answer(NamedTuple):
    """The beginning of an answer. `retry_after` is the header, or empty."""

    status: int
    retry_after: str
    content: bytes


class Poster:
    """Sends from one event loop."""

    def __init__(self) -> None:
        self._context = fetching.tls_context()
        self._lookups = BoundedSemaphore(MAX_LOOKUPS)

    async def post(
        self,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        *,
        seconds: float,
        max_bytes: int,
        may_reach: May,
        admit: Admit,
    ) -> Answer:
        """Send the body to a URL in canonical form, and return what is answered, all within `seconds`.

        `admit` gets each address before it is connected to, and what it raises is raised here. Raises `NoAnswer`, and
        `TooManyFetches` if too many lookups hang.
        """
        backend = _Backend(self._lookups, may_reach, admit)
        sent = [*{**_HEADERS, "Host": host_of(url), **headers}.items()]
        deadline = asyncio.get_running_loop().time() + seconds
        try:
            async with AsyncExitStack() as stack:
                async with asyncio.timeout_at(deadline):
                    pool = await stack.enter_async_context(
                        httpcore.AsyncConnectionPool(self._context, max_connections=1, network_backend=backend)
                    )
                    response = await stack.enter_async_context(pool.stream("POST", url, headers=sent, content=body))
                content = await _start(response, max_bytes, deadline)
                return Answer(response.status, _retry_after(response), content)
        except AddressRefused as error:
            raise NoAnswer(Failure.ADDRESS_REFUSED) from error
        except (FetchFailed, UnicodeError) as error:
            raise NoAnswer(Failure.NO_ADDRESS) from error
        except (*_BROKEN, OSError) as error:  # a timeout is an `OSError`
            raise NoAnswer(_failure(error)) from error


_BROKEN = (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError)
_HEADERS = {"Accept": "*/*", "Accept-Encoding": "identity", "Connection": "close"}


class _LookupFailed(FetchFailed):
    """The system's resolver found nothing."""


class _Backend(httpcore.AsyncNetworkBackend):
    """Connects to an address of the host that was checked. TLS checks the name of the host, which httpcore keeps."""

    def __init__(self, lookups: BoundedSemaphore, may_reach: May, admit: Admit) -> None:
        self._lookups, self._may_reach, self._admit = lookups, may_reach, admit
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        failure: Exception = OSError("no address")
        for address in (await self._addresses(host))[: fetching.MAX_ADDRESSES]:
            self._admit(address)
            try:
                return _Bounded(await self._network.connect_tcp(address, port, timeout))
            except httpcore.ConnectError as error:
                failure = error
        raise failure

    async def _addresses(self, host: str) -> list[str]:
        def look_up() -> list[str]:
            try:
                return fetching.checked_addresses(host, self._may_reach)
            except OSError as error:
                raise _LookupFailed(str(error)) from error

        started = fetching.start_in_slot(look_up, slots=self._lookups, busy=TooManyFetches())
        return await asyncio.wrap_future(started)


class _Bounded(httpcore.AsyncNetworkStream):
    """A connection from which only so much is read. What is parsed keeps the event loop from all other tries."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._left = MAX_RECEIVED

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if not self._left:
            raise httpcore.RemoteProtocolError("the answer is too long")
        read = await self._stream.read(min(max_bytes, self._left), timeout)
        self._left -= len(read)
        return read

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        return _Bounded(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


async def _start(response: httpcore.Response, max_bytes: int, deadline: float) -> bytes:
    """Return the first bytes of the content that arrive in time. The rest is not read."""
    content = b""
    with suppress(*_BROKEN, TimeoutError):  # the status has been received, and says whether it was accepted
        async with asyncio.timeout_at(deadline):
            async for part in response.aiter_stream():
                content += part
                if len(content) >= max_bytes:
                    break
    return content[:max_bytes]


def _retry_after(response: httpcore.Response) -> str:
    return next((value.decode("latin-1") for name, value in response.headers if name.lower() == b"retry-after"), "")


def _failure(error: BaseException | None) -> Failure:
    if isinstance(error, TimeoutError | httpcore.TimeoutException):
        return Failure.TIMEOUT
    if isinstance(error, httpcore.ProtocolError):
        return Failure.PROTOCOL
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return Failure.TLS
        error = error.__cause__ or error.__context__
    return Failure.CONNECTION
