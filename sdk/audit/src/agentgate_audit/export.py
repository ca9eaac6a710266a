"""Verify an export: JSON Lines, read one line at a time."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from .checkpoint import Checkpoint, open_checkpoint, verify_cosignature
from .checks import Connections, Order, Stream
from .delegations import Delegations
from .endings import Endings
from .entries import Entry, read_entry
from .errors import Broken, Unusable, quote
from .limits import Limit, Spending, Windows
from .merkle import InclusionChecker
from .note import VerifierKey
from .strict_json import MAX_LINE, parse_json, read_integer, read_object, read_text
from .times import parse_time

FORMAT = "agentgate-audit-export/1"
DAMAGED = "damagedRows"
KINDS = ("organization", "person", "connection")


@dataclass
class Summary:
    """What an export that holds is about."""

    stream: Stream
    checkpoint: Checkpoint
    cosigned: list[int]  # when each witness signed, in seconds since 1970
    delegations: Delegations
    first: int = 0
    last: int = 0
    entries: int = 0
    decisions: int = 0
    incomplete: int = 0  # entries with a part that is not disclosed
    damaged: int = 0  # entries whose id and digest are all that the log has
    unreadable: int = 0  # allowed decisions with an amount that no total has
    since: int = 0
    until: int = 0

    def add(self, entry: Entry) -> None:
        self.since = min(self.since, entry.time) if self.entries else entry.time
        self.until = max(self.until, entry.time)
        self.entries += 1
        self.decisions += entry.is_decision
        self.incomplete += entry.hides_parts
        self.damaged += entry.is_damaged
        self.unreadable += entry.has_unreadable_amount


def verify_export(
    path: Path,
    key: VerifierKey,
    *,
    witnesses: Sequence[VerifierKey] = (),
    limits: Sequence[Limit] = (),
    spendings: Sequence[Spending] = (),
    visit: Callable[[Entry], None] = lambda entry: None,
) -> Summary:
    """Check everything that an export claims, and call `visit` with each entry that is in the log.

    Raises `Broken` with the first entry that does not hold, and `Unusable` if this is not an export.
    """
    with open_file(path) as file:
        stream, period = read_header(file.readline(MAX_LINE + 1), key)
        begin = file.tell()
        last, end = _last_line(file, begin)
        checkpoint, number = _read_end(last, stream, key)
        cosigned = [_cosigned(checkpoint, witness) for witness in witnesses]
        summary = Summary(stream, checkpoint, cosigned, Delegations(stream))
        order = Order(stream)
        connections, endings = Connections(stream), Endings()
        windows = Windows(list(limits), list(spendings))
        tree = InclusionChecker(checkpoint.size, checkpoint.root)
        entry: Entry | None = None
        for line, data, is_own in _entry_lines(file, begin, end):
            entry = _read_line(line, data)
            try:
                if not tree.includes(entry.index, entry.leaf_hash, entry.proof):
                    raise Broken("the entry is not in the log with the checkpoint's root")
                has_gap = order.check(entry, is_own=is_own)
                spent = connections.check(entry, has_gap=has_gap)
                entry.check_context()
                endings.check(entry)
                summary.delegations.check(entry, spent)
                if is_own:
                    _check_own(entry, order.last, number, {**period, "stream": stream.kind})
            except Broken as error:
                raise error.at(f"index {entry.index}") from None
            windows.note(entry, spent)
            summary.add(entry)
            visit(entry)
    if entry is None:
        raise Broken("the export has no entries")
    windows.check()
    _check_nothing_missing(entry)
    summary.first, summary.last = order.first, order.last
    return summary


def open_file(path: Path) -> BinaryIO:
    """Open a file to read. Raises `Unusable`."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise Unusable(f"{path}: {error.strerror}") from None
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise Unusable(f"{path}: not a file")
    return file


def read_header(line: bytes, key: VerifierKey) -> tuple[Stream, dict[str, Any]]:
    """Return what an export is about: the stream, and its bounds in time as the header spells them.

    Raises `Unusable` if it is not an export, and `Broken`.
    """
    try:
        header = parse_json(line) if len(line) <= MAX_LINE else None
    except Broken:
        header = None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise Unusable(f"not an export of an AgentGate log: the first line does not say {FORMAT}")
    try:
        return _read_header(header, key)
    except Broken as error:
        raise error.at("header") from None


def _read_header(header: Any, key: VerifierKey) -> tuple[Stream, dict[str, Any]]:
    names = {"format", "key", "stream", "from", "to", "createdAt"}
    read_object(header, "the header", names)
    if header["key"] != str(key):
        raise Broken(f"the export names another key than {key.name}+{key.id.hex()}: {quote(header['key'])}")
    stream = read_object(header["stream"], "stream", {"kind", "id"})
    if stream["kind"] not in KINDS:
        raise Broken(f"unknown kind of stream: {quote(stream['kind'])}")
    parse_time(header["createdAt"], "createdAt")
    period = {name: header[name] for name in ("from", "to") if header[name] is not None}
    start, end = (parse_time(period[name], name) if name in period else None for name in ("from", "to"))
    return Stream(stream["kind"], read_text(stream["id"], "the stream's ID"), start, end), period


def _last_line(file: BinaryIO, begin: int) -> tuple[bytes, int]:
    """Return the last line after the header, and where it begins."""
    size = file.seek(0, os.SEEK_END)
    tail_begin = max(begin, size - MAX_LINE - 1)
    file.seek(tail_begin)
    tail = file.read(size - tail_begin).removesuffix(b"\n")
    place = tail.rfind(b"\n") + 1
    if not tail or (place == 0 and tail_begin != begin):
        raise Broken("the last line, with the checkpoint, is missing: the export is not complete")
    return tail[place:], tail_begin + place


def _read_end(line: bytes, stream: Stream, key: VerifierKey) -> tuple[Checkpoint, int]:
    """Return the checkpoint that all proofs are for, and the number of the export's own entry."""
    try:
        value = parse_json(line)
        if not isinstance(value, dict) or "checkpoint" not in value:
            raise Broken("has no checkpoint: the export is not complete")
        found = read_object(value, "it", {"checkpoint", "stream"})
        checkpoint = open_checkpoint(read_text(found["checkpoint"], "checkpoint"), key)
        named = read_object(found["stream"], "stream", {"kind", "id", "number"})
        if (named["kind"], named["id"]) != (stream.kind, stream.id):
            raise Broken("is of another stream than the header")
        return checkpoint, read_integer(named["number"], "the stream's number")
    except Broken as error:
        raise error.at("last line") from None


def _cosigned(checkpoint: Checkpoint, witness: VerifierKey) -> int:
    try:
        return verify_cosignature(checkpoint.note, witness)
    except Broken as error:
        raise error.at("last line") from None


def _entry_lines(file: BinaryIO, begin: int, end: int) -> Iterator[tuple[int, bytes, bool]]:
    """Yield the lines between the header and the last line: number, bytes, and whether it is the final one."""
    file.seek(begin)
    number, place = 2, begin
    while place < end:
        data = file.readline(MAX_LINE + 1)
        place += len(data)
        yield number, data, place >= end
        number += 1


def _read_line(number: int, data: bytes) -> Entry:
    if len(data) > MAX_LINE:
        raise Broken(f"line {number}: is longer than {MAX_LINE} bytes")
    try:
        line = parse_json(data)
    except Broken as error:
        raise error.at(f"line {number}") from None
    try:
        return read_entry(line)
    except Broken as error:
        # The place is already in the message if the line has an index.
        raise error if str(error).startswith("index ") else error.at(f"line {number}") from None


def _check_own(entry: Entry, last: int, number: int, request: dict[str, Any]) -> None:
    """Check the entry that the export itself left in the log: without it, an end that was cut off would not show."""
    if entry.record["event"] != "audit.exported":
        raise Broken("the last entry is not the export's own (audit.exported): the end is missing")
    if last != number:
        raise Broken(f"has number {last}, and the last line says {number}")
    # The log has what was asked for, so that the header cannot claim another period.
    stated = {name: value for name, value in entry.record["metadata"].items() if name != DAMAGED}
    if stated != request:
        raise Broken("was made for an export of another kind or period than the header says")


def _check_nothing_missing(own: Entry) -> None:
    """Check that the server did not say that its log is incomplete, in the entry that the export left."""
    damaged = own.record["metadata"].get(DAMAGED, 0)
    if damaged != 0:
        raise Broken(
            f"index {own.index}: the log was incomplete: {quote(damaged)} rows of its journal are damaged, so entries"
            " may be missing. All that are here hold."
        )
