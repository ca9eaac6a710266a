from datetime import UTC, datetime, timedelta

from consent.statuses import ConsentStatus, status_at
from tests.shared import cases

NOW = datetime(2026, 3, 23, 12, tzinfo=UTC)


@cases("stored", ConsentStatus.values)
def test_before_its_end_a_consent_has_its_stored_status(stored: str) -> None:
    assert status_at(NOW, stored=stored, expires_at=NOW + timedelta(microseconds=1)) == stored


@cases("stored", ConsentStatus.values)
def test_at_its_end_a_request_or_grant_is_expired_but_an_ended_consent_keeps_its_status(stored: str) -> None:
    expected = "expired" if stored in ("pending", "approved") else stored
    assert status_at(NOW, stored=stored, expires_at=NOW) == expected
