"""Report errors as text or JSON, on stderr and with an exit code."""

from __future__ import annotations

import json
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

REFUSED, USAGE = 1, 2
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
    if isinstance(error, AgentGateError):
        code = "connection_failed" if isinstance(error, ConnectionFailedError) else "failed"
        return _failed(Failure(code, str(error)))
    if isinstance(error, OSError):
        return _failed(Failure("file_error", _file_problem(error)))
    if isinstance(error, ValueError):
        return _failed(Failure("invalid_value", str(error)))
    return _usage_error(error)


def print_report(report: Report, *, as_json: bool) -> None:
    text = json.dumps(report.facts, ensure_ascii=False) if as_json else report.text
    typer.echo(redacted(text), err=True)


def redacted(text: str) -> str:
    return _SECRETS.sub("***", text)


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
