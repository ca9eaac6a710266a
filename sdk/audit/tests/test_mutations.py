"""No changed byte of an export passes, except in what no check is about."""

from __future__ import annotations

import json
import os
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from log_builder import LogBuilder, Signer

from agentgate_audit import AuditError, VerifierKey, parse_key, verify_export
from agentgate_audit.note import COSIGNATURE, ED25519

KEY = parse_key(Signer().vkey, ED25519)
WITNESS = Signer("witness.example/w1", COSIGNATURE, seed=2)


def make_export(**bounds: float) -> bytes:
    log = LogBuilder()
    log.fill(2)
    log.add("consent.approved", ip="203.0.113.9")
    log.allow(amount={"currency": "EUR", "value": "12.5"}, userAgent="Ünï – “quotes”")
    log.deny(policy={"policyId": "pol_1"})
    log.add("consent.revoked")
    return log.export(witnesses=(WITNESS,), **bounds).data()


EXPORT = make_export()
SETTINGS = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))


# One of so many bytes is changed, and with the variable each, as `./dev soak` does.
STEP = 1 if os.environ.get("EVERY_BYTE") else 5


def passes(path: Path, data: bytes, witness: VerifierKey | None = None) -> bool:
    path.write_bytes(data)
    try:
        verify_export(path, KEY, witnesses=[witness or parse_key(WITNESS.vkey, COSIGNATURE)])
    except AuditError as error:
        assert str(error).isprintable()
        return False
    return True


def meaning(data: bytes) -> list[object]:
    """Return what an export says, without the only thing that no check is about."""
    # Not splitlines: a carriage return is white space in JSON.
    header, *lines = [json.loads(line) for line in data.removesuffix(b"\n").split(b"\n")]
    return [{**header, "createdAt": None}, *lines]


def test_the_export_holds(tmp_path: Path):
    assert passes(tmp_path / "export.jsonl", EXPORT)


def test_no_flipped_byte_passes(tmp_path: Path):
    survivors = 0
    for place in range(0, len(EXPORT), STEP):
        changed = EXPORT[:place] + bytes([EXPORT[place] ^ (0x01, 0x20)[place % 2]]) + EXPORT[place + 1 :]
        if passes(tmp_path / "export.jsonl", changed):
            survivors += 1
            assert meaning(changed) == meaning(EXPORT), place
    # A flipped digit of createdAt is most often another digit.
    assert survivors < 20 / STEP + 1


def test_no_flipped_byte_of_a_part_s_header_passes(tmp_path: Path):
    export = make_export(start=3, end=4)
    assert passes(tmp_path / "export.jsonl", export)
    for flip in (0x01, 0x20):
        for place in range(export.index(b"\n")):
            changed = export[:place] + bytes([export[place] ^ flip]) + export[place + 1 :]
            if passes(tmp_path / "export.jsonl", changed):
                assert meaning(changed) == meaning(export), place


@SETTINGS
@example(0, b"\r", 0)
@given(st.integers(0, len(EXPORT) - 1), st.binary(max_size=3), st.integers(0, 40))
def test_no_replaced_bytes_pass(tmp_path: Path, place: int, new: bytes, length: int):
    changed = EXPORT[:place] + new + EXPORT[place + length :]

    if passes(tmp_path / "export.jsonl", changed):
        assert meaning(changed) == meaning(EXPORT)


@SETTINGS
@given(st.data())
def test_no_moved_lines_pass(tmp_path: Path, data: st.DataObject):
    lines = EXPORT.splitlines(keepends=True)
    chosen = data.draw(st.lists(st.sampled_from(lines), max_size=len(lines) + 2))

    assert passes(tmp_path / "export.jsonl", b"".join(chosen)) == (chosen == lines)


@SETTINGS
@given(st.integers(0, len(EXPORT) - 2))
def test_no_cut_export_passes(tmp_path: Path, length: int):
    assert not passes(tmp_path / "export.jsonl", EXPORT[:length])


@SETTINGS
@given(st.binary(max_size=300))
def test_arbitrary_lines_do_not_pass(tmp_path: Path, data: bytes):
    header = EXPORT.splitlines(keepends=True)[0]

    assert not passes(tmp_path / "export.jsonl", header + data)


def test_what_may_change(tmp_path: Path):
    """Spaces between JSON tokens, the header's createdAt, and signatures by keys that the reader did not name."""
    export = EXPORT.replace(b'{"index"', b'{ "index"')
    export = export.replace(b'"createdAt":"2026-01-01T02', b'"createdAt":"2026-01-01T03')
    assert export != EXPORT
    assert passes(tmp_path / "export.jsonl", export)

    log = LogBuilder()
    stranger = Signer("witness.example/w2", COSIGNATURE, seed=3)
    data = log.export(witnesses=(WITNESS, stranger)).data().replace(b"witness.example/w2", b"witness.example/w3")
    assert passes(tmp_path / "export.jsonl", data)
