"""Validation and matching of redirect URIs.

URIs are compared byte for byte, except for the port of a loopback host (RFC 6749 section 3.1.2, RFC 8252 sections 7 and
8, RFC 9700 section 2.1).
"""

import re
from collections.abc import Sequence
from urllib.parse import SplitResult, urlsplit

from django.utils.translation import gettext_noop

from core.uris import LOOPBACK_HOSTS, LOOPBACK_NAMES
from core.wording import Filled

WEB_SCHEMES = frozenset({"http", "https"})
MAX_REDIRECT_URI_LENGTH = 500
MAX_REDIRECT_URIS = 20
UNREGISTRABLE_SCHEMES = frozenset(
    {"javascript", "data", "vbscript", "file", "blob", "about", "ftp", "ws", "wss", "mailto", "view-source"}
)
PRIVATE_USE_SCHEME = re.compile(r"[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+")
PRINTABLE = re.compile(r"[!-~]+")
HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f.]*:[0-9a-f:.]*")
LOOPBACK_PORT = re.compile(rf"^(http://(?:{'|'.join(map(re.escape, LOOPBACK_NAMES))})):\d{{1,5}}(?=[/?]|$)")


def problem_with(uri: str) -> str | None:
    """Return why `uri` cannot be registered, or None if it can."""
    if not PRINTABLE.fullmatch(uri) or len(uri) > MAX_REDIRECT_URI_LENGTH or "\\" in uri:
        return Filled(
            gettext_noop("Must be printable ASCII without spaces, at most %(most)d characters."),
            most=MAX_REDIRECT_URI_LENGTH,
        )
    parts = _split(uri)
    if parts is None:
        return gettext_noop("Must be an absolute URI with a valid host and port.")
    if "#" in uri:
        return gettext_noop("Must not have a fragment.")
    if "*" in uri:
        return gettext_noop("Must not have a wildcard.")
    if "@" in parts.netloc:
        return gettext_noop("Must not have a user name or password.")
    return _problem_with_scheme(parts)


def web_host(uri: str) -> str:
    """Return the host that a browser opens for `uri`. Empty unless the scheme is http or https.

    In any other URI, the host means whatever the app decides, so never show it to users.
    """
    parts = _split(uri)
    return parts.hostname or "" if parts and parts.scheme in WEB_SCHEMES else ""


def is_loopback(uri: str) -> bool:
    """Return whether `uri` is a web address on the user's own computer."""
    return web_host(uri) in LOOPBACK_HOSTS


def is_private_use(uri: str) -> bool:
    """Return whether `uri` opens an app on the user's device by its private-use scheme (RFC 8252 section 7.1)."""
    parts = _split(uri)
    return parts is not None and parts.scheme not in WEB_SCHEMES


def matches_registered(uri: str, registered: Sequence[str]) -> bool:
    """Return whether `uri` is registered. A loopback URI may have any port (RFC 8252 section 7.3)."""
    return uri in registered or without_loopback_port(uri) in {without_loopback_port(other) for other in registered}


def without_loopback_port(uri: str) -> str:
    """Return `uri` without its port if it is http on a loopback host, else unchanged."""
    return LOOPBACK_PORT.sub(r"\1", uri) if problem_with(uri) is None else uri


def _problem_with_scheme(parts: SplitResult) -> str | None:
    if parts.scheme in WEB_SCHEMES and not HOST.fullmatch(parts.hostname or ""):
        return gettext_noop("Must have a host name of letters, digits, dots and hyphens, or an IP address.")
    if parts.scheme == "https":
        return None
    if parts.scheme == "http":
        return None if parts.hostname in LOOPBACK_HOSTS else gettext_noop("Must use https, except on loopback hosts.")
    if parts.scheme in UNREGISTRABLE_SCHEMES or not PRIVATE_USE_SCHEME.fullmatch(parts.scheme):
        return gettext_noop("Must use https, http on a loopback host, or a private-use scheme such as com.example.app.")
    return None


def _split(uri: str) -> SplitResult | None:
    try:
        parts = urlsplit(uri)
        parts.port  # noqa: B018  raises ValueError for a bad port
    except ValueError:
        return None
    return parts if parts.scheme else None
