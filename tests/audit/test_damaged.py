"""While a row of the journal is damaged, everything says that the log is incomplete, until an operator discards it."""

import io
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from audit.condition import damaged_rows, look
from audit.entries.drafts import Draft, prepare
from audit.entries.journal import encode_entry
from audit.events import Event
from audit.models import Entry, Journal
from audit.proof import exports
from audit.proof.members import PERSON, Stream
from audit.proof.proofs import prove_entry
from audit.readers.disclosure import visible_to_user
from audit.sequencing import sequencer
from audit.sequencing.sequencer import sequence
from audit.signing.log_keys import signer
from core import clock
from core.errors import NotFound
from core.ids import new_id
from tests.audit.journals import ACTOR, decision, unchecked, write_body, write_row, write_unchecked
from tests.verifier import ED25519, Broken, parse_key, verify_export

pytestmark = pytest.mark.django_db


@pytest.fixture
def row_id(settings: Any) -> int:
    """Return a row that another secret has sealed, among others."""
    write_row(2)
    former, settings.JWT_SECRET = settings.JWT_SECRET, "another" * 8
    write_row(3)
    settings.JWT_SECRET = former
    found = Journal.objects.order_by("-pk").values_list("pk", flat=True)[0]
    write_row(1)
    sequence()
    assert Entry.objects.count() == 3
    return found


def run(*arguments: str, **options: Any) -> str:
    output = io.StringIO()
    call_command(*arguments, stdout=output, **options)
    return output.getvalue()


def export(path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(exports, "pause", lambda seconds: sequence())
    begun = exports.begin_export(
        stream=Stream(PERSON, "usr_1"),
        period=exports.Period(),
        draft=Draft(Event.AUDIT_EXPORTED, ACTOR, user_id="usr_1"),
        find_visible=lambda content: visible_to_user(content, "usr_1"),
    )
    path.write_bytes(b"".join(begun.pieces()))
    return path


@pytest.mark.on_sqlite
@pytest.mark.django_db(transaction=True)
def test_audit_verify_fails(row_id: int, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        call_command("audit_verify")
    assert exit_.value.code == 1
    assert f"incomplete: 1 rows of the journal are damaged ({row_id})" in capsys.readouterr().out


def test_an_export_says_so_and_the_verifier_refuses_it(
    row_id: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = parse_key(signer().verifier_key, ED25519)
    path = export(tmp_path / "export.jsonl", monkeypatch)
    with pytest.raises(Broken, match="the log was incomplete: 1 rows of its journal are damaged"):
        verify_export(path, key)


def test_a_proof_of_an_entry_that_is_not_there_says_so(row_id: int) -> None:
    with pytest.raises(NotFound, match="1 damaged rows of the journal"):
        prove_entry(new_id("log"), user_id="usr_1", organization_id=None)


def test_any_process_knows_it(row_id: int) -> None:
    sequencer.forget()
    assert damaged_rows() == [row_id]


def test_rows_that_wait_are_not_damaged() -> None:
    write_row(3)
    write_row(1)
    assert damaged_rows() == []
    assert look().reasons == []


def test_a_damaged_row_behind_those_that_wait_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sequencer may not be running."""
    write_row(1)
    write_row(2)
    row_id = write_body(b"damaged")
    assert damaged_rows() == [row_id]
    monkeypatch.setattr("audit.condition.MAX_PASSED", 1)
    assert damaged_rows() == []


def test_many_damaged_rows_are_counted_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audit.condition.MAX_DAMAGED", 2)
    for _ in range(3):
        write_body(b"damaged")
    assert len(damaged_rows()) == 2


class TestTheCommand:
    def test_it_lists_the_rows(self, row_id: int) -> None:
        listed = run("audit_damaged")
        assert listed.startswith(f"{row_id}  ")
        assert "an unknown number of entries" in listed
        assert "another JWT_SECRET" in listed

    @pytest.mark.django_db(transaction=True)
    def test_it_discards_a_row_and_leaves_an_entry(
        self, row_id: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert "is deleted" in run("audit_damaged", discard=row_id, reason="The secret is lost.")
        sequence()
        entry = Entry.objects.get(event=Event.JOURNAL_ROW_DISCARDED)
        metadata = entry.content["metadata"]
        assert (metadata["row"], metadata["entries"], metadata["reason"]) == (row_id, None, "The secret is lost.")
        assert len(metadata["sha256"]) == 64
        assert run("audit_damaged") == "No row of the journal is damaged.\n"
        assert "1 rows of the journal that could not be read were discarded." in run("audit_verify")
        verify_export(export(tmp_path / "export.jsonl", monkeypatch), parse_key(signer().verifier_key, ED25519))

    @pytest.mark.parametrize("reason", ["", "  "])
    def test_it_needs_a_reason(self, row_id: int, reason: str) -> None:
        with pytest.raises(CommandError, match="--reason"):
            run("audit_damaged", discard=row_id, reason=reason)
        assert Journal.objects.filter(pk=row_id).exists()

    def test_it_discards_no_row_whose_other_entries_are_not_in_the_log_yet(self) -> None:
        first, bad, last = prepare([decision()] * 3, clock.now())
        write_unchecked(encode_entry(first), unchecked(bad, outcome="perhaps"), encode_entry(last))
        row_id = Journal.objects.get().id
        with pytest.raises(CommandError, match="not have all entries"):
            run("audit_damaged", discard=row_id, reason="Because.")
        sequence()
        run("audit_damaged", discard=row_id, reason="Because.")
        sequence()
        assert {first.id, bad.id, last.id} <= {*Entry.objects.values_list("id", flat=True)}
        metadata = Entry.objects.get(event=Event.JOURNAL_ROW_DISCARDED).content["metadata"]
        assert (metadata["entries"], metadata["logged"]) == (3, 3)

    def test_it_discards_nothing_that_can_be_logged(self) -> None:
        write_row(1)
        waiting = Journal.objects.get().id
        for other in (waiting, waiting + 100):
            with pytest.raises(CommandError, match="no damaged row"):
                run("audit_damaged", discard=other, reason="Because.")
        assert Journal.objects.filter(pk=waiting).exists()
