"""Report errors as text or JSON, on stderr and with an exit code."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import typer

from ..errors import (
    AgentGateError,
    ApiError,
    ConnectionFailedError,
    UnexpectedResponseError,
)
from .output import json_text, plain

REFUSED, USAGE = 1, 2
_REMEDIES = {
    "certificate_not_trusted": "If a private CA signed it, set SSL_CERT_FILE to a file with its certificate.",
    "certificate_not_valid": "Check the host name of the URL, and the certificate that the server sends.",
    "tls_failed": "Check that the server speaks HTTPS on this port.",
    "host_not_found": "Check the host name of --url or AGENTGATE_URL, and the network.",
    "connection_refused": "Check that the server is running, and the port of --url or AGENTGATE_URL.",
    "timeout": "Check that the server is running, and that no firewall is in between.",
    "proxy_failed": "Check the proxy.",
    "response_refused": "Check --url, and what is between this machine and the server.",
    "no_response": "Check that the server is running, and that --url or AGENTGATE_URL is its address.",
}
_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
# Keys, secrets and tokens, which users may type in the wrong place.
_SECRETS = re.compile(r"\b(?:ag|ags|agr|agcode|rs|st)_[\w-]{8,}|\beyJ[\w-]+\.[\w-]+\.[\w-]*")


class Failure(AgentGateError):
    """An error of the command line itself. `facts` are additional members of its JSON."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        hint: str = "",
        exit_code: int = REFUSED,
        facts: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.hint = hint
        self.exit_code = exit_code
        self.facts = facts or {}


@dataclass(frozen=True)
class Report:
    """An error to print: as `text`, or `facts` as JSON."""

    text: str
    facts: Mapping[str, Any]
    exit_code: int = REFUSED


def report_of(error: BaseException, server: Callable[[], str]) -> Report | None:
    """Return the report of an expected error, None for others. `server` returns the server's URL."""
    if isinstance(error, UnexpectedResponseError) or _is_from_another_server(error):
        detail = f"{server()} did not respond like AgentGate: {error}"
        return _failed(Failure("unexpected_response", detail))
    if isinstance(error, ApiError):
        return _refused(error)
    if isinstance(error, Failure):
        return _failed(error)
    if isinstance(error, ConnectionFailedError):
        return _failed(_connection_failed(error))
    if isinstance(error, AgentGateError):
        return _failed(Failure("failed", str(error)))
    if isinstance(error, OSError):
        return _failed(Failure("file_error", _file_problem(error)))
    if isinstance(error, ValueError):
        return _failed(Failure("invalid_value", str(error)))
    return _usage_error(error)


def print_report(report: Report, *, as_json: bool) -> None:
    lines = [json_text(report.facts)] if as_json else map(plain, report.text.split("\n"))
    typer.echo(redacted("\n".join(lines)), err=True)


def redacted(text: str) -> str:
    return _SECRETS.sub("***", text)


def _connection_failed(error: ConnectionFailedError) -> Failure:
    hint = " ".join((_REMEDIES[error.cause], *_proxy()))
    return Failure("connection_failed", f"{error}.", hint=hint, facts={"cause": error.cause})


def _proxy() -> list[str]:
    """Return a sentence about the proxy, which may be what did not respond, or nothing without one."""
    names = [name for name in _PROXIES if os.environ.get(name) or os.environ.get(name.lower())]
    return [f"A proxy is set in {names[0]}; NO_PROXY lists exceptions."] if names else []


def _failed(error: Failure) -> Report:
    facts = {"code": error.code, "detail": str(error), "hint": error.hint, **error.facts}
    return Report(_lines(f"Error: {error}", error.hint), facts, error.exit_code)


def _refused(error: ApiError) -> Report:
    problems = [f"  {problem.field}: {problem.message}" for problem in error.errors]
    request = f", request {error.request_id}" if error.request_id else ""
    detail = error.detail or "AgentGate refused the request."
    facts = {
        "code": error.code,
        "detail": detail,
        "hint": _hint(error),
        "status": error.status,
        "requestId": error.request_id,
        "errors": [{"field": problem.field, "message": problem.message} for problem in error.errors],
        "retryAfterSeconds": error.retry_after,
    }
    headline = f"Error: {detail} ({error.status} {error.code}{request})"
    return Report(_lines(headline, *problems, _hint(error)), facts)


def _hint(error: ApiError) -> str:
    if error.code == "not_authenticated":
        return f"Check {', '.join(_credentials_in_use())}, or sign in with: agentgate login"
    if error.code == "reauthentication_required":
        return "Sign in again with: agentgate login, or set AGENTGATE_API_KEY."
    if error.code == "not_member" and os.environ.get("AGENTGATE_API_KEY"):
        return "Leave out --organization, and unset AGENTGATE_ORGANIZATION."
    if error.code in ("organization_required", "not_member"):
        return "Choose one with: agentgate organizations use, --organization or AGENTGATE_ORGANIZATION."
    if error.retry_after is not None:
        return f"Retry in {error.retry_after:g} seconds."
    return ""


def _credentials_in_use() -> list[str]:
    names = ("AGENTGATE_RESOURCE_SERVER_SECRET", "AGENTGATE_API_KEY")
    return [name for name in names if os.environ.get(name)] or ["the credential"]


def _is_from_another_server(error: BaseException) -> bool:
    """Return whether an error response has no code. AgentGate's always have one."""
    return isinstance(error, ApiError) and error.code.startswith("http_")


def _usage_error(error: BaseException) -> Report | None:
    """Return the report of a usage error, None for others. Check a method: typer's class is private."""
    format_message = getattr(error, "format_message", None)
    if format_message is None:
        return None
    detail = str(format_message())
    # A group without a command raises an error with its help text.
    if detail.startswith("Usage:"):
        return Report(detail, {"code": "usage", "detail": "A command is missing.", "hint": detail}, USAGE)
    context = getattr(error, "ctx", None)
    hint = f"See: {context.command_path} --help" if context else ""
    return _failed(Failure("usage", detail, hint=hint, exit_code=getattr(error, "exit_code", USAGE)))


def _file_problem(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.filename else str(error)


def _lines(*lines: str) -> str:
    return "\n".join(line for line in lines if line)
