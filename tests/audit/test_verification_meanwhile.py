"""`audit_verify` of a log that is empty, or that grows meanwhile."""

from typing import Any

import pytest

from audit.sequencing.sequencer import sequence
from audit.signing import log_keys
from audit.signing.checkpoints import latest
from audit.verification import log as verification
from tests.audit.histories import use_small_tree, verify, write_history
from tests.audit.journals import write_row

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.on_sqlite
def test_an_empty_log() -> None:
    log_keys.signer()
    assert verify() == (0, "0 entries, 0 streams and 0 checkpoints are right.")


@pytest.mark.on_sqlite
def test_a_log_without_a_key() -> None:
    assert verify() == (2, "The log has no key yet.")


def test_entries_appended_meanwhile_are_left_to_the_next_run(monkeypatch: pytest.MonkeyPatch) -> None:
    use_small_tree(monkeypatch)
    write_history()
    original = verification.checked_entries

    def append_first(size: int) -> Any:
        write_row(40, user_id="usr_0")
        sequence()
        return original(size)

    monkeypatch.setattr(verification, "checked_entries", append_first)
    assert verify() == (0, "41 entries, 6 streams and 11 checkpoints are right.")
    newest = latest()
    assert newest
    assert newest.size == 81
