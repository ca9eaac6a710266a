"""Find out why a request got no response."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

import httpx

# OpenSSL's X509_V_ERR_...: no trusted issuer, self-signed, self-signed in the chain, no issuer in the chain.
_UNKNOWN_ISSUER = (2, 18, 19, 20, 21)


@dataclass(frozen=True)
class Cause:
    """A stable code, and what happened in words."""

    code: str
    words: str


NO_RESPONSE = Cause("no_response", "the connection ended without a response")


def cause_of(error: BaseException) -> Cause:
    """Return the cause of the error: that of the first known one in its chain."""
    return next(filter(None, map(_known, _chain(error))), NO_RESPONSE)


def _known(error: BaseException) -> Cause | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        trusted = "valid" if error.verify_code not in _UNKNOWN_ISSUER else "trusted"
        words = f"the server's certificate is not {trusted} ({error.verify_message.rstrip('.')})"
        return Cause(f"certificate_not_{trusted}", words)
    if isinstance(error, ssl.SSLError):
        return Cause("tls_failed", f"the server did not begin TLS ({error.reason or 'unknown reason'})")
    if isinstance(error, socket.gaierror):
        return Cause("host_not_found", "the host name was not found")
    if isinstance(error, ConnectionRefusedError):
        return Cause("connection_refused", "the connection was refused")
    if isinstance(error, httpx.TimeoutException):
        return Cause("timeout", "no response came in time")
    if isinstance(error, httpx.DecodingError):
        return Cause("response_refused", f"its response was refused: {error}")
    if isinstance(error, httpx.ProxyError):
        return Cause("proxy_failed", f"the proxy did not connect ({error})")
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
