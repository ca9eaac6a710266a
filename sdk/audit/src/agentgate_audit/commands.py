"""What each command does, and the summary that it prints."""

from __future__ import annotations

import json
import socket
from argparse import Namespace
from operator import attrgetter
from pathlib import Path

from .archive import verify_archive
from .checkpoint import Checkpoint
from .consistency import check_consistency
from .delegations import Delegations
from .entries import Entry
from .errors import Broken, Unusable, quote
from .export import Summary, verify_export
from .files import read_checkpoint, read_json_file, read_key, read_text_file
from .limits import parse_limit, parse_spending
from .lineage import find_lineage
from .note import COSIGNATURE, ED25519, VerifierKey
from .proof import verify_proof
from .receipt import match_decision, match_entry, match_question, read_decision, verify_receipt
from .tiles import open_source
from .times import SECOND, format_time
from .witness import Witness
from .witness_server import WitnessServer
from .witness_state import open_state


def verify(options: Namespace) -> None:
    key = read_key(options.key, ED25519)
    witnesses = [read_key(text, COSIGNATURE) for text in options.witness]
    limits = [parse_limit(text) for text in options.limit]
    spendings = [parse_spending(text) for text in options.spend]
    old = read_checkpoint(options.consistent_with, key) if options.consistent_with else None
    summary = verify_export(options.file, key, witnesses=witnesses, limits=limits, spendings=spendings)
    if old:
        _check_consistency(old, summary.checkpoint, options.log)
    _show_summary(summary, witnesses)
    for limit in (*limits, *spendings):
        print(f"limit        {limit} held in every window")
    if old:
        print(f"consistency  the log extends the checkpoint with {old.size} entries")


def lineage(options: Namespace) -> None:
    found = find_lineage(options.file, read_key(options.key, ED25519), options.entry)
    print(json.dumps(found.described(), indent=2, default=attrgetter("text")) if options.json else found.told())


def proof(options: Namespace) -> None:
    key = read_key(options.key, ED25519)
    entry, checkpoint = verify_proof(read_json_file(options.file), key)
    print("The entry is in the log.")
    _show_entry(entry)
    print(f"log          {_describe(checkpoint)}")


def receipt(options: Namespace) -> None:
    key = read_key(options.key, ED25519)
    given = read_decision(read_text_file(options.file))
    found = verify_receipt(given["receipt"], key)
    match_decision(found, given)
    if options.question:
        match_question(found, read_json_file(options.question))
    entry = _find_entry(options.export, key, found["auditId"]) if options.export else None
    if entry:
        match_entry(found, entry)
    print("The receipt is authentic.")
    decision = found["decision"]
    print(f"decision     {'allowed' if decision['allowed'] else 'denied: ' + quote(decision['reason'])}")
    print(f"time         {quote(found['timestamp'])[1:-1]}")
    print(f"entry        {quote(found['auditId'])[1:-1]}{f', index {entry.index} in the log' if entry else ''}")
    if options.question:
        print("question     matches")


def consistency(options: Namespace) -> None:
    key = read_key(options.key, ED25519)
    old, new = (read_checkpoint(path, key) for path in (options.old, options.new))
    _check_consistency(old, new, options.log)
    print(f"The log with {new.size} entries extends the log with {old.size} entries.")


def archive(options: Namespace) -> None:
    found = verify_archive(options.folder, read_key(options.key, ED25519))
    print("Everything holds.")
    print(f"month        {found.month}")
    print(f"entries      {found.last - found.first + 1}, index {found.first} to {found.last}")
    print(f"log          {_describe(found.checkpoint)}")


def witness(options: Namespace) -> None:
    logs = [read_key(text, ED25519) for text in options.log]
    address = _parse_address(options.listen)
    state = open_state(options.state, options.name, f"{socket.gethostname()}/witness")
    try:
        server = WitnessServer(address, Witness(state, logs))
    except (OSError, OverflowError) as error:
        raise Unusable(f"{options.listen}: {error}") from None
    with server:
        print(f"verifier key  {state.key}")
        print(f"listening on  {options.listen.rpartition(':')[0]}:{server.server_address[1]}", flush=True)
        server.serve_forever()


def _check_consistency(old: Checkpoint, new: Checkpoint, log: str | None) -> None:
    check_consistency(old, new, open_source(log) if log else None)


def _find_entry(path: Path, key: VerifierKey, audit_id: str) -> Entry:
    """Return the entry with this ID from an export that holds. Raises `Broken`."""
    found: list[Entry] = []
    verify_export(path, key, visit=lambda entry: found.append(entry) if entry.record["id"] == audit_id else None)
    if not found:
        raise Broken(f"the export has no entry {quote(audit_id)}")
    return found[0]


def _show_summary(summary: Summary, witnesses: list[VerifierKey]) -> None:
    stream = summary.stream
    complete = stream.start is None and stream.end is None
    print("Everything holds.")
    print(f"stream       {stream.kind} {quote(stream.id)[1:-1]}, {'complete' if complete else 'a part of it'}")
    print(f"entries      {summary.entries}, numbers {summary.first} to {summary.last}, {summary.decisions} decisions")
    print(f"time         {format_time(summary.since)} to {format_time(summary.until)}")
    print(f"log          {_describe(summary.checkpoint)}")
    for key, seconds in zip(witnesses, summary.cosigned, strict=True):
        print(f"witness      {key.name}, {_seconds(seconds)}")
    _show_delegations(summary.delegations)
    if summary.damaged:
        print(f"damaged      {summary.damaged} entries could not be logged: the log has their ids and digests only")
    if summary.unreadable:
        print(f"not counted  {summary.unreadable} allowed decisions have an amount that the server could not read")
    if summary.incomplete:
        print(f"not checked  {summary.incomplete} entries have data that this export does not disclose,")
        print("             because it was erased or is for other readers")


def _show_delegations(found: Delegations) -> None:
    if found.known or found.calls:
        print(f"delegations  {len(found.known)}, each within the one above it; {found.calls} allowed calls by them")
    if found.sums:
        print(f"limits       {found.sums} of delegations held, with all that was handed on below")
    for number, what in (
        (found.hidden_limits, "delegations have limits that this export does not disclose"),
        (found.hidden_amounts, "amounts that count in limits of delegations are not disclosed"),
        (found.outside, "calls are below delegations that were made outside this export"),
    ):
        if number:
            print(f"not checked  {number} {what}")


def _describe(checkpoint: Checkpoint) -> str:
    time = f", {format_time(checkpoint.time)}" if checkpoint.time is not None else ""
    return f"{checkpoint.origin}, {checkpoint.size} entries{time}"


def _show_entry(entry: Entry) -> None:
    record = entry.record
    print(f"index        {entry.index}")
    print(f"entry        {quote(record['id'])[1:-1]}, {quote(record['event'])[1:-1]}, {record['outcome']}")
    print(f"time         {format_time(entry.time)}")
    hidden = " (some of its data is not disclosed)" if entry.hides_parts else ""
    shown = ", ".join(sorted(entry.groups)) or "nothing"
    print(f"disclosed    {shown}{hidden}")


def _seconds(seconds: int) -> str:
    try:
        return format_time(seconds * SECOND)
    except OverflowError:
        return f"{seconds} seconds after 1970"


def _parse_address(text: str) -> tuple[str, int]:
    host, separator, port = text.rpartition(":")
    if not separator or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise Unusable(f"not an address, which looks like 127.0.0.1:8080: {quote(text)}")
    return host.removeprefix("[").removesuffix("]"), int(port)
