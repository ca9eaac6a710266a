"""Which redirect URIs may be registered, and which request matches a registered one.

RFC 6749 section 3.1.2, RFC 8252 sections 7 and 8, RFC 9700 section 2.1: byte for byte, save a loopback host's port.
"""

import re
from collections.abc import Sequence
from urllib.parse import SplitResult, urlsplit

LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
MAX_REDIRECT_URI_LENGTH = 500
MAX_REDIRECT_URIS = 20
UNREGISTRABLE_SCHEMES = frozenset(
    {"javascript", "data", "vbscript", "file", "blob", "about", "ftp", "ws", "wss", "mailto", "view-source"}
)
PRIVATE_USE_SCHEME = re.compile(r"[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+")
PRINTABLE = re.compile(r"[!-~]+")
LOOPBACK_PORT = re.compile(r"^(http://(?:localhost|127\.0\.0\.1|\[::1\])):\d{1,5}(?=[/?]|$)")


def problem_with(uri: str) -> str | None:
    """Return why `uri` cannot be registered. None when it can."""
    if not PRINTABLE.fullmatch(uri) or len(uri) > MAX_REDIRECT_URI_LENGTH or "\\" in uri:
        return f"must be printable ASCII without spaces, at most {MAX_REDIRECT_URI_LENGTH} characters"
    parts = _split(uri)
    if parts is None:
        return "must be an absolute URI with a valid host and port"
    if "#" in uri:
        return "must have no fragment"
    if "*" in uri:
        return "must have no wildcard"
    if "@" in parts.netloc:
        return "must have no user name or password"
    return _problem_with_scheme(parts)


def is_loopback(uri: str) -> bool:
    """Return whether `uri` leads to the person's own machine."""
    parts = _split(uri)
    return parts is not None and parts.hostname in LOOPBACK_HOSTS


def is_private_use(uri: str) -> bool:
    """Return whether `uri` leads to an app on the person's device, by a scheme of its own (RFC 8252 section 7.1)."""
    parts = _split(uri)
    return parts is not None and parts.scheme not in ("http", "https")


def return_host(uri: str) -> str:
    """Return where `uri` leads: its host, "this computer" for a loopback one, or its private-use scheme."""
    if is_loopback(uri):
        return "this computer"
    parts = urlsplit(uri)
    return parts.hostname or parts.scheme


def matches_registered(uri: str, registered: Sequence[str]) -> bool:
    """Return whether `uri` is a registered one; on a loopback host any port will do (RFC 8252 section 7.3)."""
    return uri in registered or without_loopback_port(uri) in {without_loopback_port(one) for one in registered}


def without_loopback_port(uri: str) -> str:
    """Return `uri` without the port when it is http on a loopback host, else `uri`."""
    return LOOPBACK_PORT.sub(r"\1", uri) if problem_with(uri) is None else uri


def _problem_with_scheme(parts: SplitResult) -> str | None:
    if parts.scheme == "https":
        return None if parts.hostname else "must name a host"
    if parts.scheme == "http":
        return None if parts.hostname in LOOPBACK_HOSTS else "must be https, save on a loopback host"
    if parts.scheme in UNREGISTRABLE_SCHEMES or not PRIVATE_USE_SCHEME.fullmatch(parts.scheme):
        return "must be https, http on a loopback host, or a private-use scheme such as com.example.app"
    return None


def _split(uri: str) -> SplitResult | None:
    try:
        parts = urlsplit(uri)
        parts.port  # noqa: B018  raises ValueError for a bad port
    except ValueError:
        return None
    return parts if parts.scheme else None
