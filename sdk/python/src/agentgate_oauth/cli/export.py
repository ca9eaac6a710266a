"""`agentgate log export`: write the organization's log as evidence into a file."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, BinaryIO

import typer

from .._api.audit import rfc3339
from .._bounds import read_bounded
from .._call import get
from .._retry import api_error
from ..admin import AgentGateAdmin
from ..errors import UnexpectedResponseError
from .connection import admin
from .failures import USAGE, Failure
from .log import app
from .options import MOMENTS, command, utc
from .output import print_line, show

Start = Annotated[
    datetime | None,
    typer.Option(
        "--from",
        metavar="TIME",
        formats=MOMENTS,
        help="The start of the period, inclusive. UTC if it has no offset.",
    ),
]
End = Annotated[
    datetime | None,
    typer.Option("--to", metavar="TIME", formats=MOMENTS, help="The end of the period, exclusive."),
]


@command(app, "export", example="agentgate log export log.jsonl --from 2026-11-01")
def export(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A new file. - is standard output.")],
    start: Start = None,
    end: End = None,
) -> None:
    """Export the organization's log as evidence, which agentgate-audit verifies offline.

    The export itself is logged, too.
    """
    with admin() as api, _opened(file) as output:
        for part in _read(api, since=utc(start), until=utc(end)):
            output.write(part)
    if file != "-":
        text = f"Exported to {file}. Verify it with: agentgate-audit verify {file} --key KEY"
        show({"file": file}, lambda: print_line(text))


def _read(api: AgentGateAdmin, since: datetime | None, until: datetime | None) -> Iterator[bytes]:
    """Yield the export as it arrives, because its size has no limit."""
    period = {"from": rfc3339(since), "to": rfc3339(until)}
    call = get("/audit/export", lambda _: None, **period)
    with api._driver.stream(call.as_send(api._credential)) as response:
        if not response.is_success:
            raise api_error(read_bounded(response))
        if not response.headers.get("Content-Type", "").startswith("application/jsonl"):
            raise UnexpectedResponseError("an export is JSON Lines")
        yield from response.iter_bytes()


@contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    """Yield the new file, which only its owner can read. It is deleted if the export fails."""
    if file == "-":
        if sys.stdout.isatty():
            detail = "An export can contain characters that control a terminal."
            raise Failure("usage", detail, hint="Give a FILE, or redirect the output.", exit_code=USAGE)
        yield sys.stdout.buffer
        return
    with _create(file) as output:
        try:
            yield output
        except BaseException:
            os.unlink(file)
            raise


def _create(file: str) -> BinaryIO:
    try:
        return open(file, "xb", opener=lambda path, flags: os.open(path, flags, 0o600))
    except FileExistsError:
        hint = "Choose another name. An export is never overwritten, because it is evidence."
        raise Failure("file_exists", f"{file} exists.", hint=hint, exit_code=USAGE) from None
