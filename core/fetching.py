"""Fetch a small file from a host that someone else chose, without reaching our own network.

Only https is spoken. The host is looked up once, all its addresses must be public, and the connection goes
to one of those. There are no redirects. The file has a limit, and the whole fetch a deadline. The lookup and the
connection run in a thread of their own, because neither has a deadline of its own, and few of them run at once.
"""

import socket
import ssl
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from http.client import HTTPException, HTTPSConnection
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from threading import BoundedSemaphore, Thread
from typing import NamedTuple

from django.utils.translation import gettext_noop

from core.errors import Unavailable
from core.net import Address

PORT = 443
FETCH_SECONDS = 6.0
# How long one read or write may take.
STEP_SECONDS = 4.0
MAX_ADDRESSES = 3
# A process has eight workers. With the fetches of `oauth.documents`, three remain available, however slow hosts are.
MAX_FETCHES = 3
ANYTHING = "*/*"
# The low 32 bits of these are an IPv4 address (RFC 6052).
NAT64 = ip_network("64:ff9b::/96")
# All other addresses of IPv6 are not of hosts on the internet, such as those that once had an IPv4 address, or a site.
GLOBAL_UNICAST = ip_network("2000::/3")
# A machine on Azure reaches the service that manages it here, although the address is a public one.
OF_CLOUDS = frozenset({IPv4Address("168.63.129.16")})

_slots = BoundedSemaphore(MAX_FETCHES)


class FetchFailed(Exception):
    """The file cannot be fetched. `status` is that of the answer, if there was one.

    Log the message but do not show it, because it can reveal our network.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class AddressRefused(FetchFailed):
    """The host has an address that may not be connected to."""


class TooManyFetches(Unavailable):
    """Too many files are being fetched. The caller should try again in a moment."""

    title = gettext_noop("Too many websites are being checked")


class Fetched(NamedTuple):
    """A file, with the headers of the answer that describe it."""

    content: bytes
    content_type: str = ""
    cache_control: str = ""


def fetch_file(
    host: str,
    path: str,
    *,
    max_bytes: int,
    port: int | None = None,
    accept: str = ANYTHING,
    slots: BoundedSemaphore | None = None,
) -> Fetched:
    """Return the file at `https://<host><path>`. Raises `FetchFailed`, and `TooManyFetches` if all slots are taken.

    The host must be in ASCII.
    """
    connection = _CheckedConnection(host, port or PORT)
    busy = TooManyFetches(gettext_noop("Try again in a moment."))

    def read() -> Fetched:
        return _read(connection, path, max_bytes, accept)

    try:
        return run_in_slot(read, slots=slots or _slots, seconds=FETCH_SECONDS, busy=busy)
    except TimeoutError as error:
        raise FetchFailed("no answer in time") from error
    except (OSError, HTTPException, UnicodeError, ValueError) as error:
        raise FetchFailed(f"{type(error).__name__}: {error}") from error
    finally:
        connection.end()


def is_public(address: Address) -> bool:
    """Return whether the address is on the internet. If it carries IPv4 addresses, these must be."""
    carried = _carried(address) if isinstance(address, IPv6Address) else ()
    return all(map(_is_on_internet, carried or (address,)))


def _is_on_internet(address: Address) -> bool:
    is_unicast = address in GLOBAL_UNICAST if isinstance(address, IPv6Address) else not address.is_multicast
    return is_unicast and address.is_global and address not in OF_CLOUDS


def checked_addresses(host: str, may_reach: Callable[[Address], bool] | None = None) -> list[str]:
    """Look the host up and return its addresses. Connect to one of them, not to the host, which may be somewhere else
    by then.

    Each must be public, or one that `may_reach` permits. Raises `AddressRefused`, `FetchFailed` if there is none, and
    `OSError`. It can take as long as the system's resolver takes.
    """
    found = look_up(host)
    for address in found:
        if "%" in address or not (may_reach or is_public)(ip_address(address)):
            raise AddressRefused("the host has an address that is not public")
    if not found:
        raise FetchFailed("the host has no address")
    return found


def look_up(host: str) -> list[str]:
    """Return the addresses of the host. Raises `OSError` if it has none."""
    return [str(info[4][0]) for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]


def tls_context() -> ssl.SSLContext:
    """Return what checks the certificate and the name of the host."""
    return ssl.create_default_context()


class _CheckedConnection(HTTPSConnection):
    """A connection to an address of the host that was checked. `end` cuts it, from another thread."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port, timeout=STEP_SECONDS)
        self._channel: socket.socket | None = None
        self._is_ended = False

    def connect(self) -> None:
        self._use(_connect(checked_addresses(self.host), self.port))
        # The handshake is a step of its own, because `wrap_socket` leaves the first socket without its descriptor.
        self.sock = tls_context().wrap_socket(self.sock, server_hostname=self.host, do_handshake_on_connect=False)
        self._use(self.sock)
        self.sock.do_handshake()

    def end(self) -> None:
        self._is_ended = True
        if self._channel is not None:
            with suppress(OSError):  # it has ended by itself
                socket.socket.shutdown(self._channel, socket.SHUT_RDWR)

    def _use(self, channel: socket.socket) -> None:
        self.sock = self._channel = channel
        if self._is_ended:
            raise TimeoutError("ended while it connected")


def _read(connection: _CheckedConnection, path: str, max_bytes: int, accept: str) -> Fetched:
    headers = {"Accept": accept, "Accept-Encoding": "identity", "Connection": "close"}
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        if answer.status != 200:
            raise FetchFailed("answered with another status than 200", answer.status)
        content = answer.read(max_bytes + 1)
    finally:
        connection.close()
    if len(content) > max_bytes:
        raise FetchFailed("the file is too long", answer.status)
    return Fetched(content, answer.headers.get("Content-Type", ""), answer.headers.get("Cache-Control", ""))


def _connect(addresses: Sequence[str], port: int) -> socket.socket:
    """Return a connection to the first address that accepts one."""
    failure = OSError("no address")
    for address in addresses[:MAX_ADDRESSES]:
        try:
            return socket.create_connection((address, port), STEP_SECONDS)
        except OSError as error:
            failure = error
    raise failure


def _carried(address: IPv6Address) -> tuple[IPv4Address, ...]:
    """Return the IPv4 addresses that the address carries: mapped, 6to4, Teredo or NAT64."""
    if address.teredo:
        return address.teredo
    inner = address.ipv4_mapped or address.sixtofour
    if inner is None and address in NAT64:
        inner = IPv4Address(int(address) & 0xFFFFFFFF)
    return (inner,) if inner else ()


def run_in_slot[T](work: Callable[[], T], *, slots: BoundedSemaphore, seconds: float, busy: Exception) -> T:
    """Run work without a deadline of its own in a thread. Return its result, or raise its error. Raises `busy` if all
    slots are taken, and `TimeoutError`.
    """
    return start_in_slot(work, slots=slots, busy=busy).result(timeout=seconds)


def start_in_slot[T](work: Callable[[], T], *, slots: BoundedSemaphore, busy: Exception) -> Future[T]:
    """Start work in a thread. Raises `busy` if all slots are taken.

    The thread keeps its slot until the work ends, even if the caller has stopped waiting.
    """
    if not slots.acquire(blocking=False):
        raise busy
    outcome: Future[T] = Future()
    outcome.set_running_or_notify_cancel()  # it can no longer be canceled, which would make `set_result` fail

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:
            outcome.set_exception(error)
        finally:
            slots.release()

    Thread(target=run, name="slot", daemon=True).start()
    return outcome
