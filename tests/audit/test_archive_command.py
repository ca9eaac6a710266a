"""`./dev manage audit_archive`, the worker's task, and the schedule."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command

from agentgate.environment import Environment, read_archive_after
from agentgate.schedule import SCHEDULE
from agentgate.storages import archive_storage
from audit.archiving.archive_format import Broken
from audit.database import roles
from audit.models import Archive
from audit.sequencing import sequencer
from audit.tasks import archive_month
from core.locks import Busy
from tests.audit.months import archive_in, two_months
from tests.shared import cases

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module", autouse=True)
def _log(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    with two_months(django_db_blocker):
        yield


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Iterator[Path]:
    sequencer.forget()
    with archive_in(tmp_path / "archive") as folder:
        yield folder


def run(*arguments: str) -> str:
    output = StringIO()
    call_command("audit_archive", *arguments, stdout=output)
    return output.getvalue()


class TestCommand:
    def test_it_prints_what_it_does(self) -> None:
        output = run("--month", "202601")
        assert "202601: wrote entries-000000000256.jsonl.zst" in output
        assert "202601: verified 300 entries" in output
        assert output.endswith("202601: pruned\n")

    def test_without_a_month_that_is_due_it_says_so(self) -> None:
        assert run() == "No month is due.\n"
        assert run("--verify") == "Nothing is archived.\n"

    def test_it_refuses_a_month_that_cannot_be_archived(self) -> None:
        with pytest.raises(CommandError, match="oldest month is 202601") as caught:
            run("--month", "202602")
        assert caught.value.returncode == 1

    @pytest.mark.parametrize(
        "file",
        [
            "entries-000000000000.jsonl.zst",
            "entries-000000000256.jsonl.zst",
            "tiles.jsonl.zst",
            "checkpoint",
            "manifest.json",
        ],
    )
    def test_one_flipped_byte_anywhere_is_found(self, file: str, folder: Path) -> None:
        run("--month", "202601")
        assert "202601: entries 0 to 299 are intact" in run("--verify")
        path = folder / "202601" / file
        intact = path.read_bytes()
        for place in range(0, len(intact), max(1, len(intact) // 5)):
            path.write_bytes(intact[:place] + bytes([intact[place] ^ 1]) + intact[place + 1 :])
            with pytest.raises(CommandError, match="archive is damaged") as caught:
                run("--verify")
            assert caught.value.returncode == 1
        path.write_bytes(intact)
        assert "intact" in run("--verify", "--month", "202601")

    def test_a_storage_that_fails_is_named(self, folder: Path) -> None:
        folder.write_text("not a folder")
        with pytest.raises(CommandError, match="storage cannot be used"):
            run("--month", "202601")
        assert Archive.objects.get().state == "writing"


class TestTask:
    def test_it_archives_what_is_due(self, settings: Any) -> None:
        settings.AUDIT_ARCHIVE_AFTER_MONTHS = 1
        archive_month()
        assert Archive.objects.get().state == "pruned"

    def test_another_archiver_is_left_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(report: Any) -> None:
            raise Busy

        monkeypatch.setattr("audit.tasks.archive_next", refuse)
        archive_month()

    def test_damage_is_logged(self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
        def fail(report: Any) -> None:
            raise Broken("the entry is not the one in the tree", 7)

        monkeypatch.setattr("audit.tasks.archive_next", fail)
        archive_month()
        (record,) = [one for one in caplog.records if one.levelno == logging.CRITICAL]
        assert "index 7: the entry is not the one in the tree" in record.getMessage()

    def test_a_restart_does_not_put_it_off(self) -> None:
        schedule = SCHEDULE["archive-month"]["schedule"]
        with time_machine.travel(datetime(2026, 3, 2, 2, 59, tzinfo=UTC), tick=False):
            assert schedule.remaining_estimate(datetime(2026, 3, 2, 2, 58, tzinfo=UTC)) == timedelta(minutes=1)


class TestSettings:
    def test_no_number_of_months_means_never(self) -> None:
        assert read_archive_after(Environment({})) is None
        assert read_archive_after(Environment({"AUDIT_ARCHIVE_AFTER_MONTHS": "13"})) == 13

    @cases("value", ["0", "-1", "soon"])
    def test_others_stop_the_start(self, value: str) -> None:
        with pytest.raises(SystemExit, match="AUDIT_ARCHIVE_AFTER_MONTHS must be"):
            read_archive_after(Environment({"AUDIT_ARCHIVE_AFTER_MONTHS": value}))

    def test_the_storage_is_a_folder_or_a_bucket(self) -> None:
        folder = archive_storage(Environment({"AUDIT_ARCHIVE_DIR": "/srv/archive"}))
        assert str(folder["OPTIONS"]["location"]) == "/srv/archive"
        bucket = archive_storage(Environment({"AUDIT_ARCHIVE_BUCKET": "evidence", "AUDIT_ARCHIVE_PREFIX": "gate"}))
        assert bucket["BACKEND"] == "storages.backends.s3.S3Storage"
        assert (bucket["OPTIONS"]["bucket_name"], bucket["OPTIONS"]["location"]) == ("evidence", "gate")


def test_names_of_roles_that_need_quotes_are_refused() -> None:
    with pytest.raises(CommandError, match="not the name of a role"):
        call_command("audit_roles", "--application", "x'; DROP TABLE audit_entry; --")


def test_the_rights_name_tables_that_exist() -> None:
    named = {*roles.APPLICATION, *roles.SEQUENCER, *roles.ARCHIVER}
    assert named <= {table for table, is_log in roles._tables().items() if is_log}
