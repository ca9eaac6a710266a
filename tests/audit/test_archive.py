"""The archive: a month is written, read back, compared, and only then deleted from the database."""

import json
import random
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.files.base import ContentFile
from django.db import DatabaseError, connection, transaction
from zstandard import ZstdDecompressor

from audit.archiving import archive, archive_format, archived
from audit.archiving.archive import NotArchivable, archive_month, archive_next, verify_archives
from audit.archiving.archive_format import Broken, Span, covering_tiles, entries_file, segment_of
from audit.database import tables
from audit.entries.drafts import Draft
from audit.entries.journal import ENTRY_BYTES
from audit.events import Event
from audit.models import Archive, ArchivedObject, Cosignature, Entry
from audit.sequencing import sequencer
from audit.services import append
from audit.signing import log_keys
from audit.signing.log_keys import signer
from audit.signing.notes import verifier_key
from core import clock
from core.actor import Actor
from tests.audit.months import FEBRUARY, JANUARY, MARCH, all_rows, archive_in, two_months, write
from tests.shared import cases
from tests.verifier import main

pytestmark = pytest.mark.django_db
APRIL = 202604


@pytest.fixture(scope="module", autouse=True)
def _log(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    with two_months(django_db_blocker):
        yield


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Iterator[Path]:
    sequencer.forget()
    with archive_in(tmp_path / "archive") as folder:
        yield folder


def lines_of(path: Path) -> list[dict[str, Any]]:
    """Read a file as `zstdcat` does."""
    with path.open("rb") as file, ZstdDecompressor().stream_reader(file) as reader:
        return [json.loads(line) for line in reader.read().splitlines()]


def flip(path: Path, place: int = -20) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


class TestAMonth:
    def test_it_leaves_the_database_for_the_archive(self, folder: Path) -> None:
        before = all_rows()

        found = archive_month(JANUARY)

        assert (found.state, found.first, found.last) == ("pruned", 0, 299)
        assert sorted(all_rows()) == list(range(300, 600))
        assert all_rows().items() <= before.items()
        assert sorted(path.name for path in (folder / "202601").iterdir()) == [
            "checkpoint",
            "entries-000000000000.jsonl.zst",
            "entries-000000000256.jsonl.zst",
            "manifest.json",
            "tiles.jsonl.zst",
        ]

    def test_each_line_has_the_leaf_and_what_opens_it(self, folder: Path) -> None:
        row = Entry.objects.get(leaf_index=290)
        archive_month(JANUARY)

        line = lines_of(folder / "202601" / "entries-000000000256.jsonl.zst")[34]

        assert line["index"] == 290
        assert line["month"] == JANUARY
        assert json.loads(line["entry"])["record"]["id"] == row.id
        assert bytes.fromhex(line["secret"]) + line["opening"].encode() == bytes(row.opening)

    def test_the_archive_has_a_checkpoint_that_covers_it(self, folder: Path) -> None:
        Cosignature.objects.create(size=600, witness="w.example", line="— w.example c2lnbmF0dXJl")
        archive_month(JANUARY)
        note = (folder / "202601" / "checkpoint").read_text()
        assert note.splitlines()[1] == "600"
        assert note.endswith("\n— w.example c2lnbmF0dXJl\n")

    def test_the_next_month_follows(self) -> None:
        write(MARCH, 200)
        archive_month(JANUARY)
        found = archive_month(FEBRUARY)
        assert (found.state, found.first, found.last) == ("pruned", 300, 599)
        assert sorted(all_rows()) == list(range(600, 800))

    def test_the_log_goes_on(self) -> None:
        archive_month(JANUARY)
        sequencer.forget()
        write(FEBRUARY, 20)
        assert max(all_rows()) == 619

    def test_only_its_owner_can_read_the_files(self, folder: Path) -> None:
        archive_month(JANUARY)
        assert {path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()} == {0o600}
        assert {path.stat().st_mode & 0o777 for path in (folder, folder / "202601")} == {0o700}


class TestWhichMonth:
    def test_none_is_archived_unless_a_setting_says_so(self, settings: Any) -> None:
        settings.AUDIT_ARCHIVE_AFTER_MONTHS = None
        assert archive_next() is None

    @pytest.mark.parametrize(("after", "now", "is_due"), [(1, "2026-02-01", True), (2, "2026-02-28", False)])
    def test_it_must_be_old_enough(self, after: int, now: str, is_due: bool, settings: Any) -> None:
        settings.AUDIT_ARCHIVE_AFTER_MONTHS = after
        with time_machine.travel(f"{now}T00:00:00Z", tick=False):
            assert (archive_next() is not None) == is_due

    def test_years_count_twelve_months(self, settings: Any) -> None:
        settings.AUDIT_ARCHIVE_AFTER_MONTHS = 13
        with time_machine.travel("2027-01-31T23:59:00Z", tick=False):
            assert archive_next() is None
        with time_machine.travel("2027-02-01T00:00:00Z", tick=False):
            assert archive_next() is not None

    def test_the_newest_month_stays(self) -> None:
        archive_month(JANUARY)
        with pytest.raises(NotArchivable, match="newest month"):
            archive_month(FEBRUARY)

    def test_months_are_archived_in_order(self) -> None:
        write(MARCH, 20)
        with pytest.raises(NotArchivable, match="oldest month is 202601"):
            archive_month(FEBRUARY)

    def test_entries_after_the_last_complete_segment_stay(self, settings: Any) -> None:
        write(MARCH, 20)
        archive_month(JANUARY)
        settings.AUDIT_ARCHIVE_AFTER_MONTHS = 1
        with pytest.raises(NotArchivable, match="88 of its entries are still needed"):
            archive_month(FEBRUARY)
        assert archive_next() is None
        assert Archive.objects.get().month == JANUARY

    def test_a_month_in_progress_comes_first(self) -> None:
        write(MARCH, 20)
        archive._start(JANUARY)
        with pytest.raises(NotArchivable, match="Finish 202601 first"):
            archive_month(FEBRUARY)
        found = archive_next()
        assert found
        assert (found.month, found.state) == (JANUARY, "pruned")


class TestDamage:
    @pytest.mark.parametrize(
        "file", ["entries-000000000256.jsonl.zst", "tiles.jsonl.zst", "checkpoint", "manifest.json"]
    )
    @pytest.mark.parametrize("act", ["flip", "delete"])
    def test_a_file_that_changes_before_it_is_verified_keeps_the_month(
        self, file: str, act: str, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def spoil(*arguments: Any) -> None:
            path = folder / "202601" / file
            flip(path) if act == "flip" else path.unlink()
            verify(*arguments)

        verify, before = archive._verify, all_rows()
        with monkeypatch.context() as patch:
            patch.setattr(archive, "_verify", spoil)
            with pytest.raises(Broken):
                archive_month(JANUARY)
        assert all_rows() == before
        assert Archive.objects.get().state == "writing"

        assert archive_month(JANUARY).state == "pruned"  # what was wrong is written again

    @pytest.mark.parametrize("column", ["event", "outcome", "user_id", "organizations", "timestamp", "opening"])
    def test_a_row_that_was_changed_keeps_the_month(self, column: str, monkeypatch: pytest.MonkeyPatch) -> None:
        def read_changed(span: Span) -> list[Entry]:
            rows = {row.leaf_index: row for row in read(span)}
            if 290 in rows:
                setattr(rows[290], column, getattr(rows[259], column))
            return list(rows.values())

        before, read = all_rows(), archive._read_rows
        monkeypatch.setattr(archive, "_read_rows", read_changed)
        with pytest.raises(Broken, match="index 290"):
            archive_month(JANUARY)
        assert all_rows() == before

    def test_other_encrypted_data_in_the_archive_keeps_the_month(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def encode_changed(entry: Entry) -> bytes:
            entry.sealed = other if entry.leaf_index == 290 else entry.sealed
            return encode(entry)

        before, encode = all_rows(), archive_format.encode_entry
        other = Entry.objects.get(leaf_index=291).sealed
        monkeypatch.setattr(archive_format, "encode_entry", encode_changed)
        with pytest.raises(Broken, match="index 290: the entry is not the one in the database"):
            archive_month(JANUARY)
        assert all_rows() == before

    def test_a_missing_row_is_noticed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        read = archive._read_rows
        monkeypatch.setattr(archive, "_read_rows", lambda span: read(span)[:-1])
        with pytest.raises(Broken, match="missing in the database"):
            archive_month(JANUARY)

    def test_a_storage_that_does_not_overwrite_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        storage = archive.storage()
        monkeypatch.setattr(storage, "save", lambda name, content: f"{name}-2")
        with pytest.raises(Broken, match="must overwrite"):
            archive_month(JANUARY)


class TestPruning:
    @pytest.mark.postgresql
    @cases("state", ["writing", "written"])
    def test_the_database_refuses_what_is_not_verified(self, state: str) -> None:
        found = archive._start(JANUARY)
        Archive.objects.update(state=state)
        with pytest.raises(DatabaseError, match=r"insert-only|not verified"), transaction.atomic():
            archive._prune(found, print)
        assert len(all_rows()) == 600

    @pytest.mark.postgresql
    @cases("change", [{"last": 298}, {"first": 1}])
    def test_the_database_refuses_what_the_archive_does_not_cover(self, change: dict[str, int]) -> None:
        found = archive._start(JANUARY)
        Archive.objects.update(state="verified", **change)
        with pytest.raises(DatabaseError, match=r"insert-only|does not cover"), transaction.atomic():
            archive._prune(found, print)
        assert len(all_rows()) == 600

    @pytest.mark.postgresql
    @pytest.mark.parametrize("lacking", ["objects", "newer", "checkpoint"])
    def test_postgresql_refuses_more(self, lacking: str, store: str) -> None:
        if store != "postgresql":
            pytest.skip("on SQLite, the archiver alone can delete")
        month, first, last = (FEBRUARY, 300, 599) if lacking == "newer" else (JANUARY, 0, 299)
        place: dict[str, Any] = {"month": month, "first": first, "last": last}
        Archive.objects.create(checkpoint=600, state="verified", updated_at=clock.now(), **place)
        if lacking != "objects":
            ArchivedObject.objects.create(lowest="0" * 32, highest="0" * 32, size=1, sha256="", **place)
        with connection.cursor() as cursor:
            if lacking == "checkpoint":
                cursor.execute("ALTER TABLE audit_checkpoint DISABLE TRIGGER USER")
                cursor.execute("DELETE FROM audit_checkpoint")
            with pytest.raises(DatabaseError, match=r"lacks objects|newest month|no checkpoint"), transaction.atomic():
                cursor.execute("SELECT audit_drop_month(%s)", [month])
        assert month in {entry.month for entry in Entry.objects.all()}


class Stopped(Exception):
    """The archiver ends here."""


class TestAChangedSecret:
    """Another key signs the log from then on. What the former key signed stays valid."""

    def change(self, settings: Any) -> None:
        settings.JWT_SECRET = "tests-only-0c4e8a6f2b9d7153-changed"
        log_keys.forget()
        sequencer.forget()

    def test_an_archive_from_before_still_verifies(self, folder: Path, settings: Any) -> None:
        former, rows = signer().verifier_key, all_rows()
        archive_month(JANUARY)
        self.change(settings)
        assert verify_archives() == 1
        archived.forget()
        found = {entry.leaf_index: tables.comparable(entry) for entry in archived.entries_at(range(300))}
        assert found == {index: rows[index] for index in range(300)}
        assert main(["archive", str(folder / "202601"), "--key", former]) == 0

    def test_later_months_name_the_key_that_signed_their_checkpoint(self, folder: Path, settings: Any) -> None:
        former = signer().verifier_key
        archive_month(JANUARY)
        self.change(settings)
        write(MARCH, 168)
        write(APRIL, 256)
        for month in (FEBRUARY, MARCH):
            assert archive_month(month).state == "pruned"
        assert verify_archives() == 3

        keys = {month: former if month < MARCH else signer().verifier_key for month in (JANUARY, FEBRUARY, MARCH)}
        assert signer().verifier_key != former
        for month, key in keys.items():
            manifest = json.loads((folder / str(month) / "manifest.json").read_bytes())
            assert manifest["key"] == key
            assert main(["archive", str(folder / str(month)), "--key", key]) == 0
        assert main(["archive", str(folder / str(MARCH)), "--key", former]) == 1

    @cases(("step", "state"), [("_write_tiles", "writing"), ("_verify", "written"), ("_prune", "verified")])
    def test_an_interrupted_archive_is_completed(
        self, step: str, state: str, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def stop(*arguments: Any) -> None:
            raise Stopped

        with monkeypatch.context() as patch:
            patch.setattr(archive, step, stop)
            with pytest.raises(Stopped):
                archive_month(JANUARY)
        assert Archive.objects.get().state == state
        self.change(settings)
        write(MARCH, 20)
        assert archive_month(JANUARY).state == "pruned"
        assert verify_archives() == 1

    def test_a_key_that_is_not_the_logs_is_refused(self, folder: Path) -> None:
        archive_month(JANUARY)
        other = verifier_key(signer().origin, bytes(32))
        self.replace_key(folder, signer().verifier_key, other)
        with pytest.raises(Broken, match=r"manifest\.json has another key"):
            verify_archives()

    def test_a_key_of_the_log_that_did_not_sign_the_checkpoint_is_refused(self, folder: Path, settings: Any) -> None:
        former = signer().verifier_key
        archive_month(JANUARY)
        self.change(settings)
        self.replace_key(folder, former, signer().verifier_key)
        with pytest.raises(Broken, match="signed by another key"):
            verify_archives()

    def replace_key(self, folder: Path, former: str, key: str) -> None:
        path = folder / "202601" / "manifest.json"
        data = path.read_bytes().replace(former.encode(), key.encode())
        path.write_bytes(data)
        Archive.objects.update(manifest=archive_format.sha256(data))

    def test_a_checkpoint_that_no_key_signed_keeps_the_month(self, monkeypatch: pytest.MonkeyPatch) -> None:
        before = all_rows()
        monkeypatch.setattr(archive, "stored_keys", list)
        with pytest.raises(Broken, match="is not valid: The log has no key"):
            archive_month(JANUARY)
        assert all_rows() == before


class TestLongEntries:
    """What the archiver writes, all readers take, however long the entries are."""

    @pytest.fixture(autouse=True)
    def small_objects(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(archive_format, "MAX_LINE_BYTES", 5_000)
        monkeypatch.setattr(archive_format, "MAX_OBJECT_BYTES", 60_000)

    def test_a_segment_is_in_as_many_files_as_it_takes(self, folder: Path) -> None:
        rows = all_rows()
        assert archive_month(JANUARY).state == "pruned"
        paths = sorted((folder / "202601").glob("entries-*"))
        assert len(paths) == ArchivedObject.objects.count() > 3
        assert all(len(ZstdDecompressor().decompress(path.read_bytes())) <= 60_000 for path in paths)
        assert verify_archives() == 1
        assert main(["archive", str(folder / "202601"), "--key", signer().verifier_key]) == 0
        archived.forget()
        found = {entry.leaf_index: tables.comparable(entry) for entry in archived.entries_at(range(300))}
        assert found == {index: rows[index] for index in range(300)}

    @cases("index", [0, 100, 255, 256, 299])
    def test_one_entry_is_found(self, index: int) -> None:
        (before,) = archived.entries_at([index])
        archive_month(JANUARY)
        archived.forget()
        assert [entry.id for entry in archived.entries_at([index])] == [before.id]
        archived.forget()
        found = archived.archived_entry(before.id)
        assert found is not None
        assert found.leaf_index == index

    def test_longer_files_of_a_former_version_are_read(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """It has pruned the entries, so they are nowhere else."""
        rows = all_rows()
        monkeypatch.setattr(archive_format, "MAX_OBJECT_BYTES", archive_format.MAX_READ_BYTES)
        assert archive_month(JANUARY).state == "pruned"
        monkeypatch.setattr(archive_format, "MAX_OBJECT_BYTES", 60_000)
        monkeypatch.setattr(archived, "MAX_BYTES", 60_000)
        archived.forget()
        assert verify_archives() == 1
        found = {entry.leaf_index: tables.comparable(entry) for entry in archived.entries_at(range(300))}
        assert found == {index: rows[index] for index in range(300)}
        assert len(archived._cache._objects) == 1, "what is kept in memory is bounded"

    def test_files_that_are_not_in_order_are_refused(self, folder: Path) -> None:
        archive_month(JANUARY)
        second = change_manifest(folder, lambda objects: objects.pop(1))
        with pytest.raises(Broken, match="does not begin with this entry") as raised:
            verify_archives()
        assert entries_file(raised.value.index) == second["name"]

    def test_files_that_end_too_early_are_refused(self, folder: Path) -> None:
        archive_month(JANUARY)
        change_manifest(folder, list.pop)
        with pytest.raises(Broken, match=r"the files end with index \d+ instead of 299"):
            verify_archives()

    def test_a_line_that_readers_refuse_is_not_written(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(archive_format, "MAX_LINE_BYTES", 700)
        with pytest.raises(Broken, match="the entry is too long"):
            archive_month(JANUARY)
        assert len(all_rows()) == 600

    def test_the_longest_entries_are_lines_that_readers_take(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.undo()
        random_text = {"note": b64encode(random.Random(1).randbytes((ENTRY_BYTES - 2000) * 3 // 4)).decode()}
        quoted = {"note": '"' * (ENTRY_BYTES // 2 - 1000)}
        ids = {"actor": Actor("system"), "organization_id": "org_1", "user_id": "usr_1"}
        longest = [
            Draft(event=Event.RESOURCE_SERVER_UPDATED, metadata=quoted, **ids),  # in the record
            Draft(event=Event.CONSENT_APPROVED, metadata=quoted, **ids),  # withheld
            Draft(event=Event.TOKEN_VERIFY, personal=random_text, **ids),
        ]
        with time_machine.travel("2026-02-04T12:00:00Z", tick=False):
            with transaction.atomic():
                append(longest)
            sequencer.sequence()
        write(MARCH, 200)
        entries = Entry.objects.filter(leaf_index__in=(600, 601, 602))
        assert min(map(len, map(archive_format.encode_entry, entries))) > 0.95 * ENTRY_BYTES
        for month in (JANUARY, FEBRUARY):
            assert archive_month(month).state == "pruned"
        assert main(["archive", str(folder / "202602"), "--key", signer().verifier_key]) == 0


def change_manifest(folder: Path, change: Callable[[list[dict[str, Any]]], Any]) -> Any:
    """Change the objects, and record the manifest as if it had been written so. Return what `change` does."""
    path = folder / "202601" / "manifest.json"
    manifest = json.loads(path.read_bytes())
    result = change(manifest["objects"])
    data = archive_format.encode_manifest(manifest)
    path.write_bytes(data)
    Archive.objects.update(manifest=archive_format.sha256(data))
    return result


class TestVerifier:
    """The program that trusts nobody says the same of what the server has written."""

    def test_an_archive_holds(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        archive_month(JANUARY)
        assert main(["archive", str(folder / "202601"), "--key", signer().verifier_key]) == 0
        assert "entries      300, index 0 to 299" in capsys.readouterr().out

    def test_one_flipped_byte_is_named(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        archive_month(JANUARY)
        for path in (folder / "202601").iterdir():
            intact = path.read_bytes()
            for place in range(0, len(intact), max(1, len(intact) // 12)):
                path.write_bytes(intact[:place] + bytes([intact[place] ^ 1]) + intact[place + 1 :])
                assert main(["archive", str(folder / "202601"), "--key", signer().verifier_key]) == 1
                assert len(capsys.readouterr().out.splitlines()) == 1
            path.write_bytes(intact)


def test_a_segment_has_every_entry_in_it() -> None:
    assert {segment_of(index) for index in range(256, 512)} == {Span(256, 511)}


def test_the_covering_tiles_are_those_of_the_month_and_the_edge() -> None:
    places = [(place.level, place.number, place.width) for place in covering_tiles(300, 520, 70_000)]
    assert places == [(0, 1, 256), (0, 2, 256), (0, 273, 112), (1, 0, 256), (1, 1, 17), (2, 0, 1)]


class TestFiles:
    def test_a_file_is_replaced_whole(self, folder: Path) -> None:
        storage = archive.storage()
        storage.save("a/b", ContentFile(b"longer than the next"))
        assert storage.save("a/b", ContentFile(b"short")) == "a/b"
        assert (folder / "a/b").read_bytes() == b"short"
        assert len(list((folder / "a").iterdir())) == 1

    def test_a_failure_leaves_the_former_file(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(number: int) -> None:
            raise OSError("No space left on device")

        storage = archive.storage()
        storage.save("a/b", ContentFile(b"former"))
        monkeypatch.setattr("audit.archiving.storage.os.fsync", fail)
        with pytest.raises(OSError, match="No space"):
            storage.save("a/b", ContentFile(b"newer"))
        assert [path.read_bytes() for path in (folder / "a").iterdir()] == [b"former"]
