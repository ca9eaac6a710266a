"""What the log says of reservations holds before the two verifiers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.management import call_command

from audit.proof import exports
from audit.sequencing.sequencer import sequence
from core import clock
from limits.tasks import sweep_reservations
from tests.api.conftest import Api, Json, expect, verify
from tests.api.test_evidence import body_of
from tests.api.test_reservations import basic, commit, eur, reserve, set_budget, void
from tests.log import log_entries
from tests.verifier import ED25519, Broken, parse_key, parse_spending, verify_export

__all__ = ["reserve"]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def shop(developer: Api) -> Api:
    set_budget(developer)
    return basic(developer, "https://shop.example")


def test_the_log_counts_what_was_committed(
    reserve: Callable[..., Json],
    shop: Api,
    ada: Any,
    developer: Api,
    tokens: Json,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exports, "pause", lambda seconds: sequence())
    with time_machine.travel(clock.now(), tick=False) as traveller:
        first, second, _ = reserve(eur("8")), reserve(eur("8")), reserve(eur("1"), expiresInSeconds=1)
        expect(200, commit(shop, first, eur("5.005")))
        expect(200, void(shop, second))
        traveller.shift(2)
        sweep_reservations()
    verify(tokens["accessToken"], context={"amount": eur("1")})
    for event in ("committed", "voided", "lapsed"):
        (entry,) = log_entries(event=f"reservation.{event}")
        assert entry.consent_id == tokens["consentId"]

    key = parse_key(body_of(developer.get("/audit/key")).decode(), ED25519)
    exported = (
        ada.get("/users/me/audit-export"),
        ada.get(f"/users/me/consents/{tokens['consentId']}/evidence"),
        developer.get("/audit/export"),
    )
    for place, answer in enumerate(exported):
        path = tmp_path / str(place)
        path.write_bytes(body_of(answer))
        own = place < 2  # an organization does not see what the connection's totals are
        assert verify_export(path, key, spendings=[parse_spending("6.005/EUR/3600")] if own else []).decisions == 4
        if own:
            with pytest.raises(Broken, match=r"6.005 EUR spent"):
                verify_export(path, key, spendings=[parse_spending("6.00499999/EUR/3600")])
    call_command("audit_verify")
