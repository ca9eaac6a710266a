"""Signed notes, checkpoints, keys and encodings."""

from __future__ import annotations

import struct

import pytest
from log_builder import LogBuilder, Signer, b64

from agentgate_audit import Broken, Unusable, open_checkpoint, parse_key, verify_cosignature
from agentgate_audit.checkpoint import cosign, parse_checkpoint
from agentgate_audit.encoding import decode_base64, decode_base64url
from agentgate_audit.note import COSIGNATURE, ED25519, MAX_SIGNATURES, VerifierKey, parse_note, verify_note

LOG = Signer()
BODY = f"{LOG.name}\n5\n{b64(bytes(32))}\n"
SIGNED = f"{BODY}\n{LOG.sign(BODY)}"
# The example of C2SP signed-note, and the key of golang.org/x/mod/sumdb/note's documentation, which others made.
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETERS_NOTE = """If you think cryptography is the answer to your problem,
then you don't know what your problem is.

— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
"""


def test_a_note_made_by_go_verifies():
    verify_note(parse_note(PETERS_NOTE), parse_key(PETER, ED25519))


def test_a_key_is_written_as_it_was_read():
    for text, kind in [(PETER, ED25519), (LOG.vkey, ED25519), (Signer("w", COSIGNATURE).vkey, COSIGNATURE)]:
        assert str(parse_key(f" {text}\n", kind)) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a verifier key, which looks like NAME"),
        ("name", "not a verifier key, which looks like NAME"),
        ("+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", "not a verifier key, which looks like NAME"),
        (PETER.replace("Peter", "Peter "), "not a verifier key, which looks like NAME"),
        (PETER.replace("Peter", "Peter\u2003"), "not a verifier key, which looks like NAME"),
        (PETER.replace("c74f20a3", "c74f20a4"), "ID does not match its key"),
        (PETER.replace("c74f20a3", "C74F20A3"), "ID does not match its key"),
        (PETER[:-4], "not an Ed25519 verifier key"),
        (PETER[:-1], "not a verifier key: the key is not Base64"),
        (PETER.replace("+AR", "+BB"), "this is a witness's key"),
        (PETER.replace("+AR", "+CR"), "not an Ed25519 verifier key"),
    ],
)
def test_a_malformed_key_is_refused(text: str, message: str):
    with pytest.raises(Unusable, match=message):
        parse_key(text, ED25519)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not a signed note"),
        (BODY, "is not a signed note"),
        (f"{BODY}\n", "is not a signed note"),
        (SIGNED[:-1], "is not a signed note"),
        (SIGNED.replace("—", "-"), "a line that is not a signature"),
        (SIGNED.replace("— ", "—"), "a line that is not a signature"),
        (SIGNED.replace("— gate", "—  gate"), "a line that is not a signature"),
        (SIGNED + "\n", "is not a signed note"),
        (SIGNED + "— w+1 AAAAAAAA\n", "a line that is not a signature"),
        (SIGNED + "— w AAAA\n", "a signature that is too short"),
        (SIGNED + "— w AAAAAAA\n", "a signature is not Base64"),
        (SIGNED + "— w AAAAAA==\n", "a signature that is too short"),
        (SIGNED + "— w AAAAAAB=\n", "a signature is not Base64 in its only spelling"),
        (SIGNED.replace("\n5\n", "\n5\r\n"), "control characters"),
        (SIGNED.replace("\n5\n", "\n5\t\n"), "control characters"),
        (SIGNED + "— w AAAAAAAA\n" * MAX_SIGNATURES, "more than 64 signatures"),
    ],
)
def test_a_malformed_note_is_refused(text: str, message: str):
    with pytest.raises(Broken, match=message):
        parse_note(text)


def test_signatures_by_others_do_not_matter():
    same_name, same_id = Signer(seed=3), Signer("other")
    stranger = f"— {LOG.name} {b64(same_name.id + bytes(64))}\n— other {b64(LOG.id + bytes(64))}\n{same_id.sign('x')}"
    note = parse_note(f"{BODY}\n{stranger}{LOG.sign(BODY)}")

    verify_note(note, parse_key(LOG.vkey, ED25519))
    with pytest.raises(Broken, match="is not signed by gate.example.com"):
        verify_note(parse_note(f"{BODY}\n{stranger}"), parse_key(LOG.vkey, ED25519))


@pytest.mark.parametrize("value", [bytes(64), b"short", b"long" * 40])
def test_a_false_signature_spoils_the_note(value: bytes):
    """Even beside a good one by the same key."""
    for lines in (LOG.line(value), LOG.sign(BODY) + LOG.line(value), LOG.line(value) + LOG.sign(BODY)):
        with pytest.raises(Broken, match="has a false signature in the name of gate.example.com"):
            verify_note(parse_note(f"{BODY}\n{lines}"), parse_key(LOG.vkey, ED25519))


def checkpoint(body: str) -> str:
    return f"{body}\n{LOG.sign(body)}"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("a\n5\n", "is not a checkpoint"),
        (BODY.replace("\n5\n", "\n05\n"), "has no size: '05'"),
        (BODY.replace("\n5\n", "\n-5\n"), "has no size"),
        (BODY.replace("\n5\n", "\n5 \n"), "has no size"),
        (BODY.replace("\n5\n", "\n\n5\n"), "is not a checkpoint"),
        (BODY.replace("\n5\n", "\n５\n"), "has no size"),
        (BODY.replace("\n5\n", f"\n{'9' * 20}\n"), "has no size"),
        (BODY.replace("AAAA", "AA", 1), "its root is not"),
        (BODY.replace("A=", "B="), "its root is not Base64 in its only spelling"),
        (f"{BODY}time yesterday\n", "its time is not a time in UTC: 'yesterday'"),
        (BODY.replace(LOG.name, "other.example"), "is of another log: 'other.example'"),
    ],
)
def test_a_malformed_checkpoint_is_refused(body: str, message: str):
    with pytest.raises(Broken, match=message):
        open_checkpoint(checkpoint(body), parse_key(LOG.vkey, ED25519))


def test_a_checkpoint_may_have_other_lines():
    found = open_checkpoint(checkpoint(f"{BODY}more\ntime 2026-01-01T00:00:00.5Z\n"), parse_key(LOG.vkey, ED25519))
    assert (found.size, found.root, found.time) == (5, bytes(32), 1_767_225_600_500_000)
    assert open_checkpoint(SIGNED, parse_key(LOG.vkey, ED25519)).time is None


def test_a_cosignature_is_that_of_the_builder():
    witness = Signer("witness.example/w1", COSIGNATURE, seed=2)
    note = parse_checkpoint(LogBuilder().checkpoint(0)).note
    key = parse_key(witness.vkey, COSIGNATURE)

    assert str(cosign(note, witness.name, witness.private, 1_700_000_000)) == witness.cosign(note.text, 1_700_000_000)
    signed = parse_note(f"{note.text}\n{witness.cosign(note.text, 5)}{witness.cosign(note.text, 7)}")
    assert verify_cosignature(signed, key) == 7


def test_a_false_cosignature_spoils_the_checkpoint():
    witness = Signer("witness.example/w1", COSIGNATURE, seed=2)
    key = VerifierKey(witness.name, COSIGNATURE, witness.public[1:])
    good = witness.cosign(BODY, 5)
    plain = witness.line(struct.pack(">Q", 5) + witness.private.sign(BODY.encode()))
    late = witness.line(struct.pack(">Q", 6) + witness.private.sign(f"cosignature/v1\ntime 5\n{BODY}".encode()))
    other = witness.cosign(BODY.replace("5", "6"), 5)
    future = witness.cosign(BODY, 2**63)

    for bad in (plain, late, other, future):
        for lines in (bad, good + bad):
            with pytest.raises(Broken, match="has a false cosignature in the name of witness.example/w1"):
                verify_cosignature(parse_note(f"{BODY}\n{lines}"), key)
    with pytest.raises(Broken, match="has a malformed cosignature"):
        verify_cosignature(parse_note(f"{BODY}\n{witness.sign(BODY)}"), key)


@pytest.mark.parametrize("text", ["A", "AB==", "AAB=", "AA==\n", "AA=", "AA", "A-A=", "ÄÄ==", "AAAA===="])
def test_base64_has_one_spelling(text: str):
    with pytest.raises(Broken, match="it is not Base64"):
        decode_base64(text, "it")


@pytest.mark.parametrize("text", ["AB", "AAB", "AA==", "A+A", "A/A", "A A", "A"])
def test_base64url_has_one_spelling(text: str):
    with pytest.raises(Broken, match="it is not Base64"):
        decode_base64url(text, "it")
    assert decode_base64url("-_8", "it") == b"\xfb\xff"
