"""What the sequencer writes proves itself: a tree, signed checkpoints, numbers without gaps and exact totals."""

import hashlib
import json
import threading
from base64 import b64decode, b64encode
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.db import OperationalError, connection, transaction

from audit.entries.drafts import Draft
from audit.entries.records import decode_opening
from audit.events import Event, Outcome
from audit.models import Checkpoint, Entry, Journal, Posting, Progress, Segment, Stream, Tile
from audit.sequencing import log, sequencer
from audit.sequencing.log import Log, Placed, leaf_of, newest
from audit.sequencing.sequencer import sequence
from audit.sequencing.streams import add_amount
from audit.services import append
from audit.signing import anchors
from audit.signing.checkpoints import latest
from audit.signing.log_keys import signer
from core.locks import revocation
from tests.audit.journals import decision, write_row
from tests.audit.segments import shrink_segments
from tests.threads import race

pytestmark = pytest.mark.django_db

ENDS = Draft(event=Event.CONSENT_REVOKED, actor=decision().actor, user_id="usr_1", consent_id="cns_1")


@pytest.fixture(autouse=True)
def _save_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequencer, "SAVE_SECONDS", 0.0)


def naive_root(leaves: list[bytes]) -> bytes:
    """Return the root as RFC 6962 section 2.1 defines it."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    half = 1 << ((len(leaves) - 1).bit_length() - 1)
    return hashlib.sha256(b"\x01" + naive_root(leaves[:half]) + naive_root(leaves[half:])).digest()


def leaves() -> list[bytes]:
    return [leaf_of(entry) for entry in Entry.objects.order_by("leaf_index")]


def signed_root(note: str) -> tuple[int, bytes]:
    """Return the size and root of a checkpoint. Raises `InvalidSignature`."""
    text, _, signatures = note.partition("\n\n")
    origin, size, root, _ = f"{text}\n".split("\n", 3)
    dash, name, signature = signatures.split("\n")[0].split(" ")
    raw = b64decode(signature)
    key = signer()
    assert (dash, name, raw[:4]) == ("—", origin, key.key_id)
    Ed25519PublicKey.from_public_bytes(key.public).verify(raw[4:], f"{text}\n".encode())
    return int(size), b64decode(root)


@pytest.mark.parametrize("sizes", [[1], [3, 4, 1], [255], [256], [255, 1, 1], [300, 300]])
def test_each_checkpoint_has_the_root_of_all_entries_before_it(sizes: list[int]) -> None:
    for size in sizes:
        write_row(size)
        assert sequence() == size
    entries, checkpoints = leaves(), list(Checkpoint.objects.order_by("size"))
    assert [checkpoint.size for checkpoint in checkpoints] == [sum(sizes[: n + 1]) for n in range(len(sizes))]
    for checkpoint in checkpoints:
        assert signed_root(checkpoint.note) == (checkpoint.size, naive_root(entries[: checkpoint.size]))


def test_a_changed_checkpoint_does_not_verify() -> None:
    write_row(2)
    sequence()
    note = Checkpoint.objects.get().note
    with pytest.raises(InvalidSignature):
        signed_root(note.replace("\n2\n", "\n3\n"))


def test_full_tiles_are_stored_with_their_roots() -> None:
    write_row(600)
    sequence()
    tiles = list(Tile.objects.order_by("level", "number"))
    entries = leaves()
    assert [(tile.level, tile.number) for tile in tiles] == [(0, 0), (0, 1)]
    for tile in tiles:
        part = entries[256 * tile.number :][:256]
        assert tile.hashes == b"".join(hashlib.sha256(b"\x00" + one).digest() for one in part)
        assert tile.root == naive_root(part)


@pytest.mark.django_db(transaction=True)
def test_a_process_that_takes_over_goes_on_where_the_other_ended() -> None:
    for size in (3, 254, 300):
        write_row(size)
        sequence()
        sequencer.forget()
    entries = leaves()
    assert [json.loads(one)["index"] for one in entries] == list(range(557))
    checkpoint = latest()
    assert checkpoint is not None
    assert signed_root(checkpoint.note) == (557, naive_root(entries))
    assert [decode_opening(entry.opening)[1].plain for entry in Entry.objects.order_by("leaf_index")] == [
        [number, number] for number in range(1, 558)
    ]


@pytest.mark.django_db(transaction=True)
def test_a_process_notices_that_another_has_appended() -> None:
    write_row(3)
    sequence()
    mine = sequencer.memory.log
    sequencer.memory.log = None
    write_row(2)
    sequence()
    sequencer.memory.log = mine  # this process does not know of the last two
    write_row(2)
    assert sequence() == 2
    assert [json.loads(one)["index"] for one in leaves()] == list(range(7))
    assert [decode_opening(entry.opening)[1].plain[0] for entry in Entry.objects.order_by("leaf_index")] == [
        *range(1, 8)
    ]


def test_numbers_and_totals_of_each_stream_have_no_gap() -> None:
    def amount(value: str, currency: str = "EUR") -> dict[str, Any]:
        return {"amount": {"value": value, "currency": currency}}

    with transaction.atomic():
        append([decision(personal=amount("12.50")), decision(user_id="usr_2", consent_id="cns_2")])
        append([decision(outcome=Outcome.DENIED, personal=amount("99.00"))])
        append([decision(personal=amount("1.250")), decision(personal=amount("7", "JPY"))])
        append([decision(organization_id="org_2", service_organization_ids=["org_1", "org_3"])])
        append([ENDS])
    sequence()
    found = [decode_opening(entry.opening)[1] for entry in Entry.objects.order_by("leaf_index")]
    assert [numbers.plain for numbers in found] == [[1, 1], [2, 1], [3, 2], [4, 3], [5, 4], [1, 6, 1, 5], [6]]
    totals = [numbers.totals for numbers in found if numbers.totals]
    assert [(one.number, one.allowed, one.denied) for one in totals] == [
        (1, 1, 0),
        (1, 1, 0),
        (2, 1, 1),
        (3, 2, 1),
        (4, 3, 1),
        (5, 4, 1),
        (6, 4, 1),
    ]
    assert totals[-1].spent == {"EUR": "13.750", "JPY": "7"}
    assert Decimal(totals[3].spent["EUR"]) == Decimal("13.75")


def test_totals_have_at_most_sixteen_currencies() -> None:
    codes = [f"{letter}AA" for letter in "ABCDEFGHIJKLMNOPQ"]
    for code in [*codes, "AAA", "QAA"]:
        write_row(personal={"amount": {"currency": code, "value": "1.5"}})
    sequence()
    totals = [decode_opening(entry.opening)[1].totals for entry in Entry.objects.order_by("leaf_index")]
    assert [len(one.spent) for one in totals if one] == [*range(1, 17), 16, 16, 16]
    assert totals[-1]
    assert totals[-1].spent == {**dict.fromkeys(codes[:16], "1.5"), "AAA": "3.0"}


def test_an_amount_that_cannot_be_read_is_in_no_total() -> None:
    write_row(personal={"amount": {"unreadable": True}})
    write_row(personal={"amount": {"currency": "EUR", "value": "1.5"}})
    sequence()
    totals = [decode_opening(entry.opening)[1].totals for entry in Entry.objects.order_by("leaf_index")]
    assert [one.spent for one in totals if one] == [{}, {"EUR": "1.5"}]


def test_amounts_of_allowed_calls_and_commits_count() -> None:
    amount = {"amount": {"currency": "EUR", "value": "1.5"}}
    reserved = {"amount": {**amount["amount"], "reserved": True}}
    write_row(personal=reserved)
    write_row(personal=amount, event=Event.RESERVATION_COMMITTED, outcome=Outcome.INFO)
    write_row(personal=amount, event=Event.RESERVATION_VOIDED, outcome=Outcome.INFO)
    write_row(personal=amount, outcome=Outcome.DENIED)
    write_row(personal=amount)
    sequence()
    totals = [decode_opening(entry.opening)[1].totals for entry in Entry.objects.order_by("leaf_index")]
    assert [one.spent.get("EUR") for one in totals if one] == [None, "1.5", "1.5", "1.5", "3.0"]


def test_totals_are_not_rounded() -> None:
    before = {"EUR": "1" + "0" * 30 + ".1"}
    assert add_amount(before, {"currency": "EUR", "value": "0.00000001"}) == {"EUR": "1" + "0" * 30 + ".10000001"}


def test_the_heads_of_streams_are_saved_and_loaded_again() -> None:
    write_row(5)
    sequence()
    sequence()
    stream = Stream.objects.get(pk="cns_1")
    assert (stream.number, stream.allowed, Progress.objects.get().streams_size) == (5, 5, 5)
    sequencer.forget()
    write_row(1, outcome=Outcome.DENIED)
    sequence()
    sequence()
    again = Stream.objects.get(pk="cns_1")
    assert (again.number, again.allowed, again.denied, again.used_at) == (6, 5, 1, stream.used_at)


def test_heads_that_were_not_saved_are_read_from_the_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    write_row(2)
    sequence()
    used_at = Stream.objects.get(pk="cns_1").used_at
    monkeypatch.setattr(sequencer, "SAVE_SECONDS", 1000.0)
    shrink_segments(monkeypatch, 16)
    write_row(1, consent_id="cns_2")
    write_row(300, outcome=Outcome.DENIED)  # which complete a tile and segments
    sequence()
    assert Stream.objects.get(pk="cns_1").number == 2
    sequencer.forget()
    monkeypatch.setattr(log, "ENTRIES_PER_QUERY", 100)
    monkeypatch.setattr(sequencer, "SAVE_SECONDS", 0.0)
    write_row(1, outcome=Outcome.DENIED)
    write_row(1, consent_id="cns_2")
    sequence()
    assert Stream.objects.get(pk="cns_2").number == 2
    stream = Stream.objects.get(pk="cns_1")
    assert (stream.number, stream.allowed, stream.denied, stream.used_at) == (303, 2, 301, used_at)


def test_postings_are_written_when_a_segment_is_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink_segments(monkeypatch, 8)
    write_row(7)
    sequence()
    assert not Segment.objects.exists()
    sequencer.forget()
    write_row(10)
    sequence()
    assert [segment.number for segment in Segment.objects.order_by("number")] == [0, 1]
    # The organization, the user, the agent, the consent, the event, the outcome, the actor and the action.
    assert Posting.objects.filter(segment=0).count() == 8


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("step", ["_delete", "write", "save_streams"])
def test_a_crash_in_a_transaction_leaves_no_trace(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write_row(3)
    sequence()
    write_row(2)
    owner: Any = {"_delete": sequencer, "write": Placed, "save_streams": Log}[step]
    original = getattr(owner, step)

    def crash(*given: Any) -> None:
        original(*given)
        raise OperationalError("the server closed the connection")

    with monkeypatch.context() as patch:
        patch.setattr(owner, step, crash)
        with pytest.raises(OperationalError):
            sequence()
    assert (Entry.objects.count(), Journal.objects.count()) == (3, 1)
    assert sequence() == 2
    checkpoint = latest()
    assert checkpoint is not None
    assert signed_root(checkpoint.note) == (5, naive_root(leaves()))


@pytest.mark.django_db(transaction=True)
def test_a_crash_before_the_checkpoint_is_made_good_by_the_next_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*given: Any) -> None:
        raise OperationalError("the server closed the connection")

    write_row(3)
    with monkeypatch.context() as patch:
        patch.setattr(sequencer.checkpoints, "insert", crash)
        with pytest.raises(OperationalError):
            sequence()
    assert not Checkpoint.objects.exists()
    assert sequence() == 0
    assert Checkpoint.objects.get().size == 3


@pytest.mark.django_db(transaction=True)
def test_the_entry_of_a_revocation_follows_the_decisions_that_it_waited_for(store: str) -> None:
    """A decision that has read its facts holds the lock until its commit, and the revocation's entry comes after it."""
    if store == "sqlite":
        pytest.skip("SQLite has one writer at a time, so rows are in the order of commits")
    holds_lock, has_appended, may_commit = threading.Event(), threading.Event(), threading.Event()

    def decide() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [0x4147_0001])
            holds_lock.set()
            assert has_appended.wait(10)
            write_row(1)
            may_commit.wait(0.3)

    def revoke() -> None:
        assert holds_lock.wait(10)
        with revocation():
            append([ENDS])
            has_appended.set()

    race([decide, revoke])
    sequence()
    assert list(Entry.objects.order_by("leaf_index").values_list("event", flat=True)) == [
        "token.verify",
        "consent.revoked",
    ]


def test_a_revocation_that_fails_logs_nothing() -> None:
    def revoke() -> None:
        with revocation():
            append([ENDS])
            raise RuntimeError("boom")

    with pytest.raises(RuntimeError):
        revoke()
    assert not Journal.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_checkpoints_are_anchored_outside_the_database(tmp_path: Path, settings: Any) -> None:
    settings.AUDIT_ANCHOR_DIR = tmp_path / "anchors"
    anchors._kept.clear()
    for _ in range(2):
        write_row(1)
        sequence()
    first, second = (one.note for one in Checkpoint.objects.order_by("size"))
    assert (tmp_path / "anchors" / "checkpoint").read_text() == second
    (kept,) = (tmp_path / "anchors").glob("*.txt")
    assert kept.name == f"{datetime.now(UTC):%Y-%m-%d}.txt"
    assert kept.read_text() == f"{first}\n"


@pytest.mark.django_db(transaction=True)
def test_a_folder_that_cannot_be_written_does_not_stop_the_log(
    tmp_path: Path, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    settings.AUDIT_ANCHOR_DIR = tmp_path / "file" / "anchors"
    write_row(1)
    assert sequence() == 1
    assert "could not be anchored" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_the_end_of_the_log_is_the_same_in_memory_and_read_from_the_database() -> None:
    write_row(300)
    sequence()
    kept, read = sequencer.memory.log, Log(*newest())
    assert kept is not None
    assert (kept.root(), kept.size, kept.newest) == (read.root(), read.size, read.newest)
    assert b64encode(read.root()).decode() in Checkpoint.objects.get().note
