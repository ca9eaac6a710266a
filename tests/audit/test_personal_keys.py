"""Keys for personal data: destroyed for good, by an erasure or when a month is old enough."""

from datetime import UTC, datetime
from typing import Any

import pytest

from audit.entries import personal_keys
from audit.entries.personal_keys import (
    Erased,
    decrypt,
    destroy_keys,
    destroy_old_keys,
    encrypt,
    existing_keys,
    keys_for,
)
from audit.models import PersonalKey
from audit.sequencing import sequencer
from audit.sequencing.sequencer import sequence
from audit.signing.checkpoints import latest
from audit.signing.log_keys import signer
from audit.tasks import destroy_old_keys as task
from core import clock
from tests.audit.journals import write_row

pytestmark = [pytest.mark.django_db, pytest.mark.postgresql]

MONTHS = ["-/2025-09", "org_1/2025-10", "org_1/2025-11", "org_1/2026-11"]


def at(monkeypatch: pytest.MonkeyPatch, *moment: int) -> None:
    monkeypatch.setattr(clock, "now", lambda: datetime(*moment, tzinfo=UTC))  # type: ignore[misc,arg-type]


def live() -> list[str]:
    return sorted(PersonalKey.objects.filter(destroyed_at=None, sealed__isnull=False).values_list("subject", flat=True))


def test_what_is_encrypted_is_read_with_the_key_for_its_own_entry_only() -> None:
    keys = keys_for(["usr_1", "usr_2"])
    key, other = keys["usr_1"], keys["usr_2"]
    assert key
    sealed = personal_keys.encrypt(key, "log_1", b"192.0.2.1")
    assert personal_keys.decrypt(keys_for(["usr_1"])["usr_1"], "log_1", sealed) == b"192.0.2.1"
    for wrong, entry in ((key, "log_2"), (other, "log_1"), (None, "log_1")):
        with pytest.raises(personal_keys.Erased):
            personal_keys.decrypt(wrong, entry, sealed)


def test_a_destroyed_key_stays_destroyed() -> None:
    keys_for(["usr_1", "usr_2"])
    assert destroy_keys(["usr_1"]) == 1
    assert destroy_keys(["usr_1"]) == 0
    assert keys_for(["usr_1"]) == existing_keys(["usr_1"]) == {"usr_1": None}
    assert live() == ["usr_2"]


def test_a_key_that_was_never_made_is_not_made_after_its_destruction() -> None:
    destroy_keys(["usr_1"])
    assert keys_for(["usr_1"]) == {"usr_1": None}


@pytest.mark.parametrize(
    ("months", "moment", "kept"),
    [
        (13, (2026, 10, 31, 23, 59, 59), MONTHS),
        (13, (2026, 11, 1), MONTHS[1:]),
        (13, (2026, 11, 30, 23, 59, 59), MONTHS[1:]),
        (13, (2026, 12, 1), MONTHS[2:]),
        (1, (2026, 12, 31), MONTHS[3:]),
        (1, (2027, 1, 1), []),
        (1200, (2125, 9, 30), MONTHS),
        (1200, (2125, 10, 1), MONTHS[1:]),
    ],
)
def test_a_month_is_kept_until_the_retention_has_passed_after_its_end(
    months: int, moment: tuple[int, ...], kept: list[str], monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.AUDIT_PERSONAL_RETENTION_MONTHS = months
    keys_for(MONTHS)
    at(monkeypatch, *moment)
    task()
    assert live() == sorted(kept)


def test_people_are_kept_and_requests_for_consent_grow_old(monkeypatch: pytest.MonkeyPatch) -> None:
    people = ["dev_1", "usr_1"]
    at(monkeypatch, 2025, 10, 31, 23, 59, 59)
    keys_for([*people, "cns_old"])
    at(monkeypatch, 2025, 11, 1)
    keys_for(["cns_young"])
    at(monkeypatch, 2026, 12, 1)
    assert task() == 1
    assert live() == ["cns_young", *people]


def test_keys_are_destroyed_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    keys_for(MONTHS[:3])
    at(monkeypatch, 2030, 1, 1)
    assert [destroy_old_keys(limit=2), destroy_old_keys(limit=2), destroy_old_keys(limit=2)] == [2, 1, 0]


class TestAChangedSecret:
    """A changed `JWT_SECRET` opens no former key. The log goes on, and the former secret opens its keys again."""

    def change(self, settings: Any) -> None:
        settings.JWT_SECRET = "tests-only-0c4e8a6f2b9d7153-changed"

    def test_a_person_gets_another_key(self, settings: Any) -> None:
        former = settings.JWT_SECRET
        before = keys_for(["usr_1"])["usr_1"]
        assert before
        self.change(settings)
        assert existing_keys(["usr_1"]) == {}
        (after,) = keys_for(["usr_1"]).values()
        sealed = encrypt(before, "log_1", b"data")
        with pytest.raises(Erased):
            decrypt(after, "log_1", sealed)
        settings.JWT_SECRET = former
        assert decrypt(existing_keys(["usr_1"])["usr_1"], "log_1", sealed) == b"data"

    def test_an_erased_person_stays_erased(self, settings: Any) -> None:
        keys_for(["usr_1"])
        destroy_keys(["usr_1"])
        self.change(settings)
        assert keys_for(["usr_1"]) == {"usr_1": None}

    def test_an_erasure_destroys_the_keys_of_all_secrets(self, settings: Any) -> None:
        former = settings.JWT_SECRET
        keys_for(["usr_1"])
        self.change(settings)
        destroy_keys(["usr_1"])
        settings.JWT_SECRET = former
        assert keys_for(["usr_1"]) == {"usr_1": None}

    def test_the_log_gets_another_key_and_goes_on(self, settings: Any) -> None:
        write_row(1)
        sequence()
        first = signer().verifier_key
        self.change(settings)
        write_row(1)
        assert sequence() == 1
        assert signer().verifier_key != first
        assert latest().size == 2  # type: ignore[union-attr]

    def test_rows_that_the_former_secret_encrypted_stay(self, settings: Any) -> None:
        former = settings.JWT_SECRET
        write_row(1)
        self.change(settings)
        assert sequence() == 0
        settings.JWT_SECRET = former
        sequencer.forget()
        assert sequence() == 1


def test_a_damaged_key_does_not_stop_the_log(caplog: pytest.LogCaptureFixture) -> None:
    keys_for(["usr_1"])
    PersonalKey.objects.update(sealed=b"damaged")
    assert keys_for(["usr_1"]) == {"usr_1": None}
    assert "usr_1 was damaged" in caplog.text
