"""Archived entries are read, searched, exported and proved like those in the database."""

import logging
import shutil
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from audit.archiving import archive, archived
from audit.archiving.archive import archive_month
from audit.archiving.archived import ArchiveUnavailable, archived_entries, archived_entry, entries_at
from audit.entries import personal_keys
from audit.entries.records import hash_leaf
from audit.models import Checkpoint, Entry, ImmutableError
from audit.proof.members import Stream
from audit.proof.proofs import Tree
from audit.readers.criteria import Criteria
from audit.readers.decided import decisions_since
from audit.readers.reading import AuditEntry, read_entry
from audit.readers.search import Listing, find_entry
from audit.sequencing import sequencer
from audit.sequencing.log import leaf_of
from audit.sequencing.tree import hash_node
from audit.signing.log_keys import signer
from audit.signing.notes import open_checkpoint
from audit.verification import Bad
from audit.verification.entries import checked_entries
from events.feed import FeedPage, Wanted, read_feed
from tests.audit.months import JANUARY, all_rows, archive_in, two_months
from tests.audit.test_archive import flip
from tests.shared import cases

pytestmark = pytest.mark.django_db
START = datetime(2026, 1, 1, tzinfo=UTC)
CRITERIA = [
    Criteria(),
    Criteria(organization_id="org_1", event="token.verify"),
    Criteria(organization_id="org_2", outcome="denied"),
    Criteria(user_id="usr_3"),
]
STREAMS = [Stream("organization", "org_2"), Stream("person", "usr_2"), Stream("connection", "cns_1")]


@pytest.fixture(scope="module", autouse=True)
def _log(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    with two_months(django_db_blocker):
        yield


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Iterator[Path]:
    sequencer.forget()
    archived.forget()
    with archive_in(tmp_path / "archive") as folder:
        yield folder


def move() -> None:
    archive_month(JANUARY)
    archived.forget()
    assert min(all_rows()) == 300


def ids(entries: Sequence[Entry | AuditEntry]) -> list[str]:
    return [entry.id for entry in entries]


@cases("criteria", CRITERIA)
def test_pages_are_the_same(criteria: Criteria) -> None:
    before = list(Listing(criteria))
    assert min(entry.index or 0 for entry in before) < 60
    move()
    assert list(Listing(criteria)) == before


def test_the_feed_has_the_same_events() -> None:
    def pages() -> list[FeedPage]:
        everything = [read_feed("org_2", Wanted(), after=after, limit=200) for after in (0, 200, 400)]
        return [*everything, read_feed("org_2", Wanted(["consent.*", "resource_server.*"]), after=100, limit=30)]

    before = pages()
    numbers = [event["stream"]["number"] for page in before[:3] for event in page.events]
    assert numbers == [*range(1, len(numbers) + 1)]
    assert len(numbers) > 400
    move()
    assert pages() == before


@cases("since", [START, START + timedelta(days=15)])
def test_decisions_are_read_as_they_are_listed(since: datetime) -> None:
    listed = Listing(Criteria(organization_id="org_2", event="token.verify", since=since))
    expected = [
        (entry.timestamp, entry.personal["resource"], entry.content["policyId"]) for entry in reversed(list(listed))
    ]
    before = list(decisions_since("org_2", since))

    assert [(one.at, one.resource, one.policy_id) for one in before] == expected
    assert len(expected) > 100
    move()
    assert list(decisions_since("org_2", since)) == before
    assert list(decisions_since("org_3", since)) == []


def test_a_cursor_can_be_an_archived_entry() -> None:
    cursor = Entry.objects.get(leaf_index=120).id
    before = Listing(Criteria()).page(cursor, 10)
    move()
    assert Listing(Criteria()).page(cursor, 10) == before


def test_one_entry_is_found_by_its_id() -> None:
    found = Entry.objects.get(leaf_index=120)
    move()
    moved = find_entry(Criteria(), found.id)
    assert isinstance(moved, Entry)
    assert read_entry(moved) == read_entry(found)
    assert archived_entry(found.id.replace("log_", "usr_")) is None
    assert archived_entry("log_" + "0" * 32) is None
    assert archived_entry("nonsense") is None


def test_an_entry_of_another_tenant_is_not_found() -> None:
    found = Entry.objects.filter(organizations="org_2 ")[0]
    move()
    assert find_entry(Criteria(organization_id="org_1"), found.id) is None


@cases("stream", STREAMS)
def test_a_stream_is_the_same(stream: Stream) -> None:
    before = [leaf_of(entry) for entry in stream.ascending(0, 599)]
    move()
    assert [leaf_of(entry) for entry in stream.ascending(0, 599)] == before
    assert ids(list(stream.descending(599))) == ids(list(stream.ascending(0, 599)))[::-1]


def test_proofs_hold() -> None:
    move()
    checkpoint = Checkpoint.objects.order_by("-size")[0]
    statement = open_checkpoint(checkpoint.note, signer().origin, signer().public)
    tree = Tree(checkpoint.size)
    assert tree.root() == statement.root
    for entry in entries_at([0, 255, 256, 299, 300]):
        assert _climb(entry, tree.inclusion_proof(entry.leaf_index), checkpoint.size) == statement.root


def _climb(entry: Entry, path: list[bytes], size: int) -> bytes:
    node, place, last = hash_leaf(leaf_of(entry)), entry.leaf_index, size - 1
    for sibling in path:
        if place % 2 or place == last:
            node = hash_node(sibling, node)
            while place % 2 == 0 and place:
                place, last = place >> 1, last >> 1
        else:
            node = hash_node(node, sibling)
        place, last = place >> 1, last >> 1
    return node


def test_a_person_stays_erased() -> None:
    before = Listing(Criteria(user_id="usr_3")).page("", 200)[0]
    assert any(entry.personal.get("resource") for entry in before)
    move()
    personal_keys.destroy_keys(["usr_3"])
    after = list(Listing(Criteria(user_id="usr_3")))
    assert len(after) == len(before)
    assert not any(entry.personal.get("resource") for entry in after)


def test_archived_entries_cannot_be_saved() -> None:
    move()
    (entry,) = archived_entries([7])
    with pytest.raises(ImmutableError):
        entry.save()


def test_what_is_not_archived_is_left_out() -> None:
    move()
    assert [entry.leaf_index for entry in archived_entries([299, 300, 3, 10_000])] == [299, 3]
    assert [entry.leaf_index for entry in entries_at([300, 10_000, 3])] == [300, 3]


class TestStorage:
    def test_the_database_alone_does_for_what_it_has(self, folder: Path) -> None:
        move()
        shutil.rmtree(folder)
        assert len(Listing(Criteria()).page("", 200)[0]) == 200

    @pytest.mark.parametrize("act", ["flip", "delete"])
    def test_damage_is_reported_and_nothing_wrong_is_shown(
        self, act: str, folder: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        move()
        path = folder / "202601" / "entries-000000000000.jsonl.zst"
        flip(path) if act == "flip" else path.unlink()
        with pytest.raises(ArchiveUnavailable):
            archived_entries([7])
        assert archived_entries([280])
        assert [one.levelno for one in caplog.records if "cannot be read" in one.getMessage()] == [logging.ERROR]

    @pytest.mark.parametrize("first", [0, 256])
    def test_the_verification_names_the_first_entry_that_is_lost(self, first: int, folder: Path) -> None:
        move()
        (folder / "202601" / f"entries-{first:012}.jsonl.zst").unlink()
        with pytest.raises(Bad, match="the archive cannot be read") as raised:
            list(checked_entries(600))
        assert raised.value.index == first

    def test_objects_stay_in_memory(self, monkeypatch: pytest.MonkeyPatch) -> None:
        read: list[str] = []
        original = archived.read
        monkeypatch.setattr(archived, "read", lambda *given: read.append(given[2]["name"]) or original(*given))
        move()
        for _ in range(3):
            archived_entries([1, 2, 280])
        assert len(read) == 2

    def test_few_objects_stay_in_memory(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(archived, "MAX_OBJECTS", 1)
        move()
        archived_entries([1, 280, 2])
        assert len(archived._cache._objects) == 1

    def test_a_month_that_is_only_written_is_not_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def stop(*_: Any) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(archive, "_verify", stop)
        with pytest.raises(KeyboardInterrupt):
            archive_month(JANUARY)
        assert archived_entries([7]) == []


def test_pages_answer_503_while_the_archive_cannot_be_read(folder: Path, admin_client: Client) -> None:
    move()
    cursor = Entry.objects.get(leaf_index=300).id
    assert admin_client.get(f"/admin/audit/entry/?cursor={cursor}").status_code == 200
    archived.forget()
    shutil.rmtree(folder)
    response = admin_client.get(f"/admin/audit/entry/?cursor={cursor}")
    assert response.status_code == 503
