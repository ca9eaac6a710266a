"""Exports that hold, and every way in which one can be forged or damaged."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from conftest import Verify
from log_builder import CONSENT, ORGANIZATION, PERSON, SERVICE, Export, LogBuilder, Signer, b64, moment

from agentgate_audit import Broken, Unusable, parse_key, parse_limit, parse_spending
from agentgate_audit.note import COSIGNATURE, ED25519
from agentgate_audit.strict_json import MAX_LINE

STREAMS = [("person", PERSON, 8), ("connection", CONSENT, 8), ("organization", ORGANIZATION, 8)]


@pytest.mark.parametrize(("kind", "id_", "entries"), STREAMS)
def test_every_kind_of_export_holds(kind: str, id_: str, entries: int, history: LogBuilder, verify: Verify):
    summary = verify(history.export(kind, id_))

    assert (summary.first, summary.last, summary.entries) == (1, entries, entries)
    assert summary.decisions == 5
    assert summary.checkpoint.size == len(history.leaves)


def test_the_stream_of_an_asking_service_holds(history: LogBuilder, verify: Verify):
    assert verify(history.export("organization", SERVICE, organizationId=SERVICE)).entries == 2


def test_an_export_of_nothing_but_itself_holds(log: LogBuilder, verify: Verify):
    assert verify(log.export()).entries == 1


def test_erased_data_is_reported_and_totals_still_hold(history: LogBuilder, verify: Verify):
    export = history.export()
    for line in export.entries:
        line["disclosures"].pop("personal", None)

    assert verify(export).incomplete == 4


@pytest.mark.parametrize(
    ("start", "end", "numbers"),
    [
        (None, None, (1, 8)),
        (7, None, (2, 8)),
        (8, 9, (3, 8)),
        (None, 5, (1, 8)),
        (20_000, None, (7, 8)),
    ],
)
def test_a_part_of_a_stream_holds(start: Any, end: Any, numbers: Any, history: LogBuilder, verify: Verify):
    summary = verify(history.export(start=start, end=end, at=30_000))

    assert (summary.first, summary.last) == numbers


@pytest.mark.parametrize("rows", [1, 100, True, "1", None, -1])
def test_an_export_of_an_incomplete_log_is_refused(rows: Any, history: LogBuilder, verify: Verify):
    """The server says so in the entry that the export leaves in the log, so it cannot be taken out."""
    with pytest.raises(Broken, match="index 13: the log was incomplete"):
        verify(history.export(metadata={"stream": "person", "damagedRows": rows}))


def test_an_entry_that_could_not_be_logged_is_reported(history: LogBuilder, verify: Verify):
    history.add("entry.damaged", metadata={"entryId": "log_1", "sha256": "00"}, scopes=[])

    assert verify(history.export()).damaged == 1

    for limit in ({"limits": [parse_limit("9/60")]}, {"spendings": [parse_spending("9/EUR/60")]}):
        with pytest.raises(Unusable, match="limits cannot be checked, because the entry was damaged"):
            verify(history.export(), **limit)


def number_of(line: dict[str, Any]) -> int:
    part = next(item for item in line["disclosures"]["streams"] if isinstance(item, str) and '"person"' in item)
    return int(json.loads(part)[2]["number"])


FORGERIES: dict[str, tuple[Callable[[Export], object], str]] = {
    "an entry in the middle is left out": (lambda e: e.entries.pop(3), "index 9: number 4 of stream person is missing"),
    "the first entry is left out": (lambda e: e.entries.pop(0), "index 4: number 1 of stream person is missing"),
    "the last entry before the export is left out": (
        lambda e: e.entries.pop(-2),
        "index 13: number 7 of stream person is missing",
    ),
    "the export's own entry is left out": (lambda e: e.entries.pop(), "index 12: the last entry is not the export's"),
    "the end is left out": (lambda e: e.entries.__delitem__(slice(4, None)), "index 8: the last entry is not the exp"),
    "two entries are swapped": (
        lambda e: e.entries.insert(2, e.entries.pop(3)),
        "index 8: number 3 of stream person is missing",
    ),
    "an entry is repeated": (lambda e: e.entries.insert(2, e.entries[1]), "index 4: comes after index 4"),
    "all entries are left out": (lambda e: e.entries.clear(), "the export has no entries"),
    "the last line says a smaller number": (
        lambda e: e.last["stream"].update(number=7),
        "index 13: has number 8, and the last line says 7",
    ),
    "the last line is of another stream": (
        lambda e: e.last["stream"].update(id="usr_2"),
        "last line: is of another stream than the header",
    ),
    "the header names another person": (
        lambda e: (e.header["stream"].update(id="usr_2"), e.last["stream"].update(id="usr_2")),
        "index 3: the entry does not belong to person usr_2",
    ),
    "the header names another key": (
        lambda e: e.header.update(key=Signer(seed=5).vkey),
        "header: the export names another key than gate.example.com/api/v1/audit+",
    ),
    "the header has more": (lambda e: e.header.update(more=1), "header: the header has the unknown member 'more'"),
    "the header has less": (lambda e: e.header.pop("to"), "header: the header has no 'to'"),
    "the header has an unknown kind": (
        lambda e: e.header["stream"].update(kind="agent"),
        "header: unknown kind of stream: 'agent'",
    ),
    "from is not a time": (lambda e: e.header.update({"from": "yesterday"}), "header: from is not a time in UTC"),
    "from is not a date": (
        lambda e: e.header.update({"from": "2026-02-30T00:00:00Z"}),
        "header: from is not a time: '2026-02-30T00:00:00Z'",
    ),
    "all is claimed to be a part": (
        lambda e: e.header.update({"from": moment(1), "to": moment(20_000)}),
        "index 13: was made for an export of another kind or period than the header says",
    ),
    "a part is claimed to be all": (
        lambda e: e.entries.__delitem__(slice(0, 2)),
        "index 7: number 2 of stream person is missing",
    ),
    "an index is changed": (
        lambda e: e.entries[1].update(index=5),
        "index 5: the entry says that its index is 4",
    ),
    "an index is a Boolean": (lambda e: e.entries[1].update(index=True), "line 3: the member index is not a number"),
    "an index is negative": (lambda e: e.entries[1].update(index=-1), "line 3: the member index is not a number"),
    "an index is a fraction": (lambda e: e.entries[1].update(index=4.0), "line 3: the member index is not a number"),
    "a line has more members": (lambda e: e.entries[1].update(x=1), "line 3: the line has the unknown member 'x'"),
    "a line has no proof": (lambda e: e.entries[1].pop("proof"), "line 3: the line has no 'proof'"),
    "a line is a list": (lambda e: e.entries.__setitem__(1, []), "line 3: the line is not an object"),  # type: ignore[call-overload]
    "a proof is cut": (lambda e: e.entries[1]["proof"].pop(), "index 4: the entry is not in the log"),
    "a proof is cut at its start": (lambda e: e.entries[1]["proof"].pop(0), "index 4: the entry is not in the log"),
    "a proof is empty": (lambda e: e.entries[1]["proof"].clear(), "index 4: the entry is not in the log"),
    "a proof is longer": (lambda e: e.entries[1]["proof"].append(b64(bytes(32))), "index 4: the entry is not in the"),
    "a proof is not a list": (lambda e: e.entries[1].update(proof={}), "index 4: the proof is not a list"),
    "a proof has a number": (lambda e: e.entries[1]["proof"].__setitem__(0, 5), "index 4: a hash of the proof is not"),
    "a hash is short": (lambda e: e.entries[1]["proof"].__setitem__(0, "AAAA"), "index 4: a hash of the proof is not"),
    "a proof is another entry's": (
        lambda e: e.entries[1].update(proof=e.entries[2]["proof"]),
        "index 4: the entry is not in the log with the checkpoint's root",
    ),
    "an entry is changed": (
        lambda e: e.entries[1].update(entry=e.entries[1]["entry"].replace('"allowed"', '"denied"')),
        "index 4: the entry is not in the log with the checkpoint's root",
    ),
    "an entry is another's": (
        lambda e: e.entries[1].update(entry=e.entries[2]["entry"]),
        "index 4: the entry says that its index is 7",
    ),
    "an entry is not a string": (lambda e: e.entries[1].update(entry={}), "index 4: the entry is not a string"),
    "an entry is not JSON": (lambda e: e.entries[1].update(entry="{"), "index 4: the entry: is not JSON"),
    "disclosures are another entry's": (
        lambda e: e.entries[1].update(disclosures=e.entries[2]["disclosures"]),
        "index 4: the disclosures of streams do not fit the entry",
    ),
    "disclosures are not an object": (
        lambda e: e.entries[1].update(disclosures=[]),
        "index 4: disclosures is not an object",
    ),
    "a group is unknown": (
        lambda e: e.entries[1]["disclosures"].update(secret=[]),
        "index 4: disclosures has the unknown member 'secret'",
    ),
    "a group is empty": (
        lambda e: e.entries[1]["disclosures"].update(personal=[]),
        "index 4: the disclosures of personal are not a list",
    ),
    "a part is left out": (
        lambda e: e.entries[1]["disclosures"]["personal"].pop(),
        "index 4: the disclosures of personal do not fit the entry",
    ),
    "parts are swapped": (
        lambda e: e.entries[1]["disclosures"]["personal"].reverse(),
        "index 4: the disclosures of personal do not fit the entry",
    ),
    "a part is changed": (
        lambda e: change(e.entries[1]["disclosures"]["personal"], 1, "12.5", "1.5"),
        "index 4: the disclosures of personal do not fit the entry",
    ),
    "a part is invented": (
        lambda e: e.entries[4]["disclosures"].update(withheld=e.entries[2]["disclosures"]["withheld"]),
        "index 9: the disclosures of withheld do not fit the entry",
    ),
    "a part is not JSON": (
        lambda e: e.entries[1]["disclosures"]["personal"].__setitem__(0, "["),
        "index 4: a disclosure of personal: is not JSON",
    ),
    "a part is not a disclosure": (
        lambda e: e.entries[1]["disclosures"]["personal"].__setitem__(0, '["salt","ip",1]'),
        "index 4: a disclosure of personal is not a salt, a name and a value",
    ),
    "a digest is not one": (
        lambda e: e.entries[1]["disclosures"]["personal"].__setitem__(0, {"digest": "AB"}),
        "index 4: a disclosure of personal is neither a string nor a digest",
    ),
    "a number is hidden": (
        lambda e: hide(e.entries[1], "person"),
        "index 4: the number in stream person is not disclosed",
    ),
    "the streams are hidden": (
        lambda e: e.entries[1]["disclosures"].pop("streams"),
        "index 4: the number in stream person is not disclosed",
    ),
    "totals are hidden": (
        lambda e: hide(e.entries[1], "connection"),
        "index 4: the totals of its connection are not disclosed",
    ),
    "the checkpoint is missing": (lambda e: e.last.pop("checkpoint"), "last line: has no checkpoint"),
    "the checkpoint is not text": (lambda e: e.last.update(checkpoint=1), "last line: checkpoint is not a string"),
    "the last line has more": (lambda e: e.last.update(more=1), "last line: it has the unknown member 'more'"),
    "the checkpoint is not signed": (
        lambda e: e.last.update(checkpoint=e.last["checkpoint"].split("\n\n")[0] + "\n\n"),
        "last line: is not a signed note",
    ),
    "the checkpoint's root is changed": (
        lambda e: e.last.update(checkpoint=replace_line(e.last["checkpoint"], 2, b64(bytes(32)))),
        "last line: has a false signature in the name of gate.example.com/api/v1/audit",
    ),
    "the checkpoint's size is changed": (
        lambda e: e.last.update(checkpoint=replace_line(e.last["checkpoint"], 1, "99")),
        "last line: has a false signature in the name of gate.example.com/api/v1/audit",
    ),
    "the checkpoint's time is changed": (
        lambda e: e.last.update(checkpoint=replace_line(e.last["checkpoint"], 3, f"time {moment(5)}")),
        "last line: has a false signature in the name of gate.example.com/api/v1/audit",
    ),
}


def change(parts: list[str], place: int, old: str, new: str) -> None:
    assert old in parts[place]
    parts[place] = parts[place].replace(old, new)


def hide(line: dict[str, Any], name: str) -> None:
    parts = line["disclosures"]["streams"]
    for place, text in enumerate(parts):
        if isinstance(text, str) and json.loads(text)[1] == name:
            parts[place] = {"digest": hashlib.sha256(text.encode()).hexdigest()}


def replace_line(text: str, number: int, line: str) -> str:
    lines = text.split("\n")
    lines[number] = line
    return "\n".join(lines)


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forgery_is_named(name: str, history: LogBuilder, verify: Verify):
    forge, message = FORGERIES[name]
    export = history.export()
    assert [line["index"] for line in export.entries] == [3, 4, 7, 8, 9, 11, 12, 13]
    forge(export)

    with pytest.raises(Broken) as caught:
        verify(export)
    assert str(caught.value).startswith(message)


def test_an_export_by_another_key_is_refused(log: LogBuilder, verify: Verify):
    forger = LogBuilder(Signer(seed=7))
    forger.allow()
    export = forger.export()
    export.header["key"] = log.signer.vkey

    with pytest.raises(Broken, match="last line: is not signed by gate.example.com"):
        verify(export)


def test_an_export_of_another_log_is_refused(verify: Verify, log: LogBuilder):
    other = LogBuilder(Signer("other.example/log"))
    export = other.export()
    export.header["key"] = log.signer.vkey

    with pytest.raises(Broken, match="last line: is of another log: 'other.example/log'"):
        verify(export)


@pytest.mark.parametrize(("place", "missing"), [(1, 2), (4, 5)])
def test_a_log_that_skips_a_number_is_named(place: int, missing: int, log: LogBuilder, verify: Verify):
    for number in range(6):
        if number == place:
            log.skip_number(f"person {PERSON}")
        log.deny()

    with pytest.raises(Broken, match=f"^index {place}: number {missing} of stream person is missing$"):
        verify(log.export())


def test_a_log_that_renumbers_is_named(log: LogBuilder, verify: Verify):
    log.deny()
    log.deny()
    log.numbers[f"person {PERSON}"] -= 1
    log.deny()

    with pytest.raises(Broken, match="^index 2: number 2 of stream person comes after 2$"):
        verify(log.export())


def test_numbers_begin_with_1(log: LogBuilder, verify: Verify):
    log.numbers[f"person {PERSON}"] = -1
    log.deny(at=-10)
    export = log.export(start=0, end=20_000)
    with pytest.raises(Broken, match="^index 0: numbers begin with 1$"):
        verify(export)


def test_a_number_that_is_hidden_from_the_last_line_shows(log: LogBuilder, verify: Verify):
    log.deny()
    export = log.export(event="audit.read")

    with pytest.raises(Broken, match="^index 1: the last entry is not the export's own"):
        verify(export)


@pytest.mark.parametrize(
    ("forge", "message"),
    [
        (lambda e: e.entries.pop(0), "index 7: number 2 of stream person is missing"),
        (lambda e: e.entries.pop(1), "index 8: number 3 of stream person is missing"),
        (lambda e: e.entries.pop(-2), "index 13: number 5 of stream person is missing"),
    ],
)
def test_a_part_must_have_its_neighbors(forge: Any, message: str, history: LogBuilder, verify: Verify):
    export = history.export(start=7, end=9)
    assert [number_of(line) for line in export.entries] == [2, 3, 4, 5, 8]
    forge(export)

    with pytest.raises(Broken, match=message):
        verify(export)


TEXTS: dict[str, tuple[Callable[[list[bytes]], object], str]] = {
    "a line is cut": (lambda lines: lines.__setitem__(2, lines[2][:-40] + b"\n"), "line 3: is not JSON"),
    "a line is empty": (lambda lines: lines.insert(2, b"\n"), "line 3: is not JSON"),
    "a line follows the last": (lambda lines: lines.append(b"{}\n"), "last line: has no checkpoint"),
    "the last line is missing": (lambda lines: lines.pop(), "last line: has no checkpoint"),
    "the last line is cut": (lambda lines: lines.__setitem__(-1, lines[-1][:-9]), "last line: is not JSON"),
    "only the header is left": (lambda lines: lines.__delitem__(slice(1, None)), "the last line, with the checkpoint"),
    "the last line is repeated": (lambda lines: lines.append(lines[-1]), "line 10: the line has no 'disclosures'"),
    "the header is repeated": (lambda lines: lines.insert(1, lines[0]), "line 2: the line has no 'disclosures'"),
    "a line is huge": (
        lambda lines: lines.insert(2, b'"' + b"a" * MAX_LINE + b'"\n'),
        f"line 3: is longer than {MAX_LINE} bytes",
    ),
    "the last line is huge": (
        lambda lines: lines.append(b'"' + b"a" * MAX_LINE + b'"\n'),
        "the last line, with the checkpoint, is missing",
    ),
    "a line is deep": (lambda lines: lines.insert(2, b"[" * 200_000 + b"\n"), "line 3: is JSON nested too deeply"),
    "a line has NaN": (lambda lines: lines.insert(2, b'{"index":NaN}\n'), "line 3: is not JSON: NaN is not a number"),
    "a line has Infinity": (lambda lines: lines.insert(2, b"-Infinity\n"), "line 3: is not JSON: -Infinity is not a"),
    "a line has a huge number": (lambda lines: lines.insert(2, b"9" * 9999 + b"\n"), "line 3: is not JSON: Exceeds"),
    "a line has a long exponent": (
        lambda lines: lines.insert(2, b'{"index":1e99999999999999999999,"entry":1,"proof":1,"disclosures":1}\n'),
        "line 3: the member index is not a number of the log",
    ),
    "a name is repeated": (
        lambda lines: lines.__setitem__(2, lines[2].replace(b"{", b'{"index":4,', 1)),
        "line 3: is not JSON: a name is repeated in an object",
    ),
    "a line is not UTF-8": (lambda lines: lines.__setitem__(2, b"\xff" + lines[2]), "line 3: is not UTF-8"),
    "an entry has half a surrogate pair": (
        lambda lines: lines.__setitem__(2, lines[2].replace("grün".encode(), b"\\ud800")),
        "index 4: the entry is not Unicode",
    ),
    "a terminal is attacked": (
        lambda lines: lines.insert(2, b'{"\\u001b[31m":1,"index":1,"entry":1,"proof":1,"disclosures":1}\n'),
        r"line 3: the line has the unknown member '\x1b[31m'",
    ),
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_damaged_file_is_named(name: str, history: LogBuilder, verify: Verify):
    damage, message = TEXTS[name]
    lines = history.export().data().splitlines(keepends=True)
    damage(lines)

    with pytest.raises(Broken) as caught:
        verify(b"".join(lines))
    assert str(caught.value).startswith(message)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "data",
    [b"", b"\n", b"{}\n", b"[]\n", b"\xff\n", b"[" * 100_000, b"{" + b" " * MAX_LINE + b"}", b'{"format":"other/1"}\n'],
    ids=lambda data: ascii(data[:16]),
)
def test_what_is_not_an_export_is_unusable(data: bytes, verify: Verify):
    with pytest.raises(Unusable, match="not an export of an AgentGate log"):
        verify(data)


def test_a_missing_newline_at_the_end_does_not_matter(history: LogBuilder, verify: Verify):
    assert verify(history.export().data()[:-1]).entries == 8


def test_a_witness_is_required(history: LogBuilder, verify: Verify, witness: Signer):
    key = parse_key(witness.vkey, COSIGNATURE)
    stranger = parse_key(Signer("witness.example/w1", COSIGNATURE, seed=3).vkey, COSIGNATURE)
    export = history.export(witnesses=(witness,))

    assert verify(export, witnesses=[key]).cosigned == [1_770_000_000]
    with pytest.raises(Broken, match="last line: is not cosigned by witness.example/w1"):
        verify(export, witnesses=[key, stranger])


def test_a_key_is_of_its_kind(witness: Signer, log: LogBuilder):
    with pytest.raises(Unusable, match="this is a witness's key"):
        parse_key(witness.vkey, ED25519)
    with pytest.raises(Unusable, match="this is a log's key"):
        parse_key(log.signer.vkey, COSIGNATURE)
