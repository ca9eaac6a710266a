"""`audit_verify` names the first entry that is wrong, whatever the owner of the database has changed."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.db import connection

from audit.database.triggers import install_statements, remove_statements
from audit.entries import personal_keys
from audit.entries.drafts import Draft
from audit.entries.packing import pack, unpack
from audit.entries.records import decode_opening, encode_opening
from audit.events import Event, Outcome
from audit.models import Checkpoint, Entry, Posting, Progress, Segment, Stream, Tile
from audit.sequencing import log, postings
from audit.sequencing.sequencer import sequence
from audit.signing import log_keys
from audit.signing.notes import checkpoint_text
from audit.verification import log as verification
from core import clock
from core.actor import SYSTEM
from tests.audit.histories import EUR, START, use_small_tree, verify, write_history
from tests.audit.journals import write_drafts, write_row
from tests.shared import rows_of_module

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module", autouse=True)
def _log(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch, rows_of_module(django_db_blocker):
        use_small_tree(patch)
        patch.setattr(verification, "_snapshot", nullcontext)  # these tests see one moment in their transactions
        write_history()
        with connection.cursor() as cursor:
            for statement in remove_statements(connection.vendor):
                cursor.execute(statement)
        yield


def change(statement: str, *values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        assert cursor.rowcount > 0


def bad(message: str) -> None:
    code, line = verify()
    assert (code, "\n" in line) == (1, False)
    assert message in line


@pytest.mark.postgresql
def test_a_sound_log() -> None:
    assert verify() == (0, "41 entries, 6 streams and 11 checkpoints are right.")


def test_entries_that_no_checkpoint_covers_are_verified_too() -> None:
    Checkpoint.objects.filter(size=41)._raw_delete(using="default")
    assert verify() == (0, "41 entries, 6 streams and 10 checkpoints are right.")
    change("UPDATE audit_entry SET outcome = 'info' WHERE leaf_index = 40")
    bad("index 40: the column outcome")


def test_a_log_with_several_services_in_an_entry() -> None:
    write_row(1, service_organization_ids=["org_2", "org_3"])
    sequence()
    assert verify()[0] == 0
    change("UPDATE audit_entry SET organizations = 'org_1 org_2 ' WHERE leaf_index = 41")
    bad("index 41: the column organizations differs from the record")


def erase(user_id: str) -> None:
    """Erase a user. The entry of it waits in the journal."""
    write_row(1, event=Event.USER_ERASED, outcome=Outcome.INFO, user_id=user_id, consent_id=None, organization_id=None)
    personal_keys.destroy_keys([user_id])


@pytest.mark.parametrize("subject", ["usr_1", "usr_9"])
def test_a_key_that_was_destroyed_without_an_erasure(subject: str) -> None:
    """Otherwise its owner could remove what an entry says, and call that an erasure."""
    erase("usr_2" if subject == "usr_1" else "usr_1")
    personal_keys.destroy_keys([subject])
    if subject == "usr_9":  # of whom the log has nothing
        assert verify()[0] == 0
        return
    bad("the key of usr_1 was destroyed, but no user.erased names it, and its month is not over")
    erase("usr_1")
    sequence()
    assert verify()[0] == 0


def test_an_erasure_names_the_keys_of_requests_too() -> None:
    anonymous = {"organization_id": None, "user_id": None, "agent_id": None, "event": Event.CONSENT_REQUESTED}
    write_row(1, outcome=Outcome.INFO, consent_id="cns_asked", **anonymous)
    sequence()
    personal_keys.destroy_keys(["cns_asked"])
    bad("index 41: the key of cns_asked was destroyed")
    erased = {"event": Event.USER_ERASED, "user_id": "usr_7", "metadata": {"subjects": ["cns_asked"]}}
    write_row(1, outcome=Outcome.INFO, organization_id=None, consent_id=None, **erased)
    assert verify()[0] == 0
    sequence()
    assert verify()[0] == 0


@pytest.mark.parametrize(("months", "is_over"), [(12, False), (13, True)])
def test_the_key_of_a_month_is_destroyed_when_it_is_old(months: int, is_over: bool, settings: Any) -> None:
    settings.AUDIT_PERSONAL_RETENTION_MONTHS = months if is_over else 14
    write_row(1, START, event=Event.RESOURCE_SERVER_UPDATED, outcome=Outcome.INFO, user_id=None, consent_id=None)
    sequence()
    with time_machine.travel(START + timedelta(days=31 * 14), tick=False):
        personal_keys.destroy_keys(["org_1/2026-03"])
    if is_over:
        assert verify()[0] == 0
    else:
        bad("index 41: the key of org_1/2026-03 was destroyed")


def test_the_month_is_not_that_of_a_clock_that_jumped() -> None:
    months = set(Entry.objects.values_list("month", flat=True))
    with time_machine.travel(clock.now() + timedelta(days=70), tick=False):
        write_row(1)
        sequence()
    write_row(1)
    sequence()
    assert set(Entry.objects.values_list("month", flat=True)) == months
    assert verify()[0] == 0


@pytest.mark.postgresql
def test_after_a_month_that_a_wrong_clock_began_the_log_is_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    """It stayed wrong for long, so the checkpoints of that time say so."""
    with connection.cursor() as cursor:  # a new partition needs the functions that other tests here remove
        for statement in install_statements(connection.vendor):
            cursor.execute(statement)
    with time_machine.travel(clock.now() + timedelta(days=70), tick=False), monkeypatch.context() as patch:
        patch.setattr(log, "SETTLE_SECONDS", 0.0)
        write_row(1)
        sequence()
    write_row(1)
    sequence()
    assert len(set(Entry.objects.values_list("month", flat=True))) == 2
    assert verify()[0] == 0


def test_a_month_begins_once_the_clock_has_been_in_it_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    calendar, passed = log.Calendar(), 0.0
    monkeypatch.setattr(log.time, "monotonic", lambda: passed)
    assert calendar.settle(0, 202601) == 202601
    for seconds, this, expected in (
        (0, 202602, 202601),
        (599, 202602, 202601),
        (600, 202602, 202602),
        (601, 202604, 202602),  # the clock jumps
        (900, 202602, 202602),  # and comes back
        (1300, 202604, 202602),
        (1899, 202604, 202602),
        (1900, 202604, 202604),
        (1901, 202602, 202604),  # a month never goes back
    ):
        passed = seconds
        newest = 202601 if seconds <= 600 else 202602 if seconds <= 1900 else 202604
        assert calendar.settle(newest, this) == expected, seconds


def test_an_erased_log_is_sound() -> None:
    erase("usr_1")
    assert verify()[0] == 0


def test_decisions_of_one_connection_out_of_the_order_of_their_times() -> None:
    """Two processes decide at once, and the later decision is written first."""
    for milliseconds in (2, 1):
        write_row(1, START + timedelta(milliseconds=milliseconds))
    sequence()
    assert verify()[0] == 0


COLUMNS = {
    "timestamp": START,
    "event": "token.issued",
    "outcome": "info",
    "user_id": "usr_9",
    "agent_id": None,
    "consent_id": "cns_9",
    "organizations": "org_9 ",
}


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("index", [10, 40])
def test_a_changed_column(column: str, index: int) -> None:
    value = COLUMNS[column]
    if isinstance(value, datetime):
        value = connection.ops.adapt_datetimefield_value(value)
    change(f"UPDATE audit_entry SET {column} = %s WHERE leaf_index = %s", value, index)
    bad(f"index {index}: the column {column} differs from the record")


def test_a_changed_id() -> None:
    change("UPDATE audit_entry SET id = %s WHERE leaf_index = 10", _id_of("0" * 32))
    bad("index 10: the column id")


def _id_of(digits: str) -> Any:
    return digits if connection.vendor == "postgresql" else bytes.fromhex(digits)


@pytest.mark.postgresql
@pytest.mark.parametrize("index", [10, 40])
@pytest.mark.parametrize("month", [200001, 299912, 202699])
def test_a_changed_month(index: int, month: int) -> None:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("CREATE OR REPLACE FUNCTION audit_protect(regclass) RETURNS void LANGUAGE sql AS ''")
            cursor.execute("SELECT audit_add_month(%s)", [month])
    change("UPDATE audit_entry SET month = %s WHERE leaf_index = %s", month, index)
    bad("month")
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE audit_entry_{month}")


@pytest.mark.parametrize("column", ["record", "opening", "sealed"])
def test_a_flipped_byte(column: str) -> None:
    entry = Entry.objects.get(leaf_index=10)
    before, body = bytes(getattr(entry, column)), entry.body
    for place in range(0, len(before), 7):
        damaged = before[:place] + bytes([before[place] ^ 1]) + before[place + 1 :]
        change(f"UPDATE audit_entry SET {column} = %s WHERE leaf_index = 10", damaged)
        code, line = verify()
        if column == "record" and _unpacks_to(damaged, body):
            assert code == 0  # a few bits of a compressed frame have no meaning
        else:
            assert (code, line[:10]) == (1, "index 10: "), (place, line)


def _unpacks_to(packed: bytes, body: bytes) -> bool:
    with suppress(ValueError):
        return unpack(packed) == body
    return False


def test_a_rewritten_record() -> None:
    entry = Entry.objects.get(leaf_index=10)
    body = entry.body.replace(b'"action":null', b'"action":"x"')
    assert body != entry.body
    change("UPDATE audit_entry SET record = %s WHERE leaf_index = 10", pack(body))
    bad("index 10: the leaf differs from the hash in tile 0/2")


def test_a_record_without_the_kind_of_its_actor() -> None:
    body = Entry.objects.get(leaf_index=10).body
    change("UPDATE audit_entry SET record = %s WHERE leaf_index = 10", pack(body.replace(b'"kind":', b'"kinb":')))
    bad("index 10: the entry is damaged: 'kind'")


def test_a_rewritten_record_after_the_last_tile() -> None:
    entry = Entry.objects.get(leaf_index=40)
    change("UPDATE audit_entry SET record = %s WHERE leaf_index = 40", pack(entry.body.replace(b"null", b"true", 1)))
    bad("index 40: the entries do not have the root of checkpoint 41")


def test_missing_personal_data() -> None:
    change("UPDATE audit_entry SET sealed = NULL WHERE leaf_index = 10")
    bad("index 10: the personal data is missing although its key was not destroyed")


@pytest.mark.parametrize("event", [Event.TOKEN_VERIFY, Event.TOKEN_INTROSPECTED])
def test_a_yes_while_everything_was_stopped(event: Event) -> None:
    for stop in (Event.EVERYTHING_STOPPED, Event.EVERYTHING_STOP_LIFTED, Event.EVERYTHING_STOPPED):
        write_drafts([Draft(event=stop, actor=SYSTEM)])
        write_row(1, event=event, outcome=Outcome.DENIED)
        write_row(1, event=Event.RESERVATION_COMMITTED, outcome=Outcome.INFO)
        if stop == Event.EVERYTHING_STOP_LIFTED:
            write_row(1, event=event)
    sequence()
    assert verify()[0] == 0
    write_row(1, event=event, user_id="usr_9", organization_id="org_9", consent_id="cns_9")
    sequence()
    bad("index 51: allowed while everything was stopped, which index 48 logs")


def test_personal_data_of_another_entry() -> None:
    change("UPDATE audit_entry SET sealed = %s WHERE leaf_index = 10", bytes(Entry.objects.get(leaf_index=12).sealed))
    bad("index 10: the personal data cannot be decrypted")


def test_a_missing_key_of_personal_data() -> None:
    change("DELETE FROM audit_personalkey WHERE subject = 'usr_1'")
    bad("index 1: the personal data cannot be decrypted")


@pytest.mark.postgresql
@pytest.mark.parametrize("index", [0, 10, 39])
def test_a_deleted_entry(index: int) -> None:
    change("DELETE FROM audit_entry WHERE leaf_index = %s", index)
    bad(f"index {index}: the entry is missing")


def test_a_truncated_log() -> None:
    change("DELETE FROM audit_entry WHERE leaf_index >= 30")
    bad("index 30: truncated: checkpoint 41 is signed, but the log has 30 entries")
    change("DELETE FROM audit_checkpoint WHERE size > 28")
    bad("index 30: truncated: the streams are saved at size 41")
    Progress.objects.update(streams_size=30)
    bad("the saved head of the stream")


def test_a_log_truncated_with_its_checkpoints_and_streams() -> None:
    change("DELETE FROM audit_entry WHERE leaf_index >= 28")
    change("DELETE FROM audit_checkpoint WHERE size > 28")
    Stream.objects.all().delete()
    Progress.objects.update(streams_size=0)
    bad("index 28: tile 0/9 is beyond the last entry")
    change("DELETE FROM audit_tile WHERE level = 0 AND number >= 7")
    bad("index 28: tile 1/1 is beyond" if Tile.objects.filter(level=1, number=1).exists() else "segment 1 is beyond")


def test_swapped_entries() -> None:
    for before, after in ((10, 100), (12, 10), (100, 12)):
        change("UPDATE audit_entry SET leaf_index = %s WHERE leaf_index = %s", after, before)
    bad("index 10: the leaf differs")


def test_a_renumbered_log_without_an_entry() -> None:
    change("DELETE FROM audit_entry WHERE leaf_index = 10")
    for index in range(11, 41):
        change("UPDATE audit_entry SET leaf_index = %s WHERE leaf_index = %s", index - 1, index)
    change("DELETE FROM audit_checkpoint WHERE size = 41")
    Progress.objects.update(streams_size=40)
    bad("index 10: the leaf differs from the hash in tile 0/2")
    change("DELETE FROM audit_tile")
    bad("index 0: tile 0/0 is missing")


def rewrite_numbers(index: int, edit: Callable[[Any], Any]) -> None:
    entry = Entry.objects.get(leaf_index=index)
    opening, numbers = decode_opening(entry.opening)
    change("UPDATE audit_entry SET opening = %s WHERE leaf_index = %s", encode_opening(opening, edit(numbers)), index)


def without_tree() -> None:
    """Leave only what the entries say of themselves, as after an attack on all tiles and checkpoints at once."""
    change("DELETE FROM audit_checkpoint WHERE size >= 40")


def test_a_changed_number() -> None:
    without_tree()
    rewrite_numbers(40, lambda numbers: numbers._replace(plain=[numbers.plain[0] + 1, *numbers.plain[1:]]))
    bad("index 40: its number in the stream organization:org_1 (org_1) is 42 instead of 41")


@pytest.mark.parametrize(
    ("change_totals", "message"),
    [
        (lambda totals: totals._replace(number=99), "its number in the stream connection"),
        (lambda totals: totals._replace(allowed=0), "the totals of allowed and denied decisions are wrong"),
        (lambda totals: totals._replace(denied=0), "the totals of allowed and denied decisions are wrong"),
        (lambda totals: totals._replace(spent={}), "the total of what was spent is wrong"),
        (lambda totals: totals._replace(spent={"EUR": "x"}), "the total of what was spent is wrong"),
        (lambda totals: None, "the entry has the numbers of other streams"),
    ],
)
def test_a_changed_total(change_totals: Callable[[Any], Any], message: str) -> None:
    without_tree()
    rewrite_numbers(40, lambda numbers: numbers._replace(totals=change_totals(numbers.totals)))
    bad(f"index 40: {message}")


def test_totals_with_more_currencies_than_count() -> None:
    without_tree()
    write_row(
        17,
        START + timedelta(hours=2),
        user_id="usr_0",
        consent_id="cns_usr_0",
        personal={"amount": {"currency": "USD", "value": "1"}},
    )
    sequence()
    erase("usr_0")
    assert verify()[0] == 0
    many = {f"{letter}AA": "9" for letter in "ABCDEFGHIJKLMNOP"}
    rewrite_numbers(
        57, lambda numbers: numbers._replace(totals=numbers.totals._replace(spent={**numbers.totals.spent, **many}))
    )
    bad("index 57: the total of what was spent is wrong")


def test_an_erased_amount_cannot_have_been_negative() -> None:
    without_tree()
    write_row(1, START + timedelta(hours=2), user_id="usr_0", consent_id="cns_usr_0", personal={"amount": EUR})
    sequence()
    erase("usr_0")
    assert verify()[0] == 0
    rewrite_numbers(41, lambda numbers: numbers._replace(totals=numbers.totals._replace(spent={"EUR": "1.00"})))
    bad("index 41: the total of what was spent is wrong")


@pytest.mark.parametrize(("level", "number", "index"), [(0, 2, 8), (1, 1, 16)])
@pytest.mark.parametrize("column", ["hashes", "root"])
def test_an_edited_tile(level: int, number: int, index: int, column: str) -> None:
    stored = bytes(getattr(Tile.objects.get(level=level, number=number), column))
    damaged = bytes([stored[0] ^ 1]) + stored[1:]
    change(f"UPDATE audit_tile SET {column} = %s WHERE level = %s AND number = %s", damaged, level, number)
    bad(f"index {index}: ")


def test_a_missing_tile() -> None:
    change("DELETE FROM audit_tile WHERE level = 1 AND number = 0")
    bad("index 0: tile 1/0 is missing")


def test_a_tile_beyond_the_entries() -> None:
    Tile.objects.create(level=0, number=10, hashes=b"x" * 128, root=b"x" * 32)
    bad("index 41: tile 0/10 is beyond the last entry")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\n12\n", "\n13\n", "Its signature is wrong"),
        ("time 2", "time 1", "Its signature is wrong"),
        ("localhost", "elsewhere", "is not valid"),
        ("\n\n", "\n", "is not valid"),
    ],
)
def test_an_edited_checkpoint(old: str, new: str, message: str) -> None:
    note = Checkpoint.objects.get(size=12).note
    change("UPDATE audit_checkpoint SET note = %s WHERE size = 12", note.replace(old, new))
    bad("index 11: checkpoint 12 is not valid")
    bad(message)


def test_a_checkpoint_of_another_size() -> None:
    note = Checkpoint.objects.get(size=12).note
    change("UPDATE audit_checkpoint SET note = %s WHERE size = 16", note)
    bad("index 15: checkpoint 16 is signed for size 12")


def test_a_checkpoint_with_another_time() -> None:
    at = connection.ops.adapt_datetimefield_value(START)
    change("UPDATE audit_checkpoint SET created_at = %s WHERE size = 16", at)
    bad("index 15: checkpoint 16 has another time")


def test_a_signed_checkpoint_with_another_root() -> None:
    change("UPDATE audit_checkpoint SET note = %s WHERE size = 16", forged(16))
    bad("index 12: the entries to 15 do not have the root of checkpoint 16")


def forged(size: int) -> str:
    """Return a checkpoint that is signed by the log's key and has another root."""
    key, moment = log_keys.signer(), Checkpoint.objects.get(size=16).created_at
    return key.sign_note(checkpoint_text(key.origin, size, b"x" * 32, moment))


@pytest.mark.parametrize("column", ["earliest", "latest", "timestamps"])
def test_an_edited_segment(column: str) -> None:
    value = b"x" if column == "timestamps" else connection.ops.adapt_datetimefield_value(START - timedelta(days=1))
    change(f"UPDATE audit_segment SET {column} = %s WHERE number = 1", value)
    bad("index 16: ")
    bad("segment 1")


def test_a_missing_segment() -> None:
    Segment.objects.filter(number=0).delete()
    bad("index 0: segment 0 is missing")


def test_a_segment_beyond_the_entries() -> None:
    Segment.objects.create(number=2, earliest=START, latest=START, timestamps=b"")
    bad("index 32: segment 2 is beyond the last entry")


def test_postings_that_leave_an_entry_out() -> None:
    term = postings.term(postings.USER, "usr_1")
    offsets = [offset for offset in range(1, 16, 2) if offset != 5]
    change("UPDATE audit_posting SET entries = %s WHERE term = %s AND segment = 1", postings.encode(offsets), term)
    bad(f"index 21: the postings of term {term} in segment 1")


def test_missing_and_additional_postings() -> None:
    Posting.objects.create(term=7, segment=0, entries=postings.encode([3]))
    bad("index 3: the postings of term 7")
    change("DELETE FROM audit_posting WHERE term = 7")
    change("DELETE FROM audit_posting WHERE term = %s AND segment = 0", postings.term(postings.ORGANIZATION, "org_2"))
    bad("index 0: the postings of term")


def test_postings_without_a_segment() -> None:
    Posting.objects.create(term=7, segment=2, entries=postings.encode([3]))
    bad("index 32: there are postings of segment 2")


@pytest.mark.parametrize(
    "values",
    [
        {"number": 1},
        {"allowed": 9},
        {"denied": 9},
        {"spent": "{}"},
        {"used_at": START},
        {"uses": "{}"},
        {"uses": '{"email:read":[1,"2026-01-01T00:00:00+00:00"]}'},
        {"id": "usr_9"},
    ],
)
def test_an_edited_head_of_a_stream(values: dict[str, Any]) -> None:
    Stream.objects.filter(pk="cns_usr_0").update(**values)
    bad("the saved head")


def test_a_missing_head_of_a_stream() -> None:
    Stream.objects.filter(pk="cns_usr_0").delete()
    bad("the saved heads of streams are not those at size 41")


# An earlier checkpoint


def test_an_earlier_checkpoint(tmp_path: Path) -> None:
    file = tmp_path / "checkpoint"
    for size in (4, 40, 41):
        file.write_text(Checkpoint.objects.get(size=size).note + "— witness AAAA\n")
        code, line = verify("--checkpoint", str(file))
        assert (code, line.splitlines()[1:]) == (0, [f"The log continues {file}."])


def test_an_earlier_checkpoint_with_another_root_is_a_fork(tmp_path: Path) -> None:
    file = tmp_path / "checkpoint"
    file.write_text(forged(13))
    code, line = verify("--checkpoint", str(file))
    assert (code, line) == (1, f"fork: {file} and the log have different roots at size 13")


def test_a_checkpoint_beyond_the_log_is_a_rollback(tmp_path: Path) -> None:
    file = tmp_path / "checkpoint"
    file.write_text(forged(50))
    code, line = verify("--checkpoint", str(file))
    assert (code, line) == (1, f"index 41: rollback: {file} has size 50, but the log has 41 entries")


@pytest.mark.parametrize("content", [b"", b"\xff", b"a checkpoint", b"localhost:8000/api/v1/audit\n1\nAAAA\n\n"])
def test_a_file_that_is_not_a_checkpoint(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "checkpoint"
    file.write_bytes(content)
    code, line = verify("--checkpoint", str(file))
    assert code == 2
    assert line.startswith(f"{file} cannot be used: ")


def test_a_missing_file(tmp_path: Path) -> None:
    assert verify("--checkpoint", str(tmp_path / "none"))[0] == 2


def test_a_log_that_went_on_under_another_secret(settings: Any, tmp_path: Path) -> None:
    settings.JWT_SECRET = "tests-only-0c4e8a6f2b9d7153-changed"
    write_row(1, user_id="usr_0", consent_id="cns_usr_0", personal={"amount": EUR})
    sequence()
    file = tmp_path / "checkpoint"
    file.write_text(Checkpoint.objects.get(size=12).note)
    code, lines = verify("--checkpoint", str(file))
    assert code == 0
    assert lines.splitlines() == [
        "42 entries, 6 streams and 12 checkpoints are right.",
        f"The log continues {file}.",
        "Not checked: the personal data of 41 entries, encrypted under a former JWT_SECRET.",
    ]
