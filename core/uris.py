"""The canonical form of an http(s) URI, so that different spellings of one address are the same audience.

RFC 3986 section 6, without normalization that depends on the server: "/api" and "/api/" differ, and paths are case
sensitive. A path of "/" is dropped, as in MCP's canonical server URI and in the default audience, `API_URL`.
"""

import re
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import quote

import idna
from django.utils.translation import gettext_noop

from core.wording import Filled

URI = re.compile(r"([A-Za-z]+)://([^/?#]*)([^?#]*)(?:\?([^#]*))?")
AUTHORITY = re.compile(r"(\[[^\[\]]*\]|[^\[\]:]*)(?::([0-9]*))?")
LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
ESCAPE_OR_LETTER = re.compile(r"%([0-9A-Fa-f]{2})|(.)", re.DOTALL)
NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")

# Requests to these hosts never leave the machine, so http is safe.
# The names are as written in a URI, the hosts as returned by a parser.
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
LOOPBACK_HOSTS = frozenset(name.strip("[]") for name in LOOPBACK_NAMES)
DEFAULT_PORTS = {"https": 443, "http": 80}
MAX_LENGTH = 2000
MAX_HOST_LENGTH = 253
UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
IN_PATH = UNRESERVED | frozenset("!$&'()*+,;=:@/")
IN_QUERY = IN_PATH | frozenset("?")


class UnusableUri(ValueError):
    """The text cannot identify a service. The message is a sentence that says what it must be."""


def canonical_uri(text: str) -> str:
    """Return the canonical form of an absolute http(s) URI, without a path if it is "/".

    Raises `UnusableUri`, including for a user name, password or fragment (RFC 8707 section 2).
    """
    _check_letters(text)
    match = URI.fullmatch(text)
    if match is None or match[1].lower() not in DEFAULT_PORTS:
        raise UnusableUri(gettext_noop("Must be an absolute https or http URI without a fragment."))
    scheme = match[1].lower()
    path = _without_dot_segments(_escaped(match[3], IN_PATH))
    query = _escaped(match[4] or "", IN_QUERY)
    return f"{scheme}://{_authority(scheme, match[2])}{'' if path == '/' else path}{query and '?'}{query}"


def find_canonical_uri(text: str) -> str | None:
    """Return the canonical form, or None if `text` cannot identify a service."""
    try:
        return canonical_uri(text)
    except UnusableUri:
        return None


def host_of(canonical: str) -> str:
    """Return the host of a canonical URI, with its port unless it is the scheme's own."""
    return canonical.partition("://")[2].partition("?")[0].partition("/")[0]


def _check_letters(text: str) -> None:
    if len(text) > MAX_LENGTH:
        raise UnusableUri(Filled(gettext_noop("Must be at most %(most)d characters long."), most=MAX_LENGTH))
    # Some parsers drop white space or read a backslash as a slash, and so see a different address.
    if any(letter <= " " or letter in "\\\x7f" or "\ud800" <= letter <= "\udfff" for letter in text):
        raise UnusableUri(gettext_noop("Must not contain spaces, control characters or backslashes."))


def _authority(scheme: str, text: str) -> str:
    if "@" in text:
        raise UnusableUri(gettext_noop("Must not contain a user name or a password."))
    match = AUTHORITY.fullmatch(text)
    if match is None:
        raise UnusableUri(gettext_noop("Must have a valid host and port."))
    host = _address(match[1][1:-1]) if match[1].startswith("[") else _host(match[1])
    return host + _port(scheme, match[2] or "")


def _port(scheme: str, digits: str) -> str:
    if not digits:
        return ""
    port = int(digits) if len(digits) <= 10 else 0
    if not 1 <= port <= 65535:
        raise UnusableUri(gettext_noop("Must have a port from 1 to 65535, or none."))
    return "" if port == DEFAULT_PORTS[scheme] else f":{port}"


def _address(text: str) -> str:
    try:
        address = IPv6Address(text)
    except ValueError:
        raise UnusableUri(gettext_noop("Must have a valid IPv6 address between brackets.")) from None
    if address.scope_id is not None:
        raise UnusableUri(gettext_noop("Must have an IPv6 address without a zone."))
    # It is the same host as the IPv4 address, and its text depends on the Python version.
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return f"[{address}]"


def _host(text: str) -> str:
    host = _mapped(text).lower().removesuffix(".")
    labels = host.split(".")
    if len(host) > MAX_HOST_LENGTH or not all(LABEL.fullmatch(label) for label in labels):
        raise UnusableUri(gettext_noop("Must have a valid host name."))
    if NUMBER.fullmatch(labels[-1]):
        return _dotted(host)
    return host


def _mapped(text: str) -> str:
    """Return the host in ASCII (UTS 46). Labels that are already encoded must be valid."""
    if text.isascii() and "xn--" not in text.lower():
        return text
    if len(text) > MAX_HOST_LENGTH:
        raise UnusableUri(gettext_noop("Must have a valid host name."))
    try:
        return idna.encode(text, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        raise UnusableUri(gettext_noop("Must have a valid international host name (IDNA).")) from None


def _dotted(host: str) -> str:
    """Return the IPv4 address. Other notations of one, such as 127.1 or 0x7f000001, are rejected."""
    try:
        return str(IPv4Address(host))
    except ValueError:
        raise UnusableUri(gettext_noop("Must have an IPv4 address in four decimal parts.")) from None


def _escaped(text: str, allowed: frozenset[str]) -> str:
    """Return `text` with exactly those characters escaped that must be (RFC 3986 section 6.2.2)."""

    def normalize(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[2] if match[2] in allowed else _escape(match[2])
        letter = chr(int(match[1], 16))
        return letter if letter in UNRESERVED else f"%{match[1].upper()}"

    return ESCAPE_OR_LETTER.sub(normalize, text)


def _escape(letter: str) -> str:
    if letter == "%":
        raise UnusableUri(gettext_noop("Must have two hexadecimal digits after each percent sign."))
    return quote(letter, safe="")


def _without_dot_segments(path: str) -> str:
    """Return the path resolved as in RFC 3986 section 5.2.4, or "/" if it is empty."""
    segments = path.split("/")[1:]
    kept: list[str] = []
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments and segments[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)
