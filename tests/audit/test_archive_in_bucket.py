"""The archive in S3-compatible object storage."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.files.storage import storages
from django.core.management import CommandError, call_command
from django.test import override_settings

from agentgate.environment import Environment
from agentgate.storages import archive_storage
from audit.archiving import archived
from audit.archiving.archive import archive_month, verify_archives
from audit.archiving.archive_format import Broken
from audit.models import Archive
from audit.sequencing import sequencer
from tests.audit.months import JANUARY, two_months
from tests.audit.object_storage import Bucket, serve_bucket
from tests.shared import cases

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module", autouse=True)
def _log(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    with two_months(django_db_blocker):
        yield


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    sequencer.forget()
    archived.forget()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tests")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "tests")
    with serve_bucket() as bucket:
        variables = {"BUCKET": "evidence", "ENDPOINT_URL": bucket.url, "REGION": "eu-1", "PREFIX": "gate"}
        environment = Environment({f"AUDIT_ARCHIVE_{name}": value for name, value in variables.items()})
        with override_settings(STORAGES={**storages.backends, "archive": archive_storage(environment)}):
            yield bucket


def test_a_month_is_archived_verified_and_read(bucket: Bucket) -> None:
    assert archive_month(JANUARY).state == "pruned"

    assert sorted(bucket.objects) == [
        f"/evidence/gate/202601/{name}"
        for name in (
            "checkpoint",
            "entries-000000000000.jsonl.zst",
            "entries-000000000256.jsonl.zst",
            "manifest.json",
            "tiles.jsonl.zst",
        )
    ]
    assert verify_archives() == 1
    assert [entry.leaf_index for entry in archived.entries_at([299, 300, 0])] == [299, 300, 0]


@cases("is_there", [True, False])
def test_a_damaged_or_missing_object_is_found(is_there: bool, bucket: Bucket) -> None:
    archive_month(JANUARY)
    name = "/evidence/gate/202601/entries-000000000000.jsonl.zst"
    data = bucket.objects.pop(name)
    if is_there:
        bucket.objects[name] = data[:-1]
    with pytest.raises(Broken, match=r"was changed|is missing"):
        verify_archives()
    with pytest.raises(archived.ArchiveUnavailable):
        archived.archived_entries([3])


def test_what_a_crash_left_is_replaced(bucket: Bucket) -> None:
    bucket.objects["/evidence/gate/202601/entries-000000000000.jsonl.zst"] = b"half"
    assert archive_month(JANUARY).state == "pruned"
    assert Archive.objects.count() == verify_archives() == 1


def test_a_bucket_that_does_not_answer_is_named(bucket: Bucket) -> None:
    bucket.refuses = True
    with pytest.raises(CommandError, match="storage cannot be used"):
        call_command("audit_archive", "--month", "202601")
    assert Archive.objects.get().state == "writing"
